"""Finished runs that a cell of a suite may take instead of computing its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zslbench.store.identity import canonical
from zslbench.store.record import RunRecord


def figures_key(identity: Mapping[str, Any], *, any_version: bool = False) -> str:
    """A text that is equal for runs with the same figures in the same precision, on whatever device.

    Args:
        any_version: ignore the versions of the code.
    """
    precision = (identity.get("execution") or {}).get("precision")
    versions = {} if any_version else identity.get("versions")
    return canonical({**identity, "execution": {"precision": precision}, "versions": versions})


def by_figures(records: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """The newest run of each :func:`figures_key`, by any version of the code."""
    return {
        figures_key(record.info.identity, any_version=True): record
        for record in sorted(records, key=lambda record: record.finished)
    }
