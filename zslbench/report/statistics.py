"""Statistics over seeds: Student's intervals, paired sign-flip tests (Fisher 1935), and every method compared
with the best (Holm 1979). Values are in percent; docs/statistics.md says what they mean.

Where a table is over several splits of one data set, there is one value per split instead of one per seed,
and messages say so by ``unit``.

n seeds have 2^n sign patterns, so the least possible p is 2 / 2^n: with too few seeds no difference can be
shown, and a comparison is refused instead of given a p value. "Tied" means that no difference was shown.

SciPy is imported on the first interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

SAME = 1e-9
"""Values within this many percentage points are equal: one image in a million makes a larger difference."""
EXACT = 13
"""Up to this many seeds all sign patterns are tried; beyond it, ``RESAMPLES`` random ones, reproducibly."""
RESAMPLES = 99_999

Unit = Literal["seed", "split"]
"""What each value belongs to."""

# --- intervals -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """A figure over seeds, splits or classes, with its interval."""

    n: int
    """The number of seeds, splits or classes."""
    mean: float
    """NaN: there is no seed, or one of them lacks the figure."""
    std: float
    """Sample standard deviation (n − 1); NaN for fewer than two seeds."""
    low: float
    """NaN: there is no interval, see ``reason``."""
    high: float
    reason: str = ""
    """Why there is no interval, one line; empty: there is one."""

    def __contains__(self, value: float) -> bool:
        """Whether the value lies in the closed interval; False if there is none."""
        return self.low <= value <= self.high

    @property
    def half(self) -> float:
        """Half the interval's width: ``mean ± half``."""
        return (self.high - self.low) / 2


def interval(values: Iterable[float], unit: Unit = "seed") -> Interval:
    """Mean, sample standard deviation and 95 % Student-t interval of one value per seed, or per split.

    There is no interval for one seed, nor if all seeds gave the same value: repeating a closed-form solution
    does not produce a sample. One NaN makes everything NaN; no seed is silently dropped.
    """
    values = [float(value) for value in values]
    n, nan = len(values), math.nan
    if not n:
        return Interval(n, nan, nan, nan, nan, f"no {unit}: no interval")
    if not all(map(math.isfinite, values)):
        return Interval(n, nan, nan, nan, nan, f"a {unit} has no figure")
    if n == 1:
        return Interval(n, values[0], nan, nan, nan, f"one {unit}: no interval")
    if _constant(values):
        return Interval(n, values[0], 0.0, nan, nan, f"the same for every {unit}: no interval")
    mean = math.fsum(values) / n
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    from scipy import stats

    half = float(stats.t.ppf((1 + 0.95) / 2, n - 1)) * std / math.sqrt(n)
    return Interval(n, mean, std, mean - half, mean + half)


def _constant(values: Sequence[float]) -> bool:
    return max(values) - min(values) <= SAME


# --- two methods ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Paired:
    """The difference between two methods, first minus second, in percentage points."""

    seeds: tuple[Any, ...]
    """The seeds, or the names of the splits, that both have, ascending."""
    difference: float
    """Mean over these; NaN if unknown."""
    low: float
    """Student-t interval of the mean difference; NaN if there is none."""
    high: float
    p: float
    """NaN if the test was refused."""
    refusal: str = ""
    """Why the difference was not judged, one line; empty: it was."""


def least_p(seeds: int) -> float:
    """The least p value that the test can give: ``2 / 2^seeds``."""
    return min(1.0, 2.0 ** (1 - seeds))


def seeds_needed(alpha: float = 0.05, comparisons: int = 1) -> int:
    """The fewest seeds that can show a difference, Holm-corrected over this number of comparisons.

    >>> [seeds_needed(comparisons=m) for m in (1, 2, 5, 16)]
    [6, 7, 8, 10]
    """
    if not 0 < alpha < 1 or comparisons < 1:
        raise ValueError(
            f"alpha {alpha}, {comparisons} comparisons: needs 0 < alpha < 1 and at least one comparison"
        )
    return next(n for n in range(1, 2000) if comparisons * least_p(n) <= alpha)


def too_few(seeds: int, alpha: float = 0.05, comparisons: int = 1, unit: Unit = "seed") -> str:
    """``"3 seeds cannot show a difference at 5 %: at least 6 are needed"``."""
    among = f" among {comparisons} comparisons (Holm)" if comparisons > 1 else ""
    return (
        f"{seeds} {unit}{'' if seeds == 1 else 's'} cannot show a difference at {100 * alpha:g} %{among}: "
        f"at least {seeds_needed(alpha, comparisons)} are needed"
    )


def compare_seeds(
    a: Mapping[Any, float], b: Mapping[Any, float], *, alpha: float = 0.05, unit: Unit = "seed"
) -> Paired:
    """Compare two methods over the seeds, or splits, that both have.

    Refused if there is no common seed, a seed has no figure, both methods give the same value for every seed
    (closed-form solutions do not depend on it), or there are too few seeds to show a difference at ``alpha``.

    Args:
        a, b: values in percent by seed, or by split.
        alpha: the significance level. ``p`` is not corrected for the number of comparisons.
        unit: what each value belongs to.
    """
    seeds = tuple(sorted(a.keys() & b.keys()))
    differences = [a[seed] - b[seed] for seed in seeds]
    found = interval(differences, unit)

    def result(refusal: str = "", p: float = math.nan) -> Paired:
        return Paired(seeds, found.mean, found.low, found.high, p, refusal)

    if not seeds:
        return result(f"no {unit} in common")
    if lacking := [str(seed) for seed in seeds if not (math.isfinite(a[seed]) and math.isfinite(b[seed]))]:
        return result(f"no figure for {unit} {', '.join(lacking)}")
    if len(seeds) > 1 and all(_constant([one[seed] for seed in seeds]) for one in (a, b)):
        why = ": a repeated closed-form solution is not a sample" if unit == "seed" else ""
        return result(f"both give the same value for every {unit}{why}")
    if least_p(len(seeds)) > alpha:
        return result(too_few(len(seeds), alpha, unit=unit))
    return result(p=sign_flip_p(differences))


def sign_flip_p(differences: Sequence[float]) -> float:
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


# --- a column ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """One method compared with the best of its column."""

    state: Literal["best", "tied", "differs", "not judged", "missing"]
    """``tied``: not shown to differ from the best; ``differs``: shown to differ; ``not judged``: the test was
    refused; ``missing``: there is no mean."""
    mean: float
    """Over the method's own seeds, in percent; NaN for ``missing``."""
    paired: Paired | None = None
    """The comparison, method minus best; None for the best itself and for ``missing``."""
    p: float = math.nan
    """Holm-corrected; NaN where the test was refused."""
    reason: str = ""
    """Why it was not judged or is missing, one line."""


@dataclass(frozen=True)
class Ranking:
    """One column of a table."""

    best: str | None
    """The method with the best mean, the first if several share it. None: no method has a mean."""
    second: str | None
    """The runner-up; None: fewer than two methods have a mean."""
    verdicts: Mapping[str, Verdict]
    """By method, in the order given."""
    alpha: float = 0.05
    comparisons: int = 0
    """The number of comparisons that Holm's correction covers."""
    unit: Unit = "seed"
    """What each value of a method belongs to."""

    @property
    def tied(self) -> frozenset[str]:
        """Methods not shown to differ from the best, which is not included."""
        return frozenset(name for name, one in self.verdicts.items() if one.state == "tied")

    @property
    def not_judged(self) -> Mapping[str, str]:
        """Methods whose comparison was refused, each with the reason."""
        return {name: one.reason for name, one in self.verdicts.items() if one.state == "not judged"}


def against_best(
    values: Mapping[str, Mapping[Any, float]],
    alpha: float = 0.05,
    *,
    higher: bool = True,
    unit: Unit = "seed",
) -> Ranking:
    """Rank methods by their mean and compare each with the best over the seeds, or splits, that both have.

    A comparison that could not be significant whatever its outcome is refused, and one with too few seeds
    does not count in the correction of the others (Tarone 1990). A method with a NaN is ``missing``.

    Args:
        values: by method, values in percent by seed, or by split.
        alpha: the family-wise significance level.
        higher: whether the highest mean is the best, or the lowest.
        unit: what each value belongs to.
    """
    found = {name: interval(seeds.values(), unit) for name, seeds in values.items()}
    means = {name: one.mean for name, one in found.items()}
    ranked = sorted((n for n in means if not math.isnan(means[n])), key=means.__getitem__, reverse=higher)
    best, second = [*ranked, None, None][:2]
    tests = {
        name: compare_seeds(values[name], values[ranked[0]], alpha=alpha, unit=unit) for name in ranked[1:]
    }
    judged = [name for name, one in tests.items() if not one.refusal]
    rejected, corrected = holm([tests[name].p for name in judged], alpha)
    # Whether Holm would reject each if all had the least p value that their numbers of seeds allow.
    possible, _ = holm([least_p(len(tests[name].seeds)) for name in judged], alpha)
    results = {}
    for place, name in enumerate(judged):
        if possible[place]:
            results[name] = rejected[place], corrected[place]
        else:
            reason = too_few(len(tests[name].seeds), alpha, len(judged), unit)
            tests[name] = replace(tests[name], p=math.nan, refusal=reason)

    def verdict(name: str) -> Verdict:
        if name == best:
            return Verdict("best", means[name])
        if name not in tests:
            return Verdict("missing", math.nan, reason=found[name].reason)
        if name not in results:
            return Verdict("not judged", means[name], tests[name], reason=tests[name].refusal)
        differs, p = results[name]
        return Verdict("differs" if differs else "tied", means[name], tests[name], p)

    return Ranking(best, second, {name: verdict(name) for name in values}, alpha, len(judged), unit)


def holm(p: Sequence[float], alpha: float = 0.05) -> tuple[list[bool], list[float]]:
    """Holm's step-down correction: which are rejected at ``alpha``, and the corrected p values."""
    if len(p) < 2:  # nothing to correct, and statsmodels runs a slow garbage collection at every call
        return [one <= alpha for one in p], list(p)
    from statsmodels.stats.multitest import multipletests

    rejected, corrected, *_ = multipletests(list(p), alpha, method="holm")
    return [bool(one) for one in rejected], [float(one) for one in corrected]


def family_text(alpha: float = 0.05, units: Iterable[Unit] = ("seed",)) -> str:
    """How methods are compared with the best, for the notes of a table."""
    pairs = " or ".join(f"{one}s" for one in units)
    return (
        f"compared with the best: exact sign-flip test on paired {pairs}, Holm-corrected per data set and "
        f"figure, at {100 * alpha:g} %"
    )
