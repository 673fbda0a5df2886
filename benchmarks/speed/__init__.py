"""How fast zslbench is, compared with plain loops and with the machine's limits.

    python -m benchmarks.speed [--quick] [--out FOLDER]

``literal`` has the plain loops: the equations and the training of the published code, one seed, eager, with
the copies, recomputations and host decisions that the code has.
"""
