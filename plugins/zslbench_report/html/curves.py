"""Seen-unseen curves, and figures and losses by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from zslbench.evaluation import METRICS, criteria
from zslbench.report import interval, mean_std
from zslbench.store import RunRecord
from zslbench_report.html.charts import Trace, criterion_chart, curve_chart, loss_chart, thinned
from zslbench_report.html.report import Report, Series
from zslbench_report.theme import Tone

_Tables = list[tuple[RunRecord, pd.DataFrame]]
"""A table of each seed's run."""

_AXES = [one for one in METRICS.values() if one.classes in (("unseen",), ("seen",))]
"""U and S."""

# --- seen-unseen curves --------------------------------------------------------------------------


def seen_unseen_curves(report: Report) -> Mapping[str, Any] | None:
    """One chart per data set with one line per method, and a table of AUSUC and operating points."""

    def panel(title: str, shown: list[Series]) -> dict[str, Any] | None:
        read = [(series, report.tables(series.median_first, "curve", ("seen", "unseen"))) for series in shown]
        found = [(series, tables) for series, tables in read if tables]
        rows = [_curve_row(series) for series, _ in found]
        areas = "; ".join(f"{row['label']} {row['AUSUC'] or '–'}" for row in rows)
        traces = [trace for series, tables in found for trace in _curve_traces(series, tables)]
        label = f"Seen–unseen curves on {title}; AUSUC in %: {areas}"
        return {"rows": rows, "svg": report.draw(curve_chart, "curves", label, traces)} if rows else None

    return report.panels(panel)


def _curve_row(series: Series) -> dict[str, Any]:
    shown = [METRICS["ausuc"], *_AXES]
    values = {one.key: [one.of(record.metrics) for record in series.records] for one in shown}
    area = interval(values["ausuc"]).mean
    return {
        "label": series.label,
        "tone": series.tone,
        **{one.name: mean_std(values[one.key], one).text for one in shown},
        "value": None if math.isnan(area) else area,
    }


def _curve_traces(series: Series, tables: _Tables) -> list[Trace]:
    """The curve of each seed; the mark is its U and S."""
    traces = []
    for record, table in tables:
        u, s = (one.of(record.metrics) for one in _AXES)
        x, y = (100 * table[side].to_numpy(float) for side in ("unseen", "seen"))
        mark = (u, s) if math.isfinite(u + s) else None
        traces.append(Trace(*thinned(x, y, 0.25), series.tone, record is not tables[0][0], mark))
    return traces


# --- training ------------------------------------------------------------------------------------

MOST_CHARTS = 120
"""Loss charts in a report; they are what makes its file large."""

_CRITERIA = tuple(
    (f"{short}_{one.key}", f"{images} {one.name}")
    for short, images in (("val", "validation"), ("test", "test"))
    for one in reversed(criteria())
)
_VALIDATION = Tone("muted", "o", (4.0, 2.0))
"""How losses on the validation fold are drawn."""


def training_curves(report: Report) -> Mapping[str, Any] | None:
    """For each data set the figures that epochs were chosen by, and each method's losses."""
    left = MOST_CHARTS

    def panel(title: str, shown: list[Series]) -> dict[str, Any]:
        nonlocal left
        read = [(series, _epoch_tables(report, series)) for series in shown]
        trained = [(series, tables) for series, tables in read if tables]
        charts = [_criterion_chart(report, title, trained, *each) for each in _CRITERIA]
        methods = []
        for series, tables in trained:
            methods.append(_losses(report, series, tables, left))
            left -= len(methods[-1]["charts"])
        return {
            "without_epochs": [series.label for series, tables in read if not tables],
            "criteria": [chart for chart in charts if chart is not None],
            "methods": methods,
        }

    content = report.panels(panel, most=MOST_CHARTS)
    return content if content and any(one["methods"] for one in content["panels"]) else None


def _epoch_tables(report: Report, series: Series) -> _Tables:
    tables = report.tables(series.median_first, "epochs", ())
    return [(record, table) for record, table in tables if {"stage", "epoch"} <= set(table.columns)]


def _criterion_chart(
    report: Report, title: str, trained: list[tuple[Series, _Tables]], column: str, what: str
) -> dict[str, Any] | None:
    """A figure by epoch, with the epoch of its maximum marked; None: nothing to draw."""
    traces, legend = [], {}
    for series, tables in trained:
        for record, table in tables:
            rows = _chosen_candidate(table, column)
            if len(rows):
                epochs, values = rows["epoch"].to_numpy(float), 100 * rows[column].to_numpy(float)
                best = values.argmax()
                mark = (float(epochs[best]), float(values[best]))
                traces.append(Trace(epochs, values, series.tone, record is not series.median, mark))
                legend[series.label] = series.tone
    label = f"{what} by epoch on {title}: {', '.join(legend)}"
    svg = report.draw(criterion_chart, "figures", label, traces, what) if traces else None
    return {"what": what, "svg": svg, "legend": list(legend.items())} if svg else None


def _chosen_candidate(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows that have the figure, of the candidate that was chosen (the one with the highest value)."""
    if column not in table.columns:
        return table.iloc[:0]
    rows = table[table[column].notna()]
    if "candidate" not in rows.columns or rows["candidate"].isna().all() or rows.empty:
        return rows
    best = rows["candidate"].to_numpy(float)[rows[column].to_numpy(float).argmax()]
    chosen: pd.DataFrame = rows[rows["candidate"] == best]
    return chosen


def _losses(report: Report, series: Series, tables: _Tables, left: int) -> dict[str, Any]:
    """A small chart per stage and loss of the median seed, at most ``left``."""
    record, table = tables[0]
    charts: list[Any] = []
    left_out = 0
    stages = table["stage"].astype(str).map(_without_fold)
    for stage in dict.fromkeys(stages):
        rows = table[stages == stage]
        for column in [name for name in rows.columns if name.endswith("_loss")]:
            traces = _loss_traces(rows[rows[column].notna()], column, series.tone)
            name = f"{stage}: {column.removesuffix('_loss').replace('_', ' ')}"
            label = f"{name} loss of {series.label} on {series.dataset}, seed {record.info.seed}"
            if traces and len(charts) >= left:
                left_out += 1
            elif traces and (svg := report.draw(loss_chart, "loss", label, traces, name)) is not None:
                charts.append(svg)
    about = {"label": series.label, "tone": series.tone, "seed": record.info.seed}
    return {**about, "charts": charts, "left_out": left_out}


def _loss_traces(rows: pd.DataFrame, column: str, tone: Tone) -> list[Trace]:
    """The loss of the first candidate on the validation fold, and that of the final fit."""
    traces = []
    for fold, style in (("validation", _VALIDATION), ("final", replace(tone, dash=()))):
        part = rows[rows["stage"].astype(str).str.startswith(fold)]
        if "candidate" in part.columns and part["candidate"].notna().any():
            part = part[part["candidate"] == part["candidate"].min()]
        if len(part):
            traces.append(Trace(part["epoch"].to_numpy(float), part[column].to_numpy(float), style))
    return traces


def _without_fold(stage: str) -> str:
    """``"final/embedding/stage1"`` as ``"embedding/stage1"``."""
    return stage.partition("/")[2] or stage
