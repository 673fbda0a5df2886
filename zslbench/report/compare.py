"""Two runs side by side: what differs, figures with intervals, classes, images and seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zslbench.errors import ZslbenchError
from zslbench.evaluation.metrics import METRICS
from zslbench.report.compare_classes import (
    ClassPair,
    ImagePair,
    Tally,
    class_pairs,
    image_pairs,
    tallies,
)
from zslbench.report.differences import Difference, differences, refusals, warnings, without_seed
from zslbench.report.pairs_of_seeds import SeedPair, lines, seed_pairs
from zslbench.report.results import method_label, selection_mark
from zslbench.report.statistics.bootstrap import ClassAccuracies, ClassInterval, difference_over_classes
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

CLASSES = 5
"""Biggest wins and losses that are shown, of each."""


@dataclass(frozen=True)
class FigurePair:
    """One figure of two runs, in percent; NaN where a run has none."""

    figure: str
    a: float
    b: float
    over_classes: ClassInterval | None = None
    """The difference with its interval over classes; None: it is not a mean over classes."""

    @property
    def difference(self) -> float:
        """A less B, in percentage points."""
        return self.a - self.b


@dataclass(frozen=True)
class Comparison:
    """What is known of two runs beside each other. Differences are A less B; a win is one of A."""

    a: RunRecord
    b: RunRecord
    differences: tuple[Difference, ...]
    refusals: tuple[str, ...]
    """Why their figures cannot be compared; where there is one, all that follows is empty."""
    warnings: tuple[str, ...] = ()
    figures: tuple[FigurePair, ...] = ()
    classes: tuple[ClassPair, ...] = ()
    tallies: tuple[Tally, ...] = ()
    images: tuple[ImagePair, ...] = ()
    seeds: tuple[SeedPair, ...] = ()
    """Over the seeds that the store has of both lines, two at least; empty: it has none."""
    remarks: tuple[str, ...] = ()
    """What of this could not be made, and why."""

    @property
    def only_seed(self) -> bool:
        """Whether nothing that figures depend on differs but the seed."""
        return without_seed(self.a) == without_seed(self.b)

    @property
    def title(self) -> str:
        """Which run is A and which is B."""
        return f"A: {named(self.a)} · B: {named(self.b)}"

    def tables(self, classes: int = CLASSES) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Title and rows of each section that has something to tell, for readers."""
        from zslbench.report.compare_tables import tables

        return tables(self, classes)

    def rows(self, classes: int | None = None) -> list[dict[str, Any]]:
        """One row for everything, for programs: ``section``, ``name``, ``a``, ``b``, ``difference``, ...

        Args:
            classes: biggest wins and losses of each task; None: all classes.
        """
        from zslbench.report.compare_tables import rows

        return rows(self, classes)


def compare(
    a: RunRecord | str,
    b: RunRecord | str,
    *,
    store: Store | Path | str | None = None,
    seeds: bool | None = None,
) -> Comparison:
    """Set two runs side by side.

    Args:
        a, b: finished runs, or beginnings of their ids.
        store: where ids and further seeds are looked for; None: the default store.
        seeds: whether the lines that the runs belong to are compared over all seeds in the store; None: where
            there are two seeds of both.

    Raises:
        UnknownName: no run, or several, begin with an id.
        DataError: a run's files are damaged.
        ZslbenchError: both are one run.
    """
    where = store if isinstance(store, Store) else Store.default(store)
    one, other = (run if isinstance(run, RunRecord) else where.resolve(run) for run in (a, b))
    if one.info.id == other.info.id:
        raise ZslbenchError(f"run {one.info.id} is given twice: name two runs (zslbench runs lists them)")
    found, refused = differences(one, other), refusals(one, other)
    of_classes = None if refused else [ClassAccuracies.of(run.table("classes")) for run in (one, other)]
    if of_classes and _names(of_classes[0]) != _names(of_classes[1]):
        refused = ("the runs were evaluated on different classes",)
    if refused or of_classes is None:
        return Comparison(one, other, found, refused)
    pairs, images = class_pairs(one, other), image_pairs(one, other)
    over_seeds, remark = _over_seeds(one, other, where) if seeds is not False else ((), "")
    remarks = [] if images else ["the runs scored other test images: nothing is compared image by image"]
    remarks += [remark] if remark and seeds else []
    return Comparison(
        one,
        other,
        found,
        (),
        warnings(one, other),
        _figures(one, other, difference_over_classes(of_classes[0], of_classes[1])),
        pairs,
        tallies(pairs),
        images,
        over_seeds,
        tuple(remarks),
    )


def named(record: RunRecord) -> str:
    """A run as a comparison calls it: ``"sc-egg [authors] on toy, seed 0, val, run 0123abcd"``."""
    info = record.info
    what = f"{method_label(record)} on {info.dataset}, seed {info.seed}"
    return f"{what}{selection_mark(record)}, run {info.id[:8]}"


def _names(classes: ClassAccuracies) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return classes.unseen, classes.seen


def _over_seeds(a: RunRecord, b: RunRecord, store: Store) -> tuple[tuple[SeedPair, ...], str]:
    """The lines of both runs over common seeds, two at least, or why that cannot be."""
    if without_seed(a) == without_seed(b):
        return (), "both runs are of one line and differ in their seed alone: there are no lines to compare"
    of_a, of_b = lines(a, b, store.records())
    common = len(of_a.keys() & of_b.keys())
    if common < 2:
        have = f"{len(of_a)} of A's line, {len(of_b)} of B's, {common} in common"
        return (), f"the store has too few seeds to pair ({have}): run both with --seeds N"
    return seed_pairs(of_a, of_b), ""


def _figures(a: RunRecord, b: RunRecord, over: Mapping[str, ClassInterval]) -> tuple[FigurePair, ...]:
    found = []
    for metric in METRICS.values():
        values = [metric.of(one.metrics) for one in (a, b)]
        if not all(math.isnan(value) for value in values):
            found.append(FigurePair(metric.name, values[0], values[1], over.get(metric.name)))
    return tuple(found)
