"""Cells of figures over seeds: what they say to readers and to programs. Values in percent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zslbench.evaluation.metrics import Metric
from zslbench.report.results import number as number
from zslbench.report.statistics.intervals import Interval, interval
from zslbench.report.tables.model import Cell
from zslbench.store.record import RunRecord


@dataclass(frozen=True)
class Over:
    """A figure over the seeds of one line on one data set."""

    values: Mapping[int, float]
    """By seed; NaN where a run lacks it."""
    metric: Metric
    asked: int | None = None
    """How many seeds there should be; None: as many as there are."""

    @property
    def interval(self) -> Interval:
        """Mean, deviation and interval; nothing is averaged over a seed that lacks the figure."""
        return interval(self.values.values())

    @property
    def partial(self) -> bool:
        """Whether seeds are missing that were asked for."""
        return self.asked is not None and len(self.values) < self.asked

    @property
    def mark(self) -> str:
        """The number of seeds in brackets, where it is not the one asked for."""
        return f" ({len(self.values)})" if self.partial else ""


def over(records: Mapping[int, RunRecord], metric: Metric, asked: int | None = None) -> Over:
    """One metric of runs by seed."""
    return Over({seed: metric.of(one.metrics) for seed, one in records.items()}, metric, asked)


def signed(value: float, digits: int = 1) -> str | None:
    """With its sign, unless it rounds to nothing: ``"+0.4"``, ``"−1.2"``, ``"0.0"``; None for NaN."""
    if math.isnan(value):
        return None
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def spread_text(found: Interval, intervals: bool, digits: int = 1) -> str | None:
    """``"45.1 ± 0.3"``: the mean with its standard deviation, or with half of its interval.

    The mean alone where there is no such spread; None where a seed lacks the figure.
    """
    mean, spread = number(found.mean, digits), found.half if intervals else found.std
    return mean if mean is None or math.isnan(spread) else f"{mean} ± {spread:.{digits}f}"


def known(value: float) -> float | None:
    """The value for programs; None for NaN."""
    return None if math.isnan(value) else value


def words(names: Iterable[str], most: int = 12) -> str:
    """``"a, b and 3 more"``: a list that does not fill the page."""
    listed = list(dict.fromkeys(names))
    shown = ", ".join(listed[:most])
    return shown if len(listed) <= most else f"{shown} and {len(listed) - most} more"


def places(found: Iterable[tuple[str, str]], most: int = 12) -> str:
    """``"a on cub, sun; b on sun"`` of labels and data sets."""
    by_label: dict[str, list[str]] = {}
    for label, dataset in found:
        by_label.setdefault(label, []).append(dataset)
    listed = [f"{label} on {words(datasets)}" for label, datasets in by_label.items()]
    shown = "; ".join(listed[:most])
    return shown if len(listed) <= most else f"{shown} and {len(listed) - most} more"


EMPTY = Cell(None)
"""Nothing to say here."""
