"""The run store: finished runs, training results that runs share, and files written atomically.

The names below are public and load when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
