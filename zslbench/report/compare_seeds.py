"""Two lines of a table over the seeds that the store has of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zslbench.report.differences import without_seed
from zslbench.report.results import percent
from zslbench.report.statistics.paired import Paired, compare
from zslbench.store.record import RunRecord

PAIRED = {"acc": "Acc", "u": "U", "s": "S", "h": "H"}
"""Figures that are compared over seeds."""


@dataclass(frozen=True)
class SeedPair:
    """One figure of two lines, paired over seeds."""

    figure: str
    a: float
    """Mean of A's line over the seeds that both have, in percent."""
    b: float
    paired: Paired


def lines(a: RunRecord, b: RunRecord, records: Iterable[RunRecord]) -> tuple[dict[int, RunRecord], ...]:
    """All runs that differ from A, and from B, in nothing but the seed, by seed."""
    records = list(records)
    found: list[dict[int, RunRecord]] = []
    for one in (a, b):
        identity = without_seed(one)
        same = {other.info.seed: other for other in records if without_seed(other) == identity}
        found.append({**same, one.info.seed: one})
    return tuple(found)


def seed_pairs(a: dict[int, RunRecord], b: dict[int, RunRecord]) -> tuple[SeedPair, ...]:
    """Each figure that both lines have, compared over their common seeds; empty: they have none."""
    common = sorted(a.keys() & b.keys())
    found = []
    for key, figure in PAIRED.items():
        values = [{seed: percent(one.metrics.get(key)) for seed, one in line.items()} for line in (a, b)]
        shown = [[of[seed] for seed in common] for of in values]
        if common and all(value == value for of in shown for value in of):  # no NaN: no seed lacks it
            means = [sum(of) / len(of) for of in shown]
            found.append(SeedPair(figure, means[0], means[1], compare(values[0], values[1])))
    return tuple(found)
