"""A study that several processes work on: who takes which trial, and what becomes of those left behind.

A worker is a process with a folder of its own beside the journal (:mod:`zslbench.store.workspace`), which its
death frees. A trial that is running while its worker is dead, or that was interrupted, is given up: it is
marked as failed and put in line again with the same values, so that its checkpoint is found. Claims are made
one at a time, so that a study never has more trials than were asked for.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from zslbench.store.identity import run_id
from zslbench.store.workspace import remove_dead, scratch
from zslbench_tune.journal import open_journal
from zslbench_tune.optuna import (
    FrozenTrial,
    OptunaStudy,
    Trial,
    TrialState,
    distributions,
    make_pruner,
    make_sampler,
)
from zslbench_tune.space import Space

RETRIES = "retries"
"""Attribute of a trial: the number of the one that was given up and that it repeats."""
WORKER, EPOCHS, SEEDS, SECONDS, REASON, SAME = "worker", "epochs", "seeds", "seconds", "reason", "same_as"


@dataclass(frozen=True)
class Busy:
    """All trials that are still wanted are being computed by others."""

    others: int


@dataclass(frozen=True)
class Done:
    """As many trials as were wanted are there."""


@dataclass
class Study:
    """One worker's hold on a study; :func:`joined` makes one."""

    optuna: OptunaStudy
    space: Space
    folder: Path
    """This worker's own."""
    mutex: FileLock
    sampler: str
    seed: int
    _distributions: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._distributions = distributions(self.space)

    # --- taking and ending trials ------------------------------------------------------------------

    def claim(self, wanted: int) -> Trial | Busy | Done:
        """Take the next trial, unless ``wanted`` ones are finished or under way."""
        with self.mutex:
            trials = self._tidied()
            missing = wanted - len(finished(trials))
            running = sum(one.state == TrialState.RUNNING for one in trials)
            if missing <= 0:
                return Done()
            if running >= missing:
                return Busy(running)
            # Trial k draws from a generator of its own: what an interruption repeats shifts nothing.
            ordinal = sum(RETRIES not in one.user_attrs for one in trials)
            seed = int(run_id({"sampler": self.seed, "trial": ordinal})[:8], 16)
            self.optuna.sampler = make_sampler(self.sampler, seed)
            trial = self.optuna.ask(dict(self._distributions))
            trial.set_user_attr(WORKER, self.folder.name)
            return trial

    def finish(
        self, trial: Trial, value: float, epochs: int | None, seeds: Mapping[int, float], **more: Any
    ) -> None:
        """The trial's value, the schedule's length that has it, and the value of each seed there."""
        self._describe(trial, **{EPOCHS: epochs, SEEDS: {str(k): v for k, v in seeds.items()}}, **more)
        self.optuna.tell(trial, value)

    def prune(self, trial: Trial, **more: Any) -> None:
        """The trial was ended because others are better."""
        self._describe(trial, **more)
        self.optuna.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str, **more: Any) -> None:
        """The trial cannot have a value."""
        self._describe(trial, **{REASON: reason}, **more)
        self.optuna.tell(trial, state=TrialState.FAIL)

    def give_up(self, trial: Trial) -> None:
        """The trial was interrupted and will be repeated."""
        with self.mutex:
            self._again(next(one for one in self.trials() if one.number == trial.number))

    def beat(self) -> None:
        """Show other machines, whose locks may not reach here, that this worker lives."""
        with contextlib.suppress(OSError):
            os.utime(self.folder)

    def trials(self) -> list[FrozenTrial]:
        """All trials as they are now, by number."""
        return self.optuna.get_trials(deepcopy=False)

    def _describe(self, trial: Trial, **attributes: Any) -> None:
        for name, value in attributes.items():
            trial.set_user_attr(name, value)

    def _tidied(self) -> list[FrozenTrial]:
        """All trials, once those of dead workers have been given up."""
        remove_dead(self.folder.parent, before=lambda folder: None)
        alive = {one.name for one in self.folder.parent.iterdir() if one.is_dir()} - {self.folder.name}
        for one in self.trials():
            if one.state == TrialState.RUNNING and one.user_attrs.get(WORKER) not in alive:
                self._again(one)
        return self.trials()

    def _again(self, trial: FrozenTrial) -> None:
        # In line first: a process that dies in between leaves a trial too many in line, not one too few.
        if not any(one.user_attrs.get(RETRIES) == trial.number for one in self.trials()):
            self.optuna.enqueue_trial(trial.params, {RETRIES: trial.number})
        self.optuna.tell(trial.number, state=TrialState.FAIL)


@contextlib.contextmanager
def joined(
    journal: Path,
    identity: Mapping[str, Any],
    space: Space,
    sampler: str = "tpe",
    seed: int = 0,
    pruner: str = "none",
) -> Iterator[Study]:
    """Be one of a study's workers while the context lasts.

    Raises:
        SettingsError: the journal belongs to another study, or is none.
        ZslbenchError: it cannot be used.
    """
    workers = journal.with_name(f"{journal.name}.workers")
    mutex = FileLock(journal.with_name(f"{journal.name}.mutex"), thread_local=False)
    journal.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        with mutex:
            study = open_journal(journal, identity)
            workers.mkdir(exist_ok=True)
            folder = held.enter_context(scratch(workers, "worker"))
        study.pruner = make_pruner(pruner)
        yield Study(study, space, folder, mutex, sampler, seed)
    with mutex, contextlib.suppress(OSError):  # others are there: the last one out takes it away
        workers.rmdir()


def finished(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that count: with a value, pruned, or failed for good."""
    repeated = {one.user_attrs.get(RETRIES) for one in trials}
    return [one for one in trials if one.state.is_finished() and one.number not in repeated]


def best(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The trial with the highest value, the first of equals; None: none has a value."""
    there = [one for one in trials if one.state == TrialState.COMPLETE]
    return max(there, key=lambda one: (one.values[0], -one.number), default=None)


def twin(trials: Sequence[FrozenTrial], params: Mapping[str, Any]) -> FrozenTrial | None:
    """A trial with a value and the same settings: its value need not be computed again."""
    same = [one for one in trials if one.state == TrialState.COMPLETE and one.params == params]
    return same[0] if same else None
