"""Two lines of a table over the seeds that the store has of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zslbench.evaluation.metrics import headline_metrics
from zslbench.report.differences import without_seed
from zslbench.report.statistics.paired import Paired, compare_seeds
from zslbench.store.record import RunRecord


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
    for metric in headline_metrics():
        values = [{seed: metric.of(one.metrics) for seed, one in line.items()} for line in (a, b)]
        shown = [[of[seed] for seed in common] for of in values]
        if common and all(value == value for of in shown for value in of):  # no NaN: no seed lacks it
            means = [sum(of) / len(of) for of in shown]
            found.append(SeedPair(metric.name, means[0], means[1], compare_seeds(values[0], values[1])))
    return tuple(found)
