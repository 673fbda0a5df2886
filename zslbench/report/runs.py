"""One run told in full."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from zslbench.errors import DataError, UnknownName
from zslbench.evaluation.metrics import METRICS
from zslbench.report.results import percent
from zslbench.report.stages import stage_rows
from zslbench.store.record import RunRecord

Rows = list[tuple[str, Any]]

_ELSEWHERE = ("chosen", "preset", "reading", "stages", "tuned")
"""What of the environment other sections tell."""


def run_details(record: RunRecord, explained: Sequence[tuple[str, str]] = ()) -> list[dict[str, Any]]:
    """Rows of ``about``, ``name`` and ``value``: figures first, then how they came about.

    Args:
        explained: what the method says of the run's settings (:mod:`zslbench.report.explanations`).
    """
    info = record.info
    sections: dict[str, Rows] = {
        "run": [
            ("id", info.id),
            ("method", info.method),
            ("variant", info.variant),
            ("dataset", info.dataset),
            ("seed", info.seed),
            ("finished", record.finished.isoformat(timespec="seconds")),
            ("folder", str(record.folder)),
        ],
        "figures": [(name, _figure(name, value)) for name, value in record.metrics.items()],
        "95 % over classes": _over_classes(record),
        "reading": [*_reading(record), *explained],
        "selection": list(info.identity["selection"].items()),
        "components": list(info.identity["components"].items()),
        "settings": [*_settings(record), ("preset", record.environment.get("preset"))],
        "search": [row for one in record.environment.get("tuned") or () for row in one.items()],
        "stages": list(stage_rows(record)),
        "data": [
            *((key, value) for key, value in record.data.items() if key != "arrays"),
            *(
                (f"sha256 of {one['array']}", f"{one['sha256']} {one['file']}".strip())
                for one in record.data["arrays"]
            ),
        ],
        "environment": [one for one in record.environment.items() if one[0] not in _ELSEWHERE],
        "notes": [(str(number), text) for number, text in enumerate(record.notes, 1)],
    }
    return [
        {"about": about, "name": name, "value": _shown(value)}
        for about, rows in sections.items()
        for name, value in rows
    ]


def _over_classes(record: RunRecord) -> Rows:
    """What a single run can say of its own figures: the bootstrap's interval over classes."""
    from zslbench.report.statistics.bootstrap import ClassAccuracies, over_classes

    try:
        table = record.table("classes")
    except (DataError, UnknownName):  # a damaged run is still told
        return []
    found = over_classes(ClassAccuracies.of(table))
    return [
        (name, one.reason or f"{one.low:.2f} to {one.high:.2f} % ({one.classes} classes, BCa bootstrap)")
        for name, one in found.items()
        if one.value == one.value
    ]


def _reading(record: RunRecord) -> Rows:
    if record.info.reading is None:
        return []
    how = record.environment.get("reading") or {}
    name = f"{record.info.reading} (default)" if how.get("default") else record.info.reading
    return [("name", name), *([("summary", how["summary"])] if how.get("summary") else [])]


def _settings(record: RunRecord) -> Rows:
    """What the user, the preset or validation made of each setting; the last is marked."""
    chosen = record.environment.get("chosen") or {}
    given = {
        f"{kind}.{name}": value
        for kind, settings in record.info.identity["settings"].items()
        for name, value in settings.items()
    }
    return [(key, f"{chosen[key]} (chosen)" if key in chosen else value) for key, value in given.items()]


def _shown(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _figure(name: str, value: object) -> object:
    metric = METRICS.get(name.removeprefix("val_"))
    fraction = isinstance(value, float) and metric is not None and metric.percent
    return f"{percent(value):.2f} %" if fraction else value
