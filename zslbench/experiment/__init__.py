"""From what a user asks for to finished runs: recipes, fitting and selection, suites, execution.

What tools and commands need of it can be imported from here; heavy modules load on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
