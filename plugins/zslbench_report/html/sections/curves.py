"""Seen-unseen curves with their areas."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zslbench.report.results import mean_std, percent, runs_frame
from zslbench.store.record import RunRecord
from zslbench_report.html.subject import Shown, Subject

ID = "curves"
TITLE = "Seen–unseen curves"


def build(subject: Subject) -> Mapping[str, Any] | None:
    """One chart per data set, one line per method; the table gives AUSUC and the operating point."""
    panels = []
    for dataset in subject.outcome.datasets:
        found = [(one, _points(subject, one)) for one in subject.shown(dataset)]
        found = [(one, points) for one, points in found if points]
        if not found:
            continue
        rows = [_row(one) for one, _ in found]
        title = subject.dataset_title(dataset)
        panels.append({"title": title, "rows": rows, "svg": _drawn(subject, title, found)})
    return {"panels": panels} if panels else None


def _row(one: Shown) -> dict[str, Any]:
    frame = runs_frame(one.records)
    return {
        "label": one.label,
        "tone": one.tone,
        "seeds": len(one.records),
        **{name: mean_std(frame[name]) for name in ("AUSUC", "U", "S")},
        "value": None if frame["AUSUC"].isna().any() else float(frame["AUSUC"].mean()),
    }


def _points(subject: Subject, one: Shown) -> list[tuple[RunRecord, Any]]:
    """The curve of each seed, that of the middle seed first."""
    ordered = [one.median, *(record for record in one.records if record is not one.median)]
    tables = [(record, subject.table(record, "curve", ("seen", "unseen"))) for record in ordered]
    return [(record, table) for record, table in tables if table is not None and len(table)]


def _drawn(subject: Subject, title: str, found: list[tuple[Shown, list[tuple[RunRecord, Any]]]]) -> Any:
    if subject.without_charts:
        return None
    from zslbench_report.html.charts.curves import Curves, curves

    lines = []
    for one, points in found:
        seeds = tuple(
            (100 * table["seen"].to_numpy(float), 100 * table["unseen"].to_numpy(float))
            for _, table in points
        )
        where = [(percent(record.metrics.get("s")), percent(record.metrics.get("u"))) for record, _ in points]
        operating = tuple(pair for pair in where if all(map(math.isfinite, pair)))
        lines.append(Curves(one.label, one.tone, seeds, operating))
    told = "; ".join(f"{one.label} {_row(one)['AUSUC'] or '–'}" for one, _ in found)
    return curves(lines, subject.key("curves"), f"Seen–unseen curves on {title}; AUSUC in %: {told}")
