"""The table of results with its charts and audits, its missing cells, and variants of one method."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from zslbench.evaluation import Metric, criteria
from zslbench.experiment import PublishedResults
from zslbench.plugin import FULL
from zslbench.report import (
    Table,
    header_spans,
    interval,
    mean_std,
    published_lookup,
    selection_label,
    suite_findings,
    suite_table,
    table_notes,
)
from zslbench_audit import status_of
from zslbench_report.html.charts import Spread, spread_chart
from zslbench_report.html.report import Report, Series

# --- results -------------------------------------------------------------------------------------


def results(report: Report) -> Mapping[str, Any] | None:
    """The table, with a link from each method to its audit, and one chart per data set and figure."""
    published = published_lookup(report.outcome, PublishedResults.load())
    charts, any_published = [], False
    for dataset, metric in itertools.product(report.outcome.datasets, reversed(criteria())):
        spreads = []
        for series in report.series(dataset):
            found = published(series.line, dataset, str(series.records[0].data["semantics"]))
            figure = found.figures.get(metric.name, math.nan) if found else math.nan
            spreads += _spreads(series, metric, figure)
        spreads.sort(key=lambda one: -one.interval.mean)
        title = f"{metric.name} on {report.dataset_title(dataset)}"
        if svg := _spread_chart(report, "spread", title, spreads, metric):
            any_published |= any(math.isfinite(one.published) for one in spreads)
            charts.append({"title": title, "svg": svg})
    return {
        "shown": _shown(suite_table(report.outcome, metrics=report.metrics)),
        "audits": _audits(report),
        "charts": charts,
        "published": any_published,
    }


def _spreads(series: Series, metric: Metric, published: float = math.nan) -> list[Spread]:
    """The series as a row of a chart; empty: a seed lacks the figure."""
    values = tuple(series.percents(metric).values())
    complete = all(map(math.isfinite, values))
    return [Spread(series.label, series.tone, values, published)] if complete else []


def _spread_chart(
    report: Report, name: str, title: str, spreads: Sequence[Spread], metric: Metric, bars: bool = False
) -> Any:
    means = "; ".join(f"{one.label} {one.interval.mean:.1f}" for one in spreads)
    label = f"{title}, means in %: {means}"
    return report.draw(spread_chart, name, label, spreads, metric.name, bars=bars) if spreads else None


def findings(report: Report) -> Mapping[str, Any] | None:
    """What the table of a suite says, as far as its runs allow; a table for each finding."""
    tables = suite_findings(report.outcome, report.counterparts) if report.outcome.name else []
    return {"tables": list(map(_shown, tables))} if tables else None


def _shown(table: Table) -> dict[str, Any]:
    """A table as the macro ``figures`` shows it."""
    readers = table.for_readers()
    return {
        "table": readers,
        "headings": headings(readers),
        "levels": header_spans(readers.columns)[:-1],
        "notes": table_notes(readers, "bold", "underlined"),
    }


def headings(table: Table) -> list[tuple[str, bool, bool]]:
    """The lowest header of each column, whether it holds numbers, and whether it begins a data set."""
    tops = [column.header[0] for column in table.columns]
    lowest = header_spans(table.columns)[-1]
    return [
        (span.text, column.numeric, place > 0 and tops[place] != tops[place - 1])
        for place, (span, column) in enumerate(zip(lowest, table.columns, strict=True))
    ]


# --- audits --------------------------------------------------------------------------------------


def audits(report: Report) -> Mapping[str, Any] | None:
    """For each line with runs: whether it was audited, and what each probe found."""
    found = _audits(report)
    return {"found": list(found.values())} if found else None


def _audits(report: Report) -> dict[str, dict[str, Any]]:
    """By label of a line with runs its audit, with the id of its place on the page; empty without a store."""
    found: dict[str, dict[str, Any]] = {}
    for (label, _, _), records in report.cells.items():
        if report.store is not None and label not in found:
            audit = status_of(report.store, records[0])
            state = "not audited" if audit.state == "none" else audit.state
            found[label] = {"anchor": f"audit-{len(found)}", "label": label, "audit": audit, "state": state}
    return found


# --- missing cells -------------------------------------------------------------------------------


def missing(report: Report) -> Mapping[str, Any] | None:
    """One row per incomplete cell."""
    rows = [
        {
            "label": label,
            "dataset": report.dataset_title(dataset),
            "selection": selection_label(selection),
            "state": entry.state,
            "seeds": f"{len(entry.records)} of {len(report.outcome.seeds)}",
            "reason": entry.reason,
            "failures": sorted(entry.failures.items()),
        }
        for (label, dataset, selection), entry in report.outcome.entries.items()
        if entry.state not in ("done", "not applicable")
    ]
    return {"rows": rows, "cells": len(report.outcome.entries)} if rows else None


# --- variants ------------------------------------------------------------------------------------


def variants(report: Report) -> Mapping[str, Any] | None:
    """For each method with several variants and each data set: bars, and differences to the full method."""
    families: dict[tuple[Any, ...], list[Series]] = {}
    for series in (series for dataset in report.outcome.datasets for series in report.series(dataset)):
        key = (series.line.method, series.dataset, series.line.reading, series.median.info.selection)
        families.setdefault(key, []).append(series)
    panels = []
    for (method, dataset, *_), family in families.items():
        if len({series.line.variant for series in family}) > 1:
            title = f"{method} on {report.dataset_title(dataset)}"
            panels.append({"title": title, **_variants(report, title, family)})
    return {"panels": panels, "metrics": [one.name for one in reversed(criteria())]} if panels else None


def _variants(report: Report, title: str, family: list[Series]) -> dict[str, Any]:
    full = next((series for series in family if series.line.variant in (None, FULL)), None)
    rows = []
    for series in family:
        figures = [
            (mean_std(series.percents(one).values(), one).text, _difference(series, full, one))
            for one in reversed(criteria())
        ]
        rows.append({"label": series.label, "full": series is full, "figures": figures})
    charts = []
    for metric in reversed(criteria()):
        spreads = [one for series in family for one in _spreads(series, metric)]
        if len(spreads) > 1:
            label = f"{metric.name} of variants of {title}"
            charts.append(_spread_chart(report, "ablation", label, spreads, metric, bars=True))
    return {"charts": charts, "rows": rows, "full": full}


def _difference(series: Series, full: Series | None, metric: Metric) -> float | None:
    """Mean difference over the seeds that both have, in percentage points; None: there is none."""
    if full is None or series is full:
        return None
    own, others = series.percents(metric), full.percents(metric)
    mean = interval([own[seed] - others[seed] for seed in own if seed in others]).mean
    return mean if math.isfinite(mean) else None
