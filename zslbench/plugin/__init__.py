"""What plugin authors use, and the registry that finds plugins.

:mod:`zslbench.plugin.interfaces` has the interfaces, :mod:`zslbench.plugin.views` and
:mod:`zslbench.plugin.programs` their types, :mod:`zslbench.plugin.declarations` what
a plugin registers, :mod:`zslbench.plugin.hookspecs` when it is called. Import from here; modules load when
first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
