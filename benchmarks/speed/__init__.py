"""How fast zslbench is, beside plain literal loops and beside the machine's limits.

    python -m benchmarks.speed [--quick] [--out FOLDER]

``__main__`` runs the parts one after the other; ``parts/`` has one file for each; ``literal_*`` are the plain
loops that ours are compared with, written as the equations and the training of the published codes are
described, one seed, eager, with the copies, re-computations and host decisions that they have.
"""
