"""zslbench: zero-shot-learning benchmarks whose numbers can be trusted.

Importing this package is cheap; what is heavy loads when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zslbench.ablation import ablate as ablate
    from zslbench.api import Result as Result, run as run
    from zslbench.benchmarking import bench as bench
    from zslbench.declarations import (
        Component as Component,
        Method as Method,
        Options as Options,
        Range as Range,
        Reading as Reading,
        Tracker as Tracker,
        Variant as Variant,
    )
    from zslbench.errors import ZslbenchError as ZslbenchError
    from zslbench.hookspecs import hookimpl as hookimpl
    from zslbench.report.compare import compare as compare
    from zslbench.settings import ComponentSettings as ComponentSettings
    from zslbench.tuning.tune import tune as tune

__version__ = "0.1.0"

_PUBLIC = {
    "Component": "zslbench.declarations",
    "ComponentSettings": "zslbench.settings",
    "Method": "zslbench.declarations",
    "Options": "zslbench.declarations",
    "Range": "zslbench.declarations",
    "Reading": "zslbench.declarations",
    "Result": "zslbench.api",
    "Tracker": "zslbench.declarations",
    "Variant": "zslbench.declarations",
    "ZslbenchError": "zslbench.errors",
    "ablate": "zslbench.ablation",
    "bench": "zslbench.benchmarking",
    "compare": "zslbench.report.compare",
    "hookimpl": "zslbench.hookspecs",
    "run": "zslbench.api",
    "tune": "zslbench.tuning.tune",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'zslbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
