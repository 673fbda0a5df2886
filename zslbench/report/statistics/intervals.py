"""Mean, standard deviation and confidence interval of a figure over seeds. Values in percent.

The interval is Student's: mean ± t · s / √n with n − 1 degrees of freedom (Student 1908). It covers the mean
over seeds for this data set, split and set of classes. SciPy is imported on the first interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SAME = 1e-9
"""Values within this many percentage points are equal: one image in a million makes a larger difference."""


@dataclass(frozen=True)
class Interval:
    """A figure over seeds."""

    n: int
    """The number of seeds."""
    mean: float
    """NaN: there is no seed, or one of them has no figure."""
    std: float
    """Sample standard deviation (n − 1); NaN for fewer than two seeds."""
    low: float
    """Lower end of the interval; NaN: there is none, see ``reason``."""
    high: float
    confidence: float = 0.95
    reason: str = ""
    """Why there is no interval, one line; empty: there is one."""

    def __contains__(self, value: float) -> bool:
        """Whether the value lies in the closed interval; False if there is none."""
        return self.low <= value <= self.high

    @property
    def half(self) -> float:
        """Half the interval's width: ``mean ± half``."""
        return (self.high - self.low) / 2


def interval(values: Iterable[float], confidence: float = 0.95) -> Interval:
    """Mean, sample standard deviation and Student-t interval.

    There is no interval for one seed, nor if all seeds gave the same value: repeating a closed-form solution
    does not produce a sample. One NaN makes everything NaN; no seed is silently dropped.

    Args:
        values: one per seed.
        confidence: level of the interval, between 0 and 1.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence}: give a share between 0 and 1, as 0.95")
    values = [float(value) for value in values]
    n, nan = len(values), math.nan

    def without(reason: str, mean: float = nan, std: float = nan) -> Interval:
        return Interval(n, mean, std, nan, nan, confidence, reason)

    if not n:
        return without("no seed: no interval")
    if not all(math.isfinite(value) for value in values):
        return without("a seed has no figure")
    if n == 1:
        return without("one seed: no interval", values[0])
    if max(values) - min(values) <= SAME:
        return without("the same for every seed: no interval", values[0], 0.0)
    mean = math.fsum(values) / n
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    from scipy import stats

    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * std / math.sqrt(n)
    return Interval(n, mean, std, mean - half, mean + half, confidence)
