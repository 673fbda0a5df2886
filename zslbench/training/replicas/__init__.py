"""Seeds that train together: each runs the pipeline in a thread of its own, their programs run as one.

``threads`` lets one thread run at a time and brings them together; ``group`` decides what is lifted together
and is what the loop sees of it; ``lifted`` is the state of programs lifted over a leading replica axis,
``lifting`` makes their steps; ``guard`` compares its first steps with plain ones and ``memory`` says how many
replicas fit.
"""
