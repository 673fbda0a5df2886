"""Suites: named tables of methods × data sets × seeds × selections, as TOML files.

``find("quick")`` reads one, ``names()`` lists those of the package, ``outcome_of(suite, store, registry)``
tells what a store has of one, and :func:`zslbench.bench` runs what is missing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zslbench.experiment.suites.catalogue import Suite as Suite, find as find, names as names
    from zslbench.experiment.suites.outcome import Entry as Entry, Line as Line, SuiteOutcome as SuiteOutcome
    from zslbench.experiment.suites.status import outcome_of as outcome_of

_PUBLIC = {
    "Entry": "outcome",
    "Line": "outcome",
    "Suite": "catalogue",
    "SuiteOutcome": "outcome",
    "find": "catalogue",
    "names": "catalogue",
    "outcome_of": "status",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"zslbench.experiment.suites.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'zslbench.experiment.suites' has no attribute {name!r}")
