"""Bootstrap over classes: how far the figures of a single run depend on which classes were tested.

Acc is a mean over unseen classes, U over unseen and S over seen ones. The bootstrap (Efron 1987, BCa
intervals by SciPy) draws classes with replacement, seen and unseen independently, and recomputes the figures.
It estimates the variation over classes like these, not over seeds, which takes more runs.

The functions take a run's table ``classes`` (``record.table("classes")``). A class without test images has no
accuracy, and the mean over classes leaves it out.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zslbench.errors import DataError
from zslbench.evaluation.metrics import METRICS
from zslbench.report.statistics import Interval

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LEAST_CLASSES = 5
"""With fewer classes there is no interval: too few distinct samples can be drawn."""
RESAMPLES = 9_999

_COLUMNS = {
    "czsl": ("unseen", "czsl_accuracy"),
    "unseen": ("unseen", "gzsl_accuracy"),
    "seen": ("seen", "gzsl_accuracy"),
}
"""Side and column of the accuracies that a metric is a mean over, by their name in ``Metric.classes``."""


def over_classes(classes: pd.DataFrame, *, resamples: int = RESAMPLES) -> Mapping[str, Interval]:
    """Acc, U, S and H of one run in percent, each with its 95 % interval over ``n`` classes. Deterministic.

    ``n`` counts the classes of both sides for H; there is no ``std``. A metric that the run lacks is NaN.
    """
    return _intervals([classes], resamples)


def difference_over_classes(
    a: pd.DataFrame, b: pd.DataFrame, *, resamples: int = RESAMPLES
) -> Mapping[str, Interval]:
    """Differences of two runs on one data set, ``a`` minus ``b``, computed on the same resampled classes.

    Raises:
        DataError: the runs were evaluated on different classes.
    """
    if class_names(a) != class_names(b):
        raise DataError(
            "two runs", ["evaluated on different classes"], "Compare runs on one data set and split"
        )
    return _intervals([a, b], resamples)


def class_names(classes: pd.DataFrame) -> list[tuple[str, str]]:
    """Side and name of each class, unseen ones first."""
    ordered = classes.sort_values(["side", "class_id"], ascending=[False, True])
    return list(zip(ordered["side"], ordered["name"], strict=True))


def _intervals(tables: Sequence[pd.DataFrame], resamples: int) -> dict[str, Interval]:
    import numpy as np

    arrays = {}
    for name, (side, column) in _COLUMNS.items():
        parts = (table[table["side"] == side].sort_values("class_id")[column] for table in tables)
        accuracies = np.stack([100 * part.to_numpy(float) for part in parts])
        arrays[name] = accuracies[:, np.isfinite(accuracies).all(axis=0)]
    return {
        one.name: _interval([arrays[name] for name in one.classes], resamples)
        for one in METRICS.values()
        if one.classes
    }


def _interval(arrays: Sequence[np.ndarray], resamples: int) -> Interval:
    """The interval of the mean of one (runs, classes) array, or of the harmonic mean of two means.

    Each array is resampled independently.
    """
    import numpy as np
    from scipy import stats

    counts = [array.shape[1] for array in arrays]

    def found(value: float, low: float = math.nan, high: float = math.nan, reason: str = "") -> Interval:
        return Interval(sum(counts), value, math.nan, low, high, reason)

    if not all(counts):
        return found(math.nan, reason="the run lacks this metric")

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
    if all(bool((array == array[:, :1]).all()) for array in arrays):
        return found(value, reason="the same for all classes: no interval")
    if min(counts) < LEAST_CLASSES:
        reason = f"{min(counts)} classes: no interval, at least {LEAST_CLASSES} are needed"
        return found(value, reason=reason)
    with warnings.catch_warnings():
        # SciPy divides 0 by 0 if all classes have the same value; below this becomes "no interval".
        warnings.simplefilter("ignore", RuntimeWarning)
        drawn = stats.bootstrap(
            classes,
            statistic,
            n_resamples=resamples,
            batch=1000,
            vectorized=True,
            confidence_level=0.95,
            method="BCa",
            rng=np.random.default_rng(0),
        ).confidence_interval
    low, high = float(drawn.low), float(drawn.high)
    if not (math.isfinite(low) and math.isfinite(high)):
        return found(value, reason="the same for all classes: no interval")
    return found(value, low, high)
