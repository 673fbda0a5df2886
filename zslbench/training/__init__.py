"""Training: the loop that runs programs, and the functions that steps are written with.

The names in the ``.pyi`` stub are public; heavy modules load on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
