"""Orders of methods: ranks with what few seeds can show of them, and how far two orders agree.

NumPy and SciPy are imported on the first call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zslbench.report.statistics import SAME, Interval, interval

LEAST_METHODS = 5
"""With fewer methods the agreement of two orders has no interval."""

BATCHES = 10
"""Of 1000 resamples each."""


@dataclass(frozen=True)
class Rank:
    """A method's place in an order."""

    rank: int
    """By mean, 1 the best; methods with equal means share the better one."""
    low: int
    """The best rank that its seeds leave possible."""
    high: int
    """The worst one."""

    @property
    def text(self) -> str:
        """``3 (2–6)``."""
        return f"{self.rank} ({self.low}–{self.high})"


def ranks(
    values: Mapping[str, Mapping[Any, float]], alpha: float = 0.05, *, higher: bool = True
) -> dict[str, Rank]:
    """The rank of each method among these, each with a confidence interval of level ``1 - alpha``.

    The interval follows from the methods that differ from it by Welch's t test, Bonferroni-corrected over its
    comparisons with all others. It covers the rank of the true mean with this probability or more, ties
    included (Bazylik et al. 2021), if values are normally distributed over seeds. A method with the same
    value for every seed is a constant: it differs from another constant if their values do. Methods with a
    single seed, or without a value for one, are left out: their variation is unknown.
    """
    import numpy as np
    from scipy import stats

    found = {name: interval(of.values()) for name, of in values.items() if len(of) > 1}
    found = {name: one for name, one in found.items() if math.isfinite(one.mean)}
    if not found:
        return {}
    mean, std, n = (np.array([getattr(one, name) for one in found.values()]) for name in ("mean", "std", "n"))
    ahead = (mean[:, None] - mean) * (1 if higher else -1)
    ahead[abs(ahead) <= SAME] = 0
    part = std**2 / n
    with np.errstate(divide="ignore", invalid="ignore"):  # of two constants
        total = part[:, None] + part
        freedom = total**2 / ((part**2 / (n - 1))[:, None] + part**2 / (n - 1))
        p = 2 * stats.t.sf(abs(ahead) / np.sqrt(total), freedom)
    p = np.where(total > 0, p, ahead == 0)
    differs = p <= alpha / max(1, len(found) - 1)
    rank = 1 + (ahead < 0).sum(axis=1)
    low, high = 1 + (differs & (ahead < 0)).sum(axis=1), len(found) - (differs & (ahead > 0)).sum(axis=1)
    return {name: Rank(int(rank[i]), int(low[i]), int(high[i])) for i, name in enumerate(found)}


RANKS_NOTE = (
    "rank by mean over seeds; in brackets: the 95 % interval of the rank. A method counts as ahead of "
    "another only where Welch's t test at 5 % says so, Bonferroni-corrected over the comparisons of each "
    "method; this assumes normally distributed figures, and covers other seeds, not other classes, data or "
    "features"
)


def order_agreement(one: Mapping[str, float], other: Mapping[str, float]) -> Interval:
    """Kendall's τ-b of two orders of methods, given by a figure of each, with a 95 % interval over methods.

    The interval is a percentile bootstrap that draws methods: it shows how far τ depends on which methods are
    compared, as if they were a sample of methods; the figures count as exact. ``n`` is the number of methods
    that have both figures; there is no ``std``.
    """
    import numpy as np

    names = [
        name for name in one if name in other and math.isfinite(one[name]) and math.isfinite(other[name])
    ]
    n = len(names)

    def found(tau: float, low: float = math.nan, high: float = math.nan, reason: str = "") -> Interval:
        return Interval(n, tau, math.nan, low, high, reason)

    x, y = (np.array([of[name] for name in names], float) for of in (one, other))
    order = [np.where(abs(gap := v[:, None] - v) <= SAME, 0, np.sign(gap)) for v in (x, y)]

    def tau(drawn: Any) -> Any:
        """Of methods (..., n), which may repeat: the pairs of a method with itself are tied in both."""
        a, b = (one[drawn[..., :, None], drawn[..., None, :]] for one in order)
        pairs = np.sqrt((a != 0).sum(axis=(-2, -1)) * (b != 0).sum(axis=(-2, -1)))
        with np.errstate(invalid="ignore"):
            return (a * b).sum(axis=(-2, -1)) / pairs

    value = float(tau(np.arange(n))) if n else math.nan
    if math.isnan(value):
        return found(value, reason="fewer than two methods differ")
    if n < LEAST_METHODS:
        return found(value, reason=f"{n} methods: no interval, at least {LEAST_METHODS} are needed")
    rng = np.random.default_rng(0)
    drawn = np.concatenate([tau(rng.integers(n, size=(1000, n))) for _ in range(BATCHES)])
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return found(value, float(low), float(high))
