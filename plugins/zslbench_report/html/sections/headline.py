"""The suite's table, and its main figures as charts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zslbench.experiment import PublishedResults
from zslbench.report.results import percent
from zslbench.report.statistics.intervals import interval
from zslbench.report.tables.benchmark import benchmark_table
from zslbench.report.tables.published_of import published_of
from zslbench_report.html.sections.audits import WORDS, anchor, audit_of
from zslbench_report.html.subject import Subject
from zslbench_report.html.tables import Link, sortable

ID = "results"
TITLE = "Results"


def build(subject: Subject) -> Mapping[str, Any] | None:
    """The table, with a link from each method to its audit, and one chart per data set and figure."""
    links = {}
    for place, line in enumerate(subject.outcome.lines):
        found = audit_of(subject, line)
        if found is not None:
            links[line.label] = Link(WORDS[found.state], f"#{anchor(place)}", found.state)
    table = benchmark_table(subject.outcome)
    charts = [] if subject.without_charts else _charts(subject)
    return {
        "table": sortable(table, "audit" if links else None, links),
        "charts": charts,
        "published": any(one["published"] for one in charts),
    }


def _charts(subject: Subject) -> list[dict[str, Any]]:
    from zslbench_report.html.charts.spread import Spread, spread

    printed = published_of(subject.outcome, PublishedResults.load())
    charts = []
    for dataset in subject.outcome.datasets:
        for figure, metric in (("H", "h"), ("Acc", "acc")):
            rows = []
            for one in subject.shown(dataset):
                values = [percent(record.metrics.get(metric)) for record in one.records]
                if all(math.isfinite(value) for value in values):
                    found = printed(one.line, dataset, str(one.records[0].data["semantics"]))
                    given = found.figures[figure] if found else math.nan
                    rows.append(Spread(one.label, one.tone, tuple(values), interval(values), given))
            if rows:
                rows.sort(key=lambda row: -row.interval.mean)
                title = f"{figure} on {subject.dataset_title(dataset)}"
                told = "; ".join(f"{row.label} {row.interval.mean:.1f}" for row in rows)
                svg = spread(rows, figure, subject.key("spread"), f"{title}, means in %: {told}")
                any_printed = any(math.isfinite(row.published) for row in rows)
                charts.append({"title": title, "svg": svg, "published": any_printed})
    return charts
