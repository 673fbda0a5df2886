"""What the author of a plugin reads and writes, and the registry that finds plugins.

Interfaces and the types they name: :mod:`zslbench.plugin.interfaces`. What a plugin registers:
:mod:`zslbench.plugin.declarations`. When it is called: :mod:`zslbench.plugin.hookspecs`. All of it can be
imported from here; what is heavy loads when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
