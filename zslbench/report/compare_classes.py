"""Two runs class by class and image by image: wins, losses, and whether a difference can be chance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zslbench.store.record import RunRecord

if TYPE_CHECKING:
    import pandas as pd

PARTS = (("GZSL", "unseen"), ("GZSL", "seen"), ("CZSL", "unseen"))
"""Tasks and sides that have per-class figures."""


@dataclass(frozen=True)
class ClassPair:
    """One class in two runs; accuracies in percent."""

    task: str
    """``GZSL`` or ``CZSL``."""
    side: str
    name: str
    images: int
    a: float
    b: float

    @property
    def difference(self) -> float:
        """A less B, in percentage points."""
        return self.a - self.b


@dataclass(frozen=True)
class Tally:
    """In how many classes of a side one run is better than the other."""

    task: str
    side: str
    wins: int
    """Classes in which A is better."""
    losses: int
    ties: int


@dataclass(frozen=True)
class ImagePair:
    """Test images that only one of two runs gets right."""

    task: str
    side: str
    images: int
    both: int
    only_a: int
    only_b: int
    p: float
    """McNemar's exact test: the chance of so uneven a split of ``only_a + only_b`` images, were both runs
    equally good. It counts images, not classes, and takes them as independent."""

    @property
    def neither(self) -> int:
        return self.images - self.both - self.only_a - self.only_b


def class_pairs(a: RunRecord, b: RunRecord) -> tuple[ClassPair, ...]:
    """Every class that both runs have a figure of, by task and side, in the order of the data set."""
    both = a.table("classes").merge(
        b.table("classes"), on=["class_id", "name", "side"], suffixes=("_a", "_b")
    )
    found = []
    for task, side in PARTS:
        column = f"{task.lower()}_accuracy"
        for row in both[both["side"] == side].to_dict("records"):
            one, other = 100 * float(row[f"{column}_a"]), 100 * float(row[f"{column}_b"])
            if not (math.isnan(one) or math.isnan(other)):
                found.append(ClassPair(task, side, str(row["name"]), int(row["images_a"]), one, other))
    return tuple(found)


def tallies(pairs: Iterable[ClassPair]) -> tuple[Tally, ...]:
    """Wins, losses and ties of A for each task and side that has classes."""
    pairs = tuple(pairs)
    found = []
    for task, side in PARTS:
        signs = [_sign(one.difference) for one in pairs if (one.task, one.side) == (task, side)]
        if signs:
            found.append(Tally(task, side, signs.count(1), signs.count(-1), signs.count(0)))
    return tuple(found)


def extremes(pairs: Iterable[ClassPair], count: int) -> list[ClassPair]:
    """The ``count`` biggest wins and, below them, the ``count`` biggest losses of A, by difference.

    Of equal differences the class with more images goes first, then the name.
    """

    def order(one: ClassPair) -> tuple[float, int, str]:
        return -abs(one.difference), -one.images, one.name

    pairs = list(pairs)
    wins = sorted((one for one in pairs if _sign(one.difference) > 0), key=order)[:count]
    losses = sorted((one for one in pairs if _sign(one.difference) < 0), key=order)[:count]
    return [*wins, *reversed(losses)]


def image_pairs(a: RunRecord, b: RunRecord) -> tuple[ImagePair, ...]:
    """Right and wrong of two runs on the same test images; empty: they scored other images."""
    one, other = (record.table("predictions").sort_values("image") for record in (a, b))
    if list(one["image"]) != list(other["image"]) or list(one["label"]) != list(other["label"]):
        return ()
    found = []
    for task, side in PARTS:
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
    # Where no image is right in one run alone there is nothing to test.
    p = float(mcnemar([[both, only_a], [only_b, neither]], exact=True).pvalue) if only_a + only_b else 1.0
    return ImagePair(task, side, len(x), both, only_a, only_b, min(p, 1.0))


def _sign(difference: float) -> int:
    """Differences below a thousandth of a point come from rounding: no class has 100,000 images."""
    return 0 if abs(difference) < 1e-3 else 1 if difference > 0 else -1
