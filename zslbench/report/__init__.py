"""Reporting on runs: frames, tables in six formats, comparisons, statistics, published figures.

What tools need can be imported from here; heavy modules load on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
