"""Training: the loop that runs programs, and the functions that steps are written with.

The names of the stub beside this file are public; what is heavy loads when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
