"""Metrics over the seeds or splits of a row as cells, ranked within their column. Values in percent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from zslbench.errors import SettingsError, did_you_mean
from zslbench.evaluation.metrics import Metric, criteria, headline_metrics
from zslbench.report.statistics import (
    SAME,
    Interval,
    Ranking,
    Unit,
    against_best,
    family_text,
    interval,
)
from zslbench.report.tables.model import Cell, Emphasis
from zslbench.store.record import RunRecord

EMPTY = Cell()


CHOSEN_EPOCHS = ("epochs", *(f"{one.key}_epoch" for one in reversed(criteria())))
"""Metrics with the epoch that a run chose."""


def is_closed_form(record: RunRecord) -> bool:
    """Whether the run chose no epoch because its method has none: every seed then gives the same figures."""
    epochs = [record.metrics[key] for key in CHOSEN_EPOCHS if key in record.metrics]
    return bool(epochs) and not any(epochs)


@dataclass(frozen=True)
class SeedValues:
    """A metric over the seeds of one row on one data set, or over its splits."""

    metric: Metric
    values: Mapping[Any, float]
    """By seed, or by split the mean over its seeds; NaN where a run lacks the metric."""
    requested: int | None = None
    """How many seeds or splits there should be; None: as many as there are."""
    unit: Unit = "seed"

    @classmethod
    def of(
        cls,
        records: Mapping[Any, RunRecord],
        metric: Metric,
        requested: int | None = None,
        unit: Unit = "seed",
    ) -> SeedValues:
        """From the runs by seed; over splits by data set and seed, where a split that lacks a seed of the
        others is left out. One seed of a closed form is enough."""
        if unit == "seed" and len(records) == 1 and all(map(is_closed_form, records.values())):
            requested = None
        values = {key: metric.of(record.metrics) for key, record in records.items()}
        if unit == "split":
            values = {
                split: math.fsum(values[split, seed] for seed in seeds) / len(seeds)
                for split, seeds in complete_splits(records).items()
            }
        return cls(metric, values, requested, unit)

    @cached_property
    def interval(self) -> Interval:
        """Mean, deviation and interval; missing if any seed or split lacks the metric."""
        return interval(self.values.values(), self.unit)

    @property
    def partial(self) -> bool:
        """Whether some of the requested seeds or splits are missing."""
        return self.requested is not None and len(self.values) < self.requested

    @property
    def mark(self) -> str:
        """The number of seeds or splits in brackets, where some are missing."""
        return f" ({len(self.values)})" if self.partial else ""

    def cell(self, *, intervals: bool = False) -> Cell:
        """The mean with its standard deviation, or with half of its interval; a note where it is missing."""
        found = self.interval
        cell = Cell(found.mean, spread=found.half if intervals else found.std, digits=self.metric.digits)
        return replace(cell, mark=self.mark) if cell.number else Cell(note=found.reason)


def complete_splits(runs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    """The seeds of each split that has every seed that any split has, from the splits and seeds of runs."""
    by_split: dict[str, set[int]] = {}
    for split, seed in runs:
        by_split.setdefault(split, set()).add(seed)
    seeds = set().union(*by_split.values())
    return {split: tuple(sorted(has)) for split, has in by_split.items() if has == seeds}


# --- ranking -------------------------------------------------------------------------------------


def rank_columns(
    rows: Mapping[str, Mapping[Any, RunRecord]],
    requested: int | None = None,
    metrics: Iterable[Metric] | None = None,
    unit: Unit = "seed",
) -> dict[str, Ranking]:
    """The ranking of rows by each metric, under its key.

    Rows that lack the metric or some of the requested seeds, or splits, take no part. Arguments are those of
    :meth:`SeedValues.of`.
    """
    found = {}
    for metric in headline_metrics() if metrics is None else metrics:
        column = {name: SeedValues.of(records, metric, requested, unit) for name, records in rows.items()}
        complete = {
            name: one.values
            for name, one in column.items()
            if one.values and not one.partial and not any(map(math.isnan, one.values.values()))
        }
        found[metric.key] = against_best(complete, higher=metric.higher_is_better, unit=unit)
    return found


def marked(cell: Cell, name: str, ranking: Ranking | None) -> Cell:
    """The cell of a row with its marks: all that share the best mean are best, which leaves no second."""
    if ranking is None or ranking.best is None or ranking.second is None or name not in ranking.verdicts:
        return cell
    best, second, mean = (ranking.verdicts[one].mean for one in (ranking.best, ranking.second, name))
    emphasis: Emphasis | None = None
    if abs(best - mean) <= SAME:
        emphasis = "best"
    elif abs(best - second) > SAME and abs(second - mean) <= SAME:
        emphasis = "second"
    return replace(cell, emphasis=emphasis, tied=name in ranking.tied and emphasis != "best")


def ranking_notes(rankings: Sequence[Ranking]) -> list[str]:
    """How ties were judged, and where they could not be; empty: nothing was ranked."""
    units = sorted({one.unit for one in rankings if one.comparisons})
    notes = [family_text(rankings[0].alpha, units)] if units else []
    if refused := {reason for one in rankings for reason in one.not_judged.values()}:
        notes.append(f"ties with the best are not judged everywhere: {word_list(sorted(refused), 3)}")
    return notes


# --- words ---------------------------------------------------------------------------------------


def word_list(names: Iterable[str], most: int = 12, separator: str = ", ") -> str:
    """``"a, b and 3 more"``: a list of bounded length, each name once."""
    listed = list(dict.fromkeys(names))
    shown = separator.join(listed[:most])
    return shown if len(listed) <= most else f"{shown} and {len(listed) - most} more"


def place_list(found: Iterable[tuple[str, str]], most: int = 12) -> str:
    """``"a on cub, sun; b on sun"`` of labels and data sets."""
    by_label: dict[str, list[str]] = {}
    for label, dataset in found:
        by_label.setdefault(label, []).append(dataset)
    places = (f"{label} on {word_list(datasets)}" for label, datasets in by_label.items())
    return word_list(places, most, "; ")


def parse_choices(text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """The names in ``--show A,B``; none where it was not given.

    Raises:
        SettingsError: an unknown name.
    """
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    for name in names:
        if name not in known:
            raise SettingsError(f"--show {name}: {did_you_mean(name, known)}")
    return names
