"""Figures and losses along the epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from zslbench.store.record import RunRecord
from zslbench_report.html.subject import Shown, Subject
from zslbench_report.html.theme import ink

ID = "training"
TITLE = "Training curves"

MOST_CHARTS = 120
"""Small charts of losses in a report; they are what makes its file large."""

_CRITERIA = (
    ("val_h", "validation H"),
    ("val_acc", "validation Acc"),
    ("test_h", "test H"),
    ("test_acc", "test Acc"),
)


def build(subject: Subject) -> Mapping[str, Any] | None:
    """For each data set the figures that epochs were chosen by, and each method's losses."""
    panels, left = [], MOST_CHARTS
    for dataset in subject.outcome.datasets:
        shown = [(one, _tables(subject, one)) for one in subject.shown(dataset)]
        trained = [(one, tables) for one, tables in shown if tables]
        closed = [one.label for one, tables in shown if not tables]
        if not shown:
            continue
        title = subject.dataset_title(dataset)
        methods = []
        for one, tables in trained:
            made = _losses(subject, one, tables, left)
            left -= len(made["charts"])
            methods.append(made)
        panels.append(
            {
                "title": title,
                "closed": closed,
                "figures": _figures(subject, title, trained),
                "methods": methods,
            }
        )
    return {"panels": panels, "most": MOST_CHARTS} if any(one["methods"] for one in panels) else None


def _tables(subject: Subject, one: Shown) -> list[tuple[RunRecord, pd.DataFrame]]:
    read = [(record, subject.table(record, "epochs", ())) for record in one.records]
    return [
        (record, table)
        for record, table in read
        if table is not None and len(table) and {"stage", "epoch"} <= set(table.columns)
    ]


def _chosen(table: pd.DataFrame, criterion: str) -> pd.DataFrame:
    """The rows with the criterion, of the candidate that was chosen (the one with the highest value)."""
    rows = table[table[criterion].notna()]
    if "candidate" not in rows.columns or rows["candidate"].isna().all() or rows.empty:
        return rows
    best = rows["candidate"].to_numpy(float)[_highest(rows, criterion)]
    chosen: pd.DataFrame = rows[rows["candidate"] == best]
    return chosen


def _highest(rows: pd.DataFrame, criterion: str) -> int:
    """The place of the first row with the highest value."""
    return int(rows[criterion].to_numpy(float).argmax())


def _figures(
    subject: Subject, title: str, trained: list[tuple[Shown, list[tuple[RunRecord, pd.DataFrame]]]]
) -> list[dict[str, Any]]:
    if subject.without_charts:
        return []
    from zslbench_report.html.charts.training import Track, figures

    charts = []
    for criterion, what in _CRITERIA:
        tracks, shown = [], []
        for one, tables in trained:
            middle = one.median
            for record, table in sorted(tables, key=lambda pair: pair[0] is middle):
                if criterion not in table.columns:
                    continue
                rows = _chosen(table, criterion)
                if rows.empty:
                    continue
                best = rows["epoch"].to_numpy(float)[_highest(rows, criterion)]
                tracks.append(
                    Track(
                        rows["epoch"].to_numpy(float),
                        100 * rows[criterion].to_numpy(float),
                        one.tone.ink,
                        one.tone.dash,
                        record is not middle,
                        int(best),
                        one.tone.marker,
                    )
                )
                if one not in shown:
                    shown.append(one)
        if tracks:
            told = f"{what} along the epochs on {title}: {', '.join(one.label for one in shown)}"
            svg = figures(tracks, what, subject.key("figures"), told)
            charts.append({"what": what, "svg": svg, "legend": [(one.label, one.tone) for one in shown]})
    return charts


def _losses(
    subject: Subject, one: Shown, tables: list[tuple[RunRecord, pd.DataFrame]], left: int
) -> dict[str, Any]:
    """A small chart per stage and loss of the middle seed: validation's fit grey, the final one coloured."""
    record, table = next((pair for pair in tables if pair[0] is one.median), tables[0])
    made: dict[str, Any] = {
        "label": one.label,
        "tone": one.tone,
        "seed": record.info.seed,
        "charts": [],
        "left_out": 0,
    }
    if subject.without_charts:
        return made
    from zslbench_report.html.charts.training import Track, loss

    stages = table["stage"].astype(str)
    parts = list(dict.fromkeys(stages.map(_part)))
    for part in parts:
        rows = table[stages.map(_part) == part]
        for column in [name for name in table.columns if name.endswith("_loss") and rows[name].notna().any()]:
            if len(made["charts"]) >= left:
                made["left_out"] += 1
                continue
            tracks = []
            for fold, colour in (("validation", ink("muted")), ("final", one.tone.ink)):
                here = rows[rows["stage"].astype(str).str.startswith(fold) & rows[column].notna()]
                if "candidate" in here.columns and here["candidate"].notna().any():
                    here = here[here["candidate"] == here["candidate"].min()]
                if len(here):
                    dash = (4.0, 2.0) if fold == "validation" else ()
                    tracks.append(
                        Track(here["epoch"].to_numpy(float), here[column].to_numpy(float), colour, dash)
                    )
            if tracks:
                name = f"{part}: {column.removesuffix('_loss').replace('_', ' ')}"
                told = f"{name} loss of {one.label} on {one.dataset}, seed {record.info.seed}"
                made["charts"].append(loss(tracks, name, subject.key("loss"), told))
    return made


def _part(stage: str) -> str:
    """A stage without its fold: ``"final/embedding/stage1"`` is ``"embedding/stage1"``."""
    return stage.partition("/")[2] or stage
