"""Components that break one rule each. A class's docstring reads: the check that must catch it, the fault."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zslbench.testing import Check

MODULES = {
    "dataset": ("datasets",),
    "extractor": ("extractors",),
    "embedding": ("embeddings", "embedding_fits", "embedding_steps", "embedding_keys", "embedding_schedules"),
    "generator": ("generators",),
    "classifier": ("classifiers",),
}


def classes() -> list[tuple[str, type]]:
    """Kind and class of every fake, sound or broken."""
    return [
        (kind, found)
        for kind, modules in MODULES.items()
        for module in modules
        for name, found in vars(importlib.import_module(f"{__name__}.{module}")).items()
        if inspect.isclass(found) and found.__module__ == f"{__name__}.{module}" and not name.startswith("_")
    ]


def named(checks: tuple[Check, ...], name: str) -> Check:
    """The check of this name."""
    (found,) = [one for one in checks if one.name == name]
    return found
