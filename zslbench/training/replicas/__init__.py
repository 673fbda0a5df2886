"""Seeds that train together: each runs the pipeline in its own thread, and their programs run as one.

:mod:`zslbench.training.threads` makes them meet; ``group`` lifts the programs of those who meet, as many as
fit into memory; ``lifted`` trains them, ``lifting`` makes and checks steps, ``inputs`` draws.
"""
