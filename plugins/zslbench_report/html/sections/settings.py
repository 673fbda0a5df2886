"""Settings: only what differs between lines, and whether the runs of one line agree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from zslbench.report.explanations import explained
from zslbench.store.record import RunRecord
from zslbench_report.html.subject import Shown, Subject

ID = "settings"
TITLE = "Settings"

_ABSENT = object()


def build(subject: Subject) -> Mapping[str, Any] | None:
    """For each data set the settings that differ, and each line's settings in full."""
    panels = []
    for dataset in subject.outcome.datasets:
        shown = subject.shown(dataset)
        if not shown:
            continue
        columns = [(one, settings_of(one.median)) for one in shown]
        panels.append(
            {
                "title": subject.dataset_title(dataset),
                "labels": [one.label for one in shown],
                "rows": _differing(columns),
                "uneven": [line for one in shown for line in _uneven(one)],
                "lines": [_line(subject, one, values) for one, values in columns],
            }
        )
    return {"panels": panels} if panels else None


def settings_of(record: RunRecord) -> dict[str, Any]:
    """Settings by dotted name, with components and the reading; what validation chose is what they are."""
    identity = record.info.identity
    flat: dict[str, Any] = {
        kind: name for kind, name in identity.get("components", {}).items() if kind != "dataset"
    }
    if record.info.reading is not None:
        flat["reading"] = record.info.reading
    for kind, values in identity.get("settings", {}).items():
        if kind != "dataset" or values:
            flat |= {f"{kind}.{name}": value for name, value in values.items()}
    for kind in ("features", "semantics"):
        flat[f"data.{kind}"] = record.data.get(kind)
    return flat | dict(record.environment.get("chosen") or {})


def _differing(columns: Sequence[tuple[Shown, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Settings that several lines have with different values; a line without one shows a dash."""
    names = list(dict.fromkeys(name for _, values in columns for name in values))
    rows = []
    for name in names:
        values = [one.get(name, _ABSENT) for _, one in columns]
        present = [json.dumps(value, sort_keys=True, default=str) for value in values if value is not _ABSENT]
        if len(present) > 1 and len(set(present)) > 1:
            usual = max(set(present), key=lambda one: (present.count(one), -present.index(one)))
            rows.append({"name": name, "values": [_cell(value, usual) for value in values]})
    return rows


def _cell(value: Any, usual: str) -> dict[str, Any]:
    if value is _ABSENT:
        return {"text": None, "unusual": False}
    return {"text": shown_value(value), "unusual": json.dumps(value, sort_keys=True, default=str) != usual}


def shown_value(value: Any) -> str:
    """A setting as its file would have it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _uneven(one: Shown) -> list[str]:
    """What differs between the seeds of one line, though nothing should: chosen values aside."""
    facts = [_fixed(record) for record in one.records]
    names = [name for name in facts[0] if any(other.get(name) != facts[0][name] for other in facts)]
    return [
        f"{one.label}: {name} is not the same for all seeds "
        f"({', '.join(sorted({str(other.get(name, 'absent')) for other in facts}))})"
        for name in names
    ]


def _fixed(record: RunRecord) -> dict[str, Any]:
    identity = record.info.identity
    flat = {
        f"{kind}.{name}": value
        for kind, values in identity.get("settings", {}).items()
        for name, value in values.items()
    }
    for part in ("versions", "execution"):
        flat |= {f"{part}: {name}": value for name, value in identity.get(part, {}).items()}
    return flat


def _line(subject: Subject, one: Shown, values: Mapping[str, Any]) -> dict[str, Any]:
    chosen = one.median.environment.get("chosen") or {}
    rows: list[tuple[str, str]] = []
    if subject.known is not None:
        try:
            rows = explained(one.median, subject.known)
        except Exception as error:  # what a plugin says is not worth a report
            subject.tell(str(error))
    return {
        "label": one.label,
        "seed": one.median.info.seed,
        "preset": one.median.environment.get("preset"),
        "values": [(name, shown_value(value), name in chosen) for name, value in values.items()],
        "explained": rows,
    }
