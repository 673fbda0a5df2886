"""Seeds that train together: each runs the pipeline in a thread of its own, their programs run as one.

``group`` lets one thread run at a time and brings them together; ``joining`` decides what is lifted
together; ``lifted`` is the state of programs lifted over a leading replica axis, ``lifting`` makes their
steps, ``seat`` is one seed's place in it; ``guard`` compares its first steps with plain ones and ``memory``
says how many replicas fit.
"""
