"""Bootstrap over classes: how far the figures of a single run depend on which classes were tested.

Acc is a mean over unseen classes, U over unseen and S over seen ones. The bootstrap (Efron 1987, BCa
intervals by SciPy) draws classes with replacement, seen and unseen independently, and recomputes the figures.
It estimates the variation over classes like these, not over seeds, which takes more runs.

Accuracies are in percent, NaN for a class without test images, which the mean over classes leaves out too.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zslbench.errors import DataError
from zslbench.evaluation.metrics import METRICS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LEAST_CLASSES = 5
"""With fewer classes there is no interval: too few distinct samples can be drawn."""
RESAMPLES = 9_999


@dataclass(frozen=True)
class ClassAccuracies:
    """Accuracy of each class of one run, in percent; arrays of one row per class."""

    unseen: tuple[str, ...]
    """Names of the unseen classes."""
    seen: tuple[str, ...]
    czsl: np.ndarray
    """CZSL accuracy of the unseen classes (unseen,)."""
    gzsl_unseen: np.ndarray
    """GZSL accuracy of the unseen classes (unseen,)."""
    gzsl_seen: np.ndarray
    """GZSL accuracy of the seen classes (seen,)."""

    @classmethod
    def of(cls, table: pd.DataFrame) -> ClassAccuracies:
        """From a run's table ``classes``, which has fractions (``record.table("classes")``)."""
        ordered = table.sort_values("class_id")
        unseen, seen = (ordered[ordered["side"] == side] for side in ("unseen", "seen"))
        parts = ((unseen, "czsl_accuracy"), (unseen, "gzsl_accuracy"), (seen, "gzsl_accuracy"))
        accuracies = (100 * part[column].to_numpy(float) for part, column in parts)
        return cls(tuple(unseen["name"]), tuple(seen["name"]), *accuracies)


@dataclass(frozen=True)
class ClassInterval:
    """A figure of one run, or the difference between two, with its interval over classes."""

    value: float
    """In percent, or percentage points; NaN: the run lacks this metric."""
    low: float
    """NaN where there is no interval, see ``reason``."""
    high: float
    classes: int
    """How many classes it is a mean over; of both sides for H."""
    reason: str = ""
    """Why there is no interval, one line; empty: there is one."""


def over_classes(run: ClassAccuracies, *, resamples: int = RESAMPLES) -> Mapping[str, ClassInterval]:
    """Acc, U, S and H of one run, each with its 95 % interval. Deterministic."""
    return _intervals([run], resamples)


def difference_over_classes(
    a: ClassAccuracies, b: ClassAccuracies, *, resamples: int = RESAMPLES
) -> Mapping[str, ClassInterval]:
    """Differences of two runs on one data set, ``a`` minus ``b``, computed on the same resampled classes.

    Raises:
        DataError: the runs were evaluated on different classes.
    """
    if (a.unseen, a.seen) != (b.unseen, b.seen):
        raise DataError(
            "two runs", ["evaluated on different classes"], "Compare runs on one data set and split"
        )
    return _intervals([a, b], resamples)


def _intervals(runs: list[ClassAccuracies], resamples: int) -> dict[str, ClassInterval]:
    import numpy as np

    arrays = {}
    for side, name in (("czsl", "czsl"), ("unseen", "gzsl_unseen"), ("seen", "gzsl_seen")):
        accuracies = np.stack([getattr(run, name) for run in runs])
        arrays[side] = accuracies[:, np.isfinite(accuracies).all(axis=0)]
    return {
        one.name: _interval([arrays[side] for side in one.classes], resamples)
        for one in METRICS.values()
        if one.classes
    }


def _interval(arrays: Sequence[np.ndarray], resamples: int) -> ClassInterval:
    """The interval of the mean of one (runs, classes) array, or of the harmonic mean of two means.

    Each array is resampled independently.
    """
    import numpy as np
    from scipy import stats

    counts = [array.shape[1] for array in arrays]
    if not all(counts):
        return ClassInterval(math.nan, math.nan, math.nan, sum(counts), "the run lacks this metric")

    def statistic(*drawn: Any, axis: int = -1) -> Any:
        """The first run's figure, minus the second's if any, for resampled class indices (..., classes)."""
        means = [a[:, which.astype(int)].mean(axis=-1) for a, which in zip(arrays, drawn, strict=True)]
        values = means[0]
        if len(means) == 2:
            u, s = means
            values = 2 * u * s / np.where(u + s > 0, u + s, 1)
        return values[0] - values[1] if len(values) == 2 else values[0]

    classes = tuple(np.arange(count) for count in counts)
    value = float(statistic(*classes))

    def without(reason: str) -> ClassInterval:
        return ClassInterval(value, math.nan, math.nan, sum(counts), reason)

    if all(bool((array == array[:, :1]).all()) for array in arrays):
        return without("the same for all classes: no interval")
    if min(counts) < LEAST_CLASSES:
        return without(f"{min(counts)} classes: no interval, at least {LEAST_CLASSES} are needed")
    with warnings.catch_warnings():
        # SciPy divides 0 by 0 if all classes have the same value; below this becomes "no interval".
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.bootstrap(
            classes,
            statistic,
            n_resamples=resamples,
            batch=1000,
            vectorized=True,
            confidence_level=0.95,
            method="BCa",
            rng=np.random.default_rng(0),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    if not (math.isfinite(low) and math.isfinite(high)):
        return without("the same for all classes: no interval")
    return ClassInterval(value, low, high, sum(counts))
