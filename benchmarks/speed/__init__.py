"""How fast zslbench is, compared with plain loops and with the machine's limits.

    python -m benchmarks.speed [--quick] [--out FOLDER]

``__main__`` runs the parts one after the other. ``literal`` has the plain loops that ours are compared with:
the equations and the training of the published codes as they are described, one seed, eager, with the copies,
re-computations and host decisions that they have.
"""
