"""Which runs in a store belong in one row of a table, and what tells rows apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zslbench.report.results import method_label
from zslbench.store.record import RunRecord

Key = tuple[str, ...]
ABOUT = ("method", "selection", "group", "features", "semantics", "differs in")
"""What tells rows apart, in the order of a key."""


@dataclass(frozen=True)
class Alike:
    """Runs on one data set that differ in their seed alone."""

    key: Key
    """A text for each of ``ABOUT``."""
    dataset: str
    records: Mapping[int, RunRecord]
    """By seed, ascending."""


def alike(records: Sequence[RunRecord]) -> list[Alike]:
    """What belongs in one row of a data set; the order of the records does not matter."""
    by_row: dict[tuple[Key, str], list[RunRecord]] = {}
    for record in records:
        by_row.setdefault((_row(record), record.info.dataset), []).append(record)
    return [
        Alike((*key, differs), dataset, {one.info.seed: one for one in same})
        for (key, dataset), members in sorted(by_row.items())
        for differs, same in distinct_runs(members)
    ]


def _row(record: RunRecord) -> Key:
    return (
        method_label(record),
        record.info.selection,
        str(record.environment.get("group", "")),
        str(record.data["features"]),
        str(record.data["semantics"]),
    )


def distinct_runs(records: Sequence[RunRecord]) -> list[tuple[str, list[RunRecord]]]:
    """Runs that differ in their seed alone, grouped, each group with what sets it apart from the others."""
    groups: dict[tuple[tuple[str, str], ...], dict[int, RunRecord]] = {}
    for record in records:
        facts = tuple(sorted(_flat(record.info.identity).items()))
        groups.setdefault(facts, {})[record.info.seed] = record
    shared = set.intersection(*(set(facts) for facts in groups))
    apart = sorted({name for facts in groups for name, value in facts if (name, value) not in shared})
    return [
        (
            ", ".join(f"{name}={_brief(dict(facts).get(name, 'absent'))}" for name in apart),
            [group[seed] for seed in sorted(group)],
        )
        for facts, group in groups.items()
    ]


def _brief(value: str) -> str:
    """Eight digits of a sha256 tell two apart; 64 would fill a table."""
    return value[:8] if re.fullmatch("[0-9a-f]{64}", value) else value


def _flat(identity: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Everything that a run's numbers depend on but its seed, as ``{"generator.lr": "0.0001"}``."""
    flat: dict[str, str] = {}
    for name, value in identity.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, prefix if name == "settings" else f"{prefix}{name}.")
        elif prefix or name != "seed":
            flat[f"{prefix}{name}"] = str(value)
    return flat
