"""CUDA graphs: a pass's iteration is captured once and replayed: the host launches one thing, not hundreds.

``recorder`` has the calls that are CUDA's; ``captured`` an iteration on buffers that never move; ``graphs``
which iterations are captured, and what became of it.
"""
