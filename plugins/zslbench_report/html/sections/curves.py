"""Seen-unseen curves, and figures and losses by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from zslbench.evaluation import METRICS, criteria
from zslbench.report import interval, mean_std, percent
from zslbench.store import RunRecord
from zslbench_report.html.report import Report, Series
from zslbench_report.html.theme import ink

# --- seen-unseen curves --------------------------------------------------------------------------

_Tables = list[tuple[RunRecord, pd.DataFrame]]
"""A table of each seed's run."""


def seen_unseen_curves(report: Report) -> Mapping[str, Any] | None:
    """One chart per data set with one line per method, and a table of AUSUC and operating points."""
    panels = []
    for dataset in report.outcome.datasets:
        found = [(series, _curve_tables(report, series)) for series in report.series(dataset)]
        found = [(series, tables) for series, tables in found if tables]
        if found:
            title = report.dataset_title(dataset)
            rows = [_curve_row(series) for series, _ in found]
            panels.append({"title": title, "rows": rows, "svg": _curve_chart(report, title, found)})
    return {"panels": panels} if panels else None


def _curve_tables(report: Report, series: Series) -> _Tables:
    """The curve of each seed, the median one first."""
    tables = [(record, report.table(record, "curve", ("seen", "unseen"))) for record in series.median_first]
    return [(record, table) for record, table in tables if table is not None and len(table)]


def _curve_row(series: Series) -> dict[str, Any]:
    axes = [one for one in METRICS.values() if one.classes in (("unseen",), ("seen",))]
    shown = [METRICS["ausuc"], *axes]
    values = {one.key: [one.of(record.metrics) for record in series.records] for one in shown}
    area = interval(values["ausuc"]).mean
    return {
        "label": series.label,
        "tone": series.tone,
        **{one.name: mean_std(values[one.key], one).text for one in shown},
        "value": None if math.isnan(area) else area,
    }


def _curve_chart(report: Report, title: str, found: list[tuple[Series, _Tables]]) -> Any:
    if report.without_charts:
        return None
    from zslbench_report.html.charts import Curves, curve_chart

    methods = []
    for series, tables in found:
        seeds = tuple(
            (100 * table["seen"].to_numpy(float), 100 * table["unseen"].to_numpy(float))
            for _, table in tables
        )
        reported = [
            (percent(record.metrics.get("s")), percent(record.metrics.get("u"))) for record, _ in tables
        ]
        points = tuple(pair for pair in reported if all(map(math.isfinite, pair)))
        methods.append(Curves(series.label, series.tone, seeds, points))
    areas = "; ".join(f"{series.label} {_curve_row(series)['AUSUC'] or '–'}" for series, _ in found)
    return curve_chart(methods, report.key("curves"), f"Seen–unseen curves on {title}; AUSUC in %: {areas}")


# --- training ------------------------------------------------------------------------------------

MOST_CHARTS = 120
"""Loss charts in a report; they are what makes its file large."""

_CRITERIA = tuple(
    (f"{short}_{one.key}", f"{images} {one.name}")
    for short, images in (("val", "validation"), ("test", "test"))
    for one in reversed(criteria())
)


def training_curves(report: Report) -> Mapping[str, Any] | None:
    """For each data set the figures that epochs were chosen by, and each method's losses."""
    panels, left = [], MOST_CHARTS
    for dataset in report.outcome.datasets:
        tables = [(series, _epoch_tables(report, series)) for series in report.series(dataset)]
        if not tables:
            continue
        trained = [(series, found) for series, found in tables if found]
        title = report.dataset_title(dataset)
        methods = []
        for series, found in trained:
            methods.append(_losses(report, series, found, left))
            left -= len(methods[-1]["charts"])
        panels.append(
            {
                "title": title,
                "without_epochs": [series.label for series, found in tables if not found],
                "criteria": _criterion_charts(report, title, trained),
                "methods": methods,
            }
        )
    return {"panels": panels, "most": MOST_CHARTS} if any(panel["methods"] for panel in panels) else None


def _epoch_tables(report: Report, series: Series) -> _Tables:
    tables = [(record, report.table(record, "epochs", ())) for record in series.records]
    return [
        (record, table)
        for record, table in tables
        if table is not None and len(table) and {"stage", "epoch"} <= set(table.columns)
    ]


def _criterion_charts(
    report: Report, title: str, trained: list[tuple[Series, _Tables]]
) -> list[dict[str, Any]]:
    if report.without_charts:
        return []
    from zslbench_report.html.charts import Track, criterion_chart

    charts = []
    for criterion, what in _CRITERIA:
        tracks, legend = [], {}
        for series, tables in trained:
            median = series.median
            for record, table in sorted(tables, key=lambda pair: pair[0] is median):
                rows = _chosen_candidate(table, criterion)
                if rows.empty:
                    continue
                epochs, values = rows["epoch"].to_numpy(float), rows[criterion].to_numpy(float)
                tracks.append(
                    Track(
                        epochs,
                        100 * values,
                        series.tone.ink,
                        series.tone.dash,
                        faint=record is not median,
                        chosen=int(epochs[values.argmax()]),
                        marker=series.tone.marker,
                    )
                )
                legend[series.label] = series.tone
        if tracks:
            label = f"{what} by epoch on {title}: {', '.join(legend)}"
            svg = criterion_chart(tracks, what, report.key("figures"), label)
            charts.append({"what": what, "svg": svg, "legend": list(legend.items())})
    return charts


def _chosen_candidate(table: pd.DataFrame, criterion: str) -> pd.DataFrame:
    """The rows that have the criterion, of the candidate that was chosen (the one with the highest value)."""
    if criterion not in table.columns:
        return table.iloc[:0]
    rows = table[table[criterion].notna()]
    if "candidate" not in rows.columns or rows["candidate"].isna().all() or rows.empty:
        return rows
    best = rows["candidate"].to_numpy(float)[rows[criterion].to_numpy(float).argmax()]
    chosen: pd.DataFrame = rows[rows["candidate"] == best]
    return chosen


def _losses(report: Report, series: Series, tables: _Tables, left: int) -> dict[str, Any]:
    """A small chart per stage and loss of the median seed, at most ``left``."""
    record, table = next((pair for pair in tables if pair[0] is series.median), tables[0])
    charts: list[Any] = []
    left_out = 0
    if not report.without_charts:
        from zslbench_report.html.charts import loss_chart

        stages = table["stage"].astype(str).map(_without_fold)
        for stage in dict.fromkeys(stages):
            rows = table[stages == stage]
            for column in [name for name in rows.columns if name.endswith("_loss")]:
                tracks = _loss_tracks(rows[rows[column].notna()], column, series.tone.ink)
                if tracks and len(charts) >= left:
                    left_out += 1
                elif tracks:
                    name = f"{stage}: {column.removesuffix('_loss').replace('_', ' ')}"
                    label = f"{name} loss of {series.label} on {series.dataset}, seed {record.info.seed}"
                    charts.append(loss_chart(tracks, name, report.key("loss"), label))
    return {
        "label": series.label,
        "tone": series.tone,
        "seed": record.info.seed,
        "charts": charts,
        "left_out": left_out,
    }


def _loss_tracks(rows: pd.DataFrame, column: str, colour: str) -> list[Any]:
    """The loss of the first candidate on the validation fold, grey and dashed, and that of the final fit."""
    from zslbench_report.html.charts import Track

    tracks = []
    for fold, line_colour, dash in (("validation", ink("muted"), (4.0, 2.0)), ("final", colour, ())):
        of_fold = rows[rows["stage"].astype(str).str.startswith(fold)]
        if "candidate" in of_fold.columns and of_fold["candidate"].notna().any():
            of_fold = of_fold[of_fold["candidate"] == of_fold["candidate"].min()]
        if len(of_fold):
            epochs, values = of_fold["epoch"].to_numpy(float), of_fold[column].to_numpy(float)
            tracks.append(Track(epochs, values, line_colour, dash))
    return tracks


def _without_fold(stage: str) -> str:
    """``"final/embedding/stage1"`` as ``"embedding/stage1"``."""
    return stage.partition("/")[2] or stage
