"""Compare every method with the best of its column: tied, different, or not judged.

The p values of ``report.statistics.paired`` are Holm-corrected (1979, by statsmodels) over the comparisons of
one data set and figure. "Tied" means that no difference was shown, not that there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from zslbench.report.statistics.intervals import interval
from zslbench.report.statistics.paired import Paired, compare_seeds, least_p, too_few

State = Literal["best", "tied", "differs", "not judged", "missing"]
"""``tied``: not shown to differ from the best; ``differs``: shown to differ; ``not judged``: the test was
refused; ``missing``: there is no mean."""


@dataclass(frozen=True)
class Verdict:
    """One method compared with the best."""

    state: State
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
    tied: frozenset[str]
    """Methods not shown to differ from the best, which is not included."""
    verdicts: Mapping[str, Verdict]
    """By method, in the order given."""
    alpha: float = 0.05
    comparisons: int = 0
    """The number of comparisons that Holm's correction covers."""

    @property
    def not_judged(self) -> Mapping[str, str]:
        """Methods whose comparison was refused, each with the reason."""
        return {name: one.reason for name, one in self.verdicts.items() if one.state == "not judged"}


def against_best(
    values: Mapping[str, Mapping[int, float]], alpha: float = 0.05, *, higher: bool = True
) -> Ranking:
    """Rank methods by their mean and compare each with the best over the seeds that both have.

    A comparison that could not be significant whatever its outcome is refused, and one with too few seeds
    does not count in the correction of the others (Tarone 1990). A method with a NaN is ``missing``.

    Args:
        values: by method, values in percent by seed.
        alpha: the family-wise significance level.
        higher: whether the highest mean is the best, or the lowest.
    """
    means = {name: interval(list(seeds.values())).mean for name, seeds in values.items()}
    ranked = sorted(
        (name for name in means if not math.isnan(means[name])),
        key=lambda name: -means[name] if higher else means[name],
    )
    best = ranked[0] if ranked else None
    verdicts: dict[str, Verdict] = {}
    for name, seeds in values.items():
        if name == best:
            verdicts[name] = Verdict("best", means[name])
        elif math.isnan(means[name]):
            verdicts[name] = Verdict("missing", math.nan, reason=interval(list(seeds.values())).reason)
        else:
            assert best is not None
            paired = compare_seeds(seeds, values[best], alpha=alpha)
            verdicts[name] = Verdict("not judged", means[name], paired, reason=paired.refusal)
    tested = {name: one.paired for name, one in verdicts.items() if one.paired and not one.paired.refusal}
    verdicts |= _judged(tested, means, alpha)
    return Ranking(
        best,
        ranked[1] if len(ranked) > 1 else None,
        frozenset(name for name, one in verdicts.items() if one.state == "tied"),
        verdicts,
        alpha,
        len(tested),
    )


def holm(p: Sequence[float], alpha: float = 0.05) -> tuple[list[bool], list[float]]:
    """Holm's step-down correction: which are rejected at ``alpha``, and the corrected p values."""
    if len(p) < 2:  # nothing to correct, and statsmodels runs a slow garbage collection at every call
        return [one <= alpha for one in p], list(p)
    from statsmodels.stats.multitest import multipletests

    rejected, corrected, *_ = multipletests(list(p), alpha, method="holm")
    return [bool(one) for one in rejected], [float(one) for one in corrected]


def _judged(tested: Mapping[str, Paired], means: Mapping[str, float], alpha: float) -> dict[str, Verdict]:
    """The verdicts on comparisons that have p values."""
    rejected, corrected = holm([one.p for one in tested.values()], alpha)
    possible = _can_be_shown([len(one.seeds) for one in tested.values()], alpha)
    verdicts = {}
    for place, (name, paired) in enumerate(tested.items()):
        if possible[place]:
            state: State = "differs" if rejected[place] else "tied"
            verdicts[name] = Verdict(state, means[name], paired, corrected[place])
        else:
            reason = too_few(len(paired.seeds), alpha, len(tested))
            refused = replace(paired, p=math.nan, refusal=reason)
            verdicts[name] = Verdict("not judged", means[name], refused, reason=reason)
    return verdicts


def _can_be_shown(seeds: Sequence[int], alpha: float) -> list[bool]:
    """Which comparisons Holm would reject if each had the least p value that its number of seeds allows."""
    shown = [False] * len(seeds)
    for step, place in enumerate(sorted(range(len(seeds)), key=lambda place: -seeds[place])):
        if (len(seeds) - step) * least_p(seeds[place]) > alpha:
            break
        shown[place] = True
    return shown


def family_text(alpha: float = 0.05) -> str:
    """How methods are compared with the best, for the notes of a table."""
    return (
        "compared with the best: exact sign-flip test on paired seeds, Holm-corrected per data set and "
        f"figure, at {100 * alpha:g} %"
    )
