"""zslbench: zero-shot-learning benchmarks whose numbers can be trusted.

Importing this package is cheap; heavy modules load on first use. A command that declares a Python
function (``Command.function``) makes it available here: ``zslbench.tune(...)``.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

__version__ = "0.1.0"

_attribute, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name in __all__ or name.startswith("_"):
        return _attribute(name)
    from zslbench.plugin.discovery import commands
    from zslbench.plugin.targets import load_function

    known = commands()
    command = known.get(name) or known.get(name.replace("_", "-"))
    if command is None or command.declaration.function is None:
        raise AttributeError(f"module 'zslbench' has no attribute {name!r}")
    return load_function(command, "function")
