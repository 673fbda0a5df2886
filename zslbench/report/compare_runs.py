"""Comparing two runs: what differs, metrics with intervals, classes, images and seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zslbench.errors import ZslbenchError
from zslbench.evaluation.metrics import METRICS, headline_metrics
from zslbench.report.bootstrap import ClassAccuracies, ClassInterval, difference_over_classes
from zslbench.report.differences import differences, refusals, warnings, without_seed
from zslbench.report.run_pair import ClassPair, Comparison, FigurePair, ImagePair, SeedPair, Tally
from zslbench.report.statistics import compare_seeds
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

_PARTS = (("GZSL", "unseen"), ("GZSL", "seen"), ("CZSL", "unseen"))
"""Tasks and sides that have figures of each class."""


def compare(
    a: RunRecord | str,
    b: RunRecord | str,
    *,
    store: Store | Path | str | None = None,
    seeds: bool | None = None,
) -> Comparison:
    """Compare two runs.

    Args:
        a, b: finished runs, or beginnings of their ids.
        store: where ids and further seeds are looked for; None: the default store.
        seeds: whether the runs are also compared over all seeds in the store, each with the runs that differ
            from it in the seed only; None: if there are two seeds of both.

    Raises:
        UnknownName: no run, or several, begin with an id.
        DataError: a run's files are damaged.
        ZslbenchError: both are the same run.
    """
    where = store if isinstance(store, Store) else Store.default(store)
    one, other = (run if isinstance(run, RunRecord) else where.resolve(run) for run in (a, b))
    if one.info.id == other.info.id:
        raise ZslbenchError(f"run {one.info.id} is given twice: name two runs (zslbench runs lists them)")
    found, refused = differences(one, other), refusals(one, other)
    accuracies = [] if refused else [ClassAccuracies.of(run.table("classes")) for run in (one, other)]
    if len({(run.unseen, run.seen) for run in accuracies}) > 1:
        refused = ("the runs were evaluated on different classes",)
    if refused:
        return Comparison(one, other, found, refused)
    pairs, images = class_pairs(one, other), image_pairs(one, other)
    over_seeds, remark = _over_seeds(one, other, where) if seeds is not False else ((), "")
    remarks = [] if images else ["the runs scored different test images: no comparison image by image"]
    remarks += [remark] if remark and seeds else []
    return Comparison(
        one,
        other,
        found,
        (),
        warnings(one, other),
        _figures(one, other, difference_over_classes(*accuracies)),
        pairs,
        tallies(pairs),
        images,
        over_seeds,
        tuple(remarks),
    )


def _figures(a: RunRecord, b: RunRecord, over: Mapping[str, ClassInterval]) -> tuple[FigurePair, ...]:
    pairs = (
        FigurePair(one, one.of(a.metrics), one.of(b.metrics), over.get(one.name)) for one in METRICS.values()
    )
    return tuple(one for one in pairs if not (math.isnan(one.a) and math.isnan(one.b)))


# --- classes and images --------------------------------------------------------------------------


def class_pairs(a: RunRecord, b: RunRecord) -> tuple[ClassPair, ...]:
    """Every class that both runs have an accuracy of, by task and side, in the order of the data set."""
    both = a.table("classes").merge(
        b.table("classes"), on=["class_id", "name", "side"], suffixes=("_a", "_b")
    )
    found = []
    for task, side in _PARTS:
        column = f"{task.lower()}_accuracy"
        for row in both[both["side"] == side].to_dict("records"):
            one, other = 100 * float(row[f"{column}_a"]), 100 * float(row[f"{column}_b"])
            if not (math.isnan(one) or math.isnan(other)):
                found.append(ClassPair(task, side, str(row["name"]), int(row["images_a"]), one, other))
    return tuple(found)


def tallies(pairs: Iterable[ClassPair]) -> tuple[Tally, ...]:
    """Wins, losses and ties of A for each task and side that has classes."""
    signs: dict[tuple[str, str], list[int]] = {part: [] for part in _PARTS}
    for one in pairs:
        signs[one.task, one.side].append(one.sign)
    return tuple(
        Tally(*part, found.count(1), found.count(-1), found.count(0))
        for part, found in signs.items()
        if found
    )


def image_pairs(a: RunRecord, b: RunRecord) -> tuple[ImagePair, ...]:
    """Right and wrong of two runs on the same test images; empty: they scored different images."""
    one, other = (record.table("predictions").sort_values("image") for record in (a, b))
    if list(one["image"]) != list(other["image"]) or list(one["label"]) != list(other["label"]):
        return ()
    found = []
    for task, side in _PARTS:
        column = f"{task.lower()}_correct"
        if column in one.columns and column in other.columns:
            found.append(_paired(task, side, one, other, column))
    return tuple(pair for pair in found if pair.images)


def _paired(task: str, side: str, one: pd.DataFrame, other: pd.DataFrame, column: str) -> ImagePair:
    from statsmodels.stats.contingency_tables import mcnemar

    rows = (one["side"] == side).to_numpy()
    x, y = one[column].to_numpy(bool)[rows], other[column].to_numpy(bool)[rows]
    both, only_a, only_b = int((x & y).sum()), int((x & ~y).sum()), int((~x & y).sum())
    neither = len(x) - both - only_a - only_b
    # If no image is right in one run only, there is nothing to test.
    p = float(mcnemar([[both, only_a], [only_b, neither]], exact=True).pvalue) if only_a + only_b else 1.0
    return ImagePair(task, side, len(x), both, only_a, only_b, min(p, 1.0))


# --- seeds ---------------------------------------------------------------------------------------


def _over_seeds(a: RunRecord, b: RunRecord, store: Store) -> tuple[tuple[SeedPair, ...], str]:
    """Both runs with their other seeds, compared over common seeds, or the reason why that is impossible."""
    if without_seed(a) == without_seed(b):
        return (), "the runs differ in their seed only: there are no two groups of seeds to compare"
    records = store.records()
    of_a, of_b = _seeds_of(a, records), _seeds_of(b, records)
    common = len(of_a.keys() & of_b.keys())
    if common < 2:
        found = f"{len(of_a)} of A, {len(of_b)} of B, {common} in common"
        return (), f"the store has too few seeds to pair ({found}): run both with --seeds N"
    return seed_pairs(of_a, of_b), ""


def _seeds_of(run: RunRecord, records: Iterable[RunRecord]) -> dict[int, RunRecord]:
    """All runs that differ from this one in nothing but the seed, by seed."""
    identity = without_seed(run)
    same = {other.info.seed: other for other in records if without_seed(other) == identity}
    return {**same, run.info.seed: run}


def seed_pairs(a: Mapping[int, RunRecord], b: Mapping[int, RunRecord]) -> tuple[SeedPair, ...]:
    """Each headline metric that both have for all common seeds; empty: there are none."""
    common = sorted(a.keys() & b.keys())
    found = []
    for metric in headline_metrics():
        one, other = ({seed: metric.of(run.metrics) for seed, run in runs.items()} for runs in (a, b))
        means = [sum(values[seed] for seed in common) / max(len(common), 1) for values in (one, other)]
        if common and not any(map(math.isnan, means)):
            found.append(SeedPair(metric, means[0], means[1], compare_seeds(one, other)))
    return tuple(found)
