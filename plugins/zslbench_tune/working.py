"""What a worker does: take trials until there are as many as were asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from zslbench.errors import Interrupted, ZslbenchError
from zslbench.experiment import Display
from zslbench.plugin.lookup import one_line
from zslbench.report.results import percent
from zslbench_tune.objective import Objective
from zslbench_tune.optuna import FrozenTrial, Trial, TrialPruned, TrialState
from zslbench_tune.study import EPOCHS, REASON, SEEDS, Busy, Done, Study, best, finished, twin

POLL_SECONDS = 0.5


def take_trials(
    study: Study,
    objective: Objective,
    wanted: int,
    stop_requested: Callable[[], bool],
    display: Display,
    criterion: str,
) -> None:
    """Compute trials until ``wanted`` are finished, and wait for those that other workers compute.

    A trial that fails is a failed trial; it ends nothing.

    Raises:
        Interrupted: stopped on request; the trial under way goes on when the search does.
    """
    teller = _Teller(study, wanted, display, criterion)
    waits = False
    while True:
        claim = None if stop_requested() else study.claim(wanted)
        teller.tell()
        if claim is None:
            raise Interrupted("stopped on request; the same command goes on from here")
        if isinstance(claim, Done):
            return
        if isinstance(claim, Busy):
            if not waits:
                display.say(f"waiting for {claim.others} trials of other workers")
            waits = True
            study.beat()
            time.sleep(POLL_SECONDS)
            continue
        waits = False
        place = len(finished(study.trials())) + 1
        _compute(study, objective, claim, f"trial {claim.number} ({place} of {wanted})")


def _compute(study: Study, objective: Objective, trial: Trial, title: str) -> None:
    started = time.monotonic()

    def report(step: int, value: float, last: bool) -> None:
        study.beat()
        trial.report(value, step)
        if not last and trial.should_prune():
            raise TrialPruned

    def seconds() -> float:
        return round(time.monotonic() - started, 3)

    drawn = dict(trial.params)
    if (same := twin(study.trials(), drawn)) is not None:
        seeds = {int(seed): value for seed, value in same.user_attrs[SEEDS].items()}
        study.finish(trial, same.values[0], same.user_attrs[EPOCHS], seeds, same_as=same.number, seconds=0.0)
        return
    settings = study.space.values(drawn)
    try:
        found = objective(settings, f"{title} · {told(settings)}", report)
    except TrialPruned:
        study.prune(trial, seconds=seconds())
    except (Interrupted, KeyboardInterrupt):
        study.give_up(trial)
        raise
    except Exception as error:  # settings that do not go together, a loss that diverges, no memory left, ...
        reason = str(error) if isinstance(error, ZslbenchError) else one_line(error)
        study.fail(trial, reason, seconds=seconds())
    else:
        study.finish(trial, found.value, found.epochs, found.seeds, seconds=seconds())


class _Teller:
    """Says how trials ended, those of other workers as well."""

    def __init__(self, study: Study, wanted: int, display: Display, criterion: str) -> None:
        self._study, self._wanted, self._say = study, wanted, display.say
        self._name = {"h": "validation H", "acc": "validation Acc"}[criterion]
        before = finished(study.trials())
        self._told = {one.number for one in before}
        if before:
            self._say(f"the journal has {len(before)} of {wanted} trials{self._best(before)}")

    def tell(self) -> None:
        now = finished(self._study.trials())
        for one in now:
            if one.number not in self._told:
                self._told.add(one.number)
                self._say(f"trial {one.number}: {self._ended(one)}{self._best(now)}")

    def _ended(self, trial: FrozenTrial) -> str:
        if trial.state == TrialState.COMPLETE:
            epochs = trial.user_attrs.get(EPOCHS)
            after = f" after {epochs} epoch{'' if epochs == 1 else 's'}" if epochs else ""
            return f"{self._name} {percent(trial.values[0]):.1f} %{after}"
        return "pruned" if trial.state == TrialState.PRUNED else f"failed: {trial.user_attrs.get(REASON)}"

    def _best(self, trials: list[FrozenTrial]) -> str:
        top = best(trials)
        return "" if top is None else f" (best: trial {top.number}, {percent(top.values[0]):.1f} %)"


def told(settings: dict[str, Any]) -> str:
    """Settings in a line, as one would type them."""
    return ", ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in settings.items()
    )
