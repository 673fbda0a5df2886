"""Bootstrap over classes: how far the figures of a single run depend on which classes were tested.

Acc is a mean over unseen classes, U over unseen and S over seen ones. The bootstrap (Efron 1987, BCa
intervals by SciPy) draws classes with replacement, seen and unseen independently, and recomputes the figures.
It estimates the variation over classes like these, not over seeds, which takes more runs.

Accuracies are in percent, NaN for a class without test images, which the mean over classes leaves out too.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
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
        return cls(
            tuple(unseen["name"]),
            tuple(seen["name"]),
            100 * unseen["czsl_accuracy"].to_numpy(float),
            100 * unseen["gzsl_accuracy"].to_numpy(float),
            100 * seen["gzsl_accuracy"].to_numpy(float),
        )


@dataclass(frozen=True)
class ClassInterval:
    """A figure of one run, or the difference between two, with its interval over classes."""

    value: float
    """In percent, or percentage points; NaN: the run has no such figure."""
    low: float
    """NaN where there is no interval, see ``reason``."""
    high: float
    classes: int
    """How many classes it is a mean over; of both sides for H."""
    reason: str = ""
    """Why there is no interval, one line; empty: there is one."""


def over_classes(
    run: ClassAccuracies, *, confidence: float = 0.95, resamples: int = RESAMPLES
) -> Mapping[str, ClassInterval]:
    """Acc, U, S and H of one run, each with its interval. Deterministic.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    return _intervals([run], confidence, resamples)


def difference_over_classes(
    a: ClassAccuracies, b: ClassAccuracies, *, confidence: float = 0.95, resamples: int = RESAMPLES
) -> Mapping[str, ClassInterval]:
    """Differences of two runs on one data set, ``a`` minus ``b``, computed on the same resampled classes.

    Raises:
        DataError: the runs were evaluated on different classes.
        ValueError: ``confidence`` is not between 0 and 1.
    """
    if (a.unseen, a.seen) != (b.unseen, b.seen):
        raise DataError(
            "two runs", ["evaluated on different classes"], "Compare runs on one data set and split"
        )
    return _intervals([a, b], confidence, resamples)


def _intervals(runs: list[ClassAccuracies], confidence: float, resamples: int) -> dict[str, ClassInterval]:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence}: give a share between 0 and 1, as 0.95")
    import numpy as np

    arrays = {
        side: _tested(np.stack([getattr(run, name) for run in runs]))
        for side, name in (("czsl", "czsl"), ("unseen", "gzsl_unseen"), ("seen", "gzsl_seen"))
    }

    def mean(x: Any) -> Any:
        return x.mean(axis=-1)

    def harmonic(u: Any, s: Any) -> Any:
        u, s = mean(u), mean(s)
        return 2 * u * s / np.where(u + s > 0, u + s, 1)

    return {
        one.name: _one(
            [arrays[side] for side in one.classes],
            mean if len(one.classes) == 1 else harmonic,
            confidence,
            resamples,
        )
        for one in METRICS.values()
        if one.classes
    }


def _one(arrays: list[Any], figure: Callable[..., Any], confidence: float, resamples: int) -> ClassInterval:
    """Interval of a figure of (runs, classes) arrays, each resampled independently."""
    import numpy as np
    from scipy import stats

    classes = [array.shape[1] for array in arrays]
    if not all(classes):
        return ClassInterval(math.nan, math.nan, math.nan, sum(classes), "the run has no such figure")

    def statistic(*drawn: Any, axis: int = -1) -> Any:
        """The first run's figure, minus the second's if any, for resampled class indices (..., classes)."""
        values = figure(*(array[:, which.astype(int)] for array, which in zip(arrays, drawn, strict=True)))
        return values[0] - values[1] if len(values) == 2 else values[0]

    numbers = tuple(np.arange(count) for count in classes)
    value = float(statistic(*numbers))

    def without(reason: str) -> ClassInterval:
        return ClassInterval(value, math.nan, math.nan, sum(classes), reason)

    if all(bool((array == array[:, :1]).all()) for array in arrays):
        return without("the same for all classes: no interval")
    if min(classes) < LEAST_CLASSES:
        return without(f"{min(classes)} classes: no interval, at least {LEAST_CLASSES} are needed")
    with warnings.catch_warnings():
        # SciPy divides 0 by 0 if all classes have the same value; below this becomes "no interval".
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.bootstrap(
            numbers,
            statistic,
            n_resamples=resamples,
            batch=1000,
            vectorized=True,
            confidence_level=confidence,
            method="BCa",
            rng=np.random.default_rng(0),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    if not (math.isfinite(low) and math.isfinite(high)):
        return without("the same for all classes: no interval")
    return ClassInterval(value, low, high, sum(classes))


def _tested(accuracies: Any) -> Any:
    """The columns (classes) for which every run has an accuracy."""
    import numpy as np

    return accuracies[:, np.isfinite(accuracies).all(axis=0)]
