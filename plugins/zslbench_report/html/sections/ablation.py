"""Variants of one method beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zslbench.plugin.declarations import FULL
from zslbench.report.results import percent
from zslbench.report.statistics.intervals import interval
from zslbench.store.record import RunRecord
from zslbench_report.html.subject import Shown, Subject

ID = "ablation"
TITLE = "Variants of one method"

_FIGURES = (("H", "h"), ("Acc", "acc"))


def build(subject: Subject) -> Mapping[str, Any] | None:
    """For each method with several variants and each data set: bars, and differences to the whole method."""
    panels = []
    for dataset in subject.outcome.datasets:
        families: dict[tuple[str, str | None, str], list[Shown]] = {}
        for one in subject.shown(dataset):
            key = (one.line.method, one.line.reading, one.selection)
            families.setdefault(key, []).append(one)
        for (method, _, _), family in families.items():
            if len({one.line.variant for one in family}) > 1:
                panels.append(_panel(subject, method, dataset, family))
    return {"panels": panels} if panels else None


def _panel(subject: Subject, method: str, dataset: str, family: list[Shown]) -> dict[str, Any]:
    whole = next((one for one in family if one.line.variant in (None, FULL)), None)
    title = f"{method} on {subject.dataset_title(dataset)}"
    rows = [
        {
            "label": one.label,
            "whole": one is whole,
            "figures": [
                (_told(_values(one, metric)), _difference(one, whole, metric)) for _, metric in _FIGURES
            ],
        }
        for one in family
    ]
    charts = []
    if not subject.without_charts:
        from zslbench_report.html.charts.spread import Spread, spread

        for figure, metric in _FIGURES:
            shown = []
            for one in family:
                values = tuple(_values(one, metric).values())
                if values and all(map(math.isfinite, values)):
                    shown.append(Spread(one.label, one.tone, values, interval(values)))
            if len(shown) > 1:
                told = "; ".join(f"{one.label} {one.interval.mean:.1f}" for one in shown)
                label = f"{figure} of variants of {title}, means in %: {told}"
                charts.append(spread(shown, figure, subject.key("ablation"), label, bars=True))
    return {
        "title": title,
        "charts": charts,
        "rows": rows,
        "figures": [name for name, _ in _FIGURES],
        "whole": whole,
    }


def _values(one: Shown, metric: str) -> dict[int, float]:
    def value(record: RunRecord) -> float:
        return percent(record.metrics.get(metric))

    return {record.info.seed: value(record) for record in one.records}


def _told(values: Mapping[int, float]) -> str | None:
    found = interval(list(values.values()))
    if math.isnan(found.mean):
        return None
    return f"{found.mean:.1f}" if math.isnan(found.std) else f"{found.mean:.1f} ± {found.std:.1f}"


def _difference(one: Shown, whole: Shown | None, metric: str) -> float | None:
    """Mean over the seeds that both have, in percentage points."""
    if whole is None or one is whole:
        return None
    mine, others = _values(one, metric), _values(whole, metric)
    both = [mine[seed] - others[seed] for seed in mine if seed in others]
    mean = math.fsum(both) / len(both) if both else math.nan
    return mean if math.isfinite(mean) else None
