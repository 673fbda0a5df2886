"""Seen-unseen curves, and figures and losses by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from zslbench.evaluation import METRICS, criteria
from zslbench.report import mean_std
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
    cells = {one.name: mean_std(series.percents(one).values(), one) for one in shown}
    texts = {name: cell.text for name, cell in cells.items()}
    return {"label": series.label, "tone": series.tone, **texts, "value": cells["AUSUC"].value}


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
    rows = table.dropna(subset=column) if column in table else table.iloc[:0]
    if "candidate" in rows and rows["candidate"].notna().any():
        rows = rows[rows["candidate"] == rows["candidate"].iloc[rows[column].argmax()]]
    return rows


def _losses(report: Report, series: Series, tables: _Tables, left: int) -> dict[str, Any]:
    """A small chart per stage and loss of the median seed, at most ``left``."""
    record, table = tables[0]
    found: list[tuple[str, list[Trace]]] = []
    # "final/embedding/stage1" and "validation/embedding/stage1" are one stage.
    stages = table["stage"].astype(str).str.replace("^[^/]*/(?=.)", "", regex=True)
    for stage, rows in table.groupby(stages, sort=False):
        for column in [name for name in rows.columns if name.endswith("_loss")]:
            if traces := _loss_traces(rows.dropna(subset=column), column, series.tone):
                found.append((f"{stage}: {column.removesuffix('_loss').replace('_', ' ')}", traces))
    about = f"loss of {series.label} on {series.dataset}, seed {record.info.seed}"
    charts = [
        report.draw(loss_chart, "loss", f"{name} {about}", traces, name) for name, traces in found[:left]
    ]
    return {
        "label": series.label,
        "tone": series.tone,
        "seed": record.info.seed,
        "charts": [chart for chart in charts if chart is not None],
        "left_out": len(found[left:]),
    }


# --- synthetic features ---------------------------------------------------------------------------

_SAMPLES = {
    "purity": "nearest to their class (share)",
    "distance": "distance of class means",
    "spread": "spread (real: 1)",
    "collapsed": "at one point (share)",
    "mean": "mean (thin: real)",
}
"""Statistics of samples, as ``--debug-samples`` records them."""


def sample_statistics(report: Report) -> Mapping[str, Any] | None:
    """For each method whose runs recorded them, statistics of synthetic features by epoch."""

    def panel(title: str, shown: list[Series]) -> dict[str, Any] | None:
        methods = []
        for series in shown:
            for record, table in _epoch_tables(report, series)[:1]:
                charts = [
                    report.draw(loss_chart, "samples", f"{what} of {series.label} on {title}", traces, what)
                    for name, what in _SAMPLES.items()
                    if (traces := _sample_traces(table, name, series.tone))
                ]
                if charts:
                    seed = record.info.seed
                    methods.append(
                        {"label": series.label, "tone": series.tone, "seed": seed, "charts": charts}
                    )
        return {"methods": methods} if methods else None

    return report.panels(panel)


def _sample_traces(table: pd.DataFrame, name: str, tone: Tone) -> list[Trace]:
    """Of seen classes in the final fit and, dashed, of validation classes on the validation fold."""
    found = []
    drawn = [("seen", name, tone, False), ("unseen", name, _VALIDATION, False)]
    drawn += [("seen", "real_mean", tone, True)] if name == "mean" else []
    for side, statistic, style, faint in drawn:
        column = f"samples_{side}_{statistic}"
        if column in table:
            fold = "validation" if side == "unseen" else "final"
            rows = _first_candidate(table.dropna(subset=column), fold)
            if len(rows):
                found.append(Trace(rows["epoch"].to_numpy(float), rows[column].to_numpy(float), style, faint))
    return found


def _first_candidate(rows: pd.DataFrame, fold: str) -> pd.DataFrame:
    part = rows[rows["stage"].astype(str).str.startswith(fold)]
    if "candidate" in part.columns and part["candidate"].notna().any():
        part = part[part["candidate"] == part["candidate"].min()]
    return part


def _loss_traces(rows: pd.DataFrame, column: str, tone: Tone) -> list[Trace]:
    """The loss of the first candidate on the validation fold, and that of the final fit."""
    traces = []
    for fold, style in (("validation", _VALIDATION), ("final", replace(tone, dash=()))):
        part = _first_candidate(rows, fold)
        if len(part):
            traces.append(Trace(part["epoch"].to_numpy(float), part[column].to_numpy(float), style))
    return traces
