"""The one place that imports Optuna (extra ``tune``)."""

from __future__ import annotations

import warnings

from zslbench.errors import MissingExtra

try:
    import optuna
    from optuna import Study as OptunaStudy, TrialPruned
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.pruners import BasePruner, MedianPruner, NopPruner
    from optuna.samplers import BaseSampler, RandomSampler, TPESampler
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
    from optuna.trial import FrozenTrial, Trial, TrialState
except ImportError:
    raise MissingExtra(
        "searching needs optuna, which is not installed: pip install 'zslbench[tune]'"
    ) from None

from zslbench.plugin.declarations import Range
from zslbench_tune.space import Space, label

__all__ = [
    "PRUNERS",
    "SAMPLERS",
    "FrozenTrial",
    "JournalFileBackend",
    "JournalFileSymlinkLock",
    "JournalStorage",
    "OptunaStudy",
    "Trial",
    "TrialPruned",
    "TrialState",
    "distributions",
    "make_pruner",
    "make_sampler",
    "optuna",
]

SAMPLERS = ("tpe", "random")
PRUNERS = ("none", "median")

optuna.logging.set_verbosity(optuna.logging.WARNING)  # what it tells of trials, our display tells


def make_sampler(name: str, seed: int) -> BaseSampler:
    """A new sampler: ``tpe`` (Bergstra et al., NeurIPS 2011; the first ten trials are random), ``random``."""
    if name == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant_liar was experimental in Optuna 4
        # Trials under way elsewhere count as bad ones, so that workers do not all try the same place.
        return TPESampler(seed=seed, constant_liar=True)


def make_pruner(name: str) -> BasePruner:
    """``none``, or ``median``: a trial ends that is below the median of at least five at the same epoch."""
    return MedianPruner(n_startup_trials=5) if name == "median" else NopPruner()


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space in Optuna's terms."""
    found: dict[str, BaseDistribution] = {}
    for one in space.dimensions:
        if not isinstance(one.of, Range):
            found[one.key] = CategoricalDistribution([label(value) for value in one.of.values])
        elif one.whole:
            step = 1 if one.of.step is None else int(one.of.step)
            found[one.key] = IntDistribution(int(one.of.low), int(one.of.high), log=one.of.log, step=step)
        else:
            found[one.key] = FloatDistribution(one.of.low, one.of.high, log=one.of.log, step=one.of.step)
    return found
