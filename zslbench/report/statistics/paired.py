"""Compare two methods over common seeds: the mean difference, its interval, and a test against chance.

The test is the exact two-sided sign-flip permutation test on the mean of the paired differences (Fisher
1935): if the two methods were equally good, each difference could just as well have the opposite sign. It
assumes no distribution. n seeds have 2^n sign patterns, so the least possible p is 2 / 2^n: with too few
seeds no difference can be shown, and this module then refuses to judge instead of returning a p value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from zslbench.report.statistics.intervals import SAME, interval

EXACT = 13
"""Up to this many seeds all sign patterns are tried; beyond it, ``RESAMPLES`` random ones, reproducibly."""
RESAMPLES = 99_999


@dataclass(frozen=True)
class Paired:
    """The difference between two methods, first minus second, in percentage points."""

    seeds: tuple[int, ...]
    """The seeds that both have, ascending."""
    difference: float
    """Mean over these seeds; NaN if unknown."""
    low: float
    """Student-t interval of the mean difference; NaN if there is none."""
    high: float
    p: float
    """NaN if the test was refused."""
    refusal: str = ""
    """Why the difference was not judged, one line; empty: it was."""
    unpaired: tuple[int, ...] = ()
    """Seeds that one of the two lacks; they are left out."""


def least_p(seeds: int) -> float:
    """The least p value that the test can give: ``2 / 2^seeds``."""
    return min(1.0, 2.0 ** (1 - seeds))


def seeds_needed(alpha: float = 0.05, comparisons: int = 1) -> int:
    """The fewest seeds that can show a difference, Holm-corrected over this number of comparisons.

    >>> [seeds_needed(comparisons=m) for m in (1, 2, 5, 16)]
    [6, 7, 8, 10]
    """
    if not 0 < alpha < 1 or comparisons < 1:
        raise ValueError(f"alpha {alpha} over {comparisons} comparisons: give 0 < alpha < 1 and at least one")
    seeds = 1
    while comparisons * least_p(seeds) > alpha:
        seeds += 1
    return seeds


def too_few(seeds: int, alpha: float = 0.05, comparisons: int = 1) -> str:
    """``"3 seeds cannot show a difference at 5 %: at least 6 are needed"``."""
    among = f" among {comparisons} comparisons (Holm)" if comparisons > 1 else ""
    return (
        f"{seeds} seed{'' if seeds == 1 else 's'} cannot show a difference at {100 * alpha:g} %{among}: "
        f"at least {seeds_needed(alpha, comparisons)} are needed"
    )


def compare_seeds(
    a: Mapping[int, float],
    b: Mapping[int, float],
    *,
    alpha: float = 0.05,
    comparisons: int = 1,
    confidence: float = 0.95,
) -> Paired:
    """Compare two methods over the seeds that both have.

    Refused if there is no common seed, a seed has no figure, both methods give the same value for every seed
    (closed-form solutions do not depend on it), or there are too few seeds to show a difference at ``alpha``.

    Args:
        a, b: values in percent by seed.
        alpha: the significance level.
        comparisons: how many comparisons share this level by Holm's correction. ``p`` is not corrected.
        confidence: of the interval of the mean difference.
    """
    seeds = tuple(sorted(a.keys() & b.keys()))
    unpaired = tuple(sorted(a.keys() ^ b.keys()))
    differences = [a[seed] - b[seed] for seed in seeds]
    found = interval(differences, confidence)

    def result(refusal: str = "", p: float = math.nan) -> Paired:
        return Paired(seeds, found.mean, found.low, found.high, p, refusal, unpaired)

    if not seeds:
        return result("no seed in common")
    lacking = [str(seed) for seed in seeds if not (math.isfinite(a[seed]) and math.isfinite(b[seed]))]
    if lacking:
        return result(f"no figure for seed {', '.join(lacking)}")
    if len(seeds) > 1 and all(_constant([one[seed] for seed in seeds]) for one in (a, b)):
        return result(
            "both give the same value for every seed: a repeated closed-form solution is not a sample"
        )
    if comparisons * least_p(len(seeds)) > alpha:
        return result(too_few(len(seeds), alpha, comparisons))
    return result(p=sign_flip_p(differences))


def sign_flip_p(differences: list[float]) -> float:
    """The two-sided p value of the sign-flip test on the mean; exact for up to ``EXACT`` differences."""
    import numpy as np
    from scipy import stats

    # In integer multiples of SAME, so that sums that should be equal are equal in spite of rounding.
    whole = np.round(np.asarray(differences) / SAME)
    if not whole.any():
        return 1.0  # no sign changes anything
    found = stats.permutation_test(
        (whole,),
        lambda x, axis: x.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**EXACT if len(whole) <= EXACT else RESAMPLES,
        batch=4096,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def _constant(values: list[float]) -> bool:
    return max(values) - min(values) <= SAME
