"""A study: one SQLite file of Optuna's, in which any number of processes compute trials.

Optuna's heartbeat tells which trials have a living process. A trial that was interrupted, or whose process
was killed, has failed without a reason: it is enqueued again with the same values, and the repetition finds
its checkpoints. Trials are started one at a time, under a lock, so a study never has more than requested.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from zslbench.errors import Interrupted, MissingExtra, SettingsError, ZslbenchError
from zslbench.evaluation import METRICS
from zslbench.experiment import Display
from zslbench.plugin import one_line
from zslbench.report import percent
from zslbench.store import run_id
from zslbench_tune.space import Space
from zslbench_tune.trial import Objective

try:
    import optuna
    from optuna.exceptions import OptunaError, UpdateFinishedTrialError
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback as Retry, fail_stale_trials
    from optuna.trial import FrozenTrial, Trial, TrialState
    from sqlalchemy import URL
    from sqlalchemy.exc import SQLAlchemyError
except ImportError:
    raise MissingExtra(
        "searching needs optuna 4.9 or later, which is not installed: pip install 'zslbench[tune]'"
    ) from None

STUDY = "zslbench"
"""Optuna's name of the study in its file."""
IDENTITY = "identity"
"""The study's attribute that says what is searched."""
WORKER, EPOCHS, SEEDS, SECONDS, REASON, SAME = "worker", "epochs", "seeds", "seconds", "reason", "same_as"
"""Attributes of trials."""

SAMPLERS = ("tpe", "random")
PRUNERS = ("none", "median")

HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60
"""A trial without a heartbeat for this long belongs to a process that is dead."""
POLL_SECONDS = 0.5
_LOCK_SECONDS = 60
"""How long a process waits for another one's write."""
_SHOWN = 3

optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # the display reports trials


class _Failed(Exception):
    """A trial that failed for a reason of its own, which its attributes record."""


@dataclass(frozen=True)
class Sampling:
    """How many trials a study gets and how they are drawn; not part of a study's identity."""

    trials: int
    sampler: str
    seed: int
    pruner: str


@dataclass
class Study:
    """An open study; :func:`open_study` makes one."""

    optuna: optuna.Study
    space: Space
    lock: FileLock

    def trials(self) -> list[FrozenTrial]:
        """All trials as they are now, by number."""
        return self.optuna.get_trials(deepcopy=False)

    def compute(self, objective: Objective, sampling: Sampling, criterion: str) -> list[FrozenTrial]:
        """Compute trials until enough are finished, waiting for those that other processes compute.

        A trial that fails is a failed trial and ends nothing.

        Returns:
            the finished trials, by number.

        Raises:
            Interrupted: stopped on request; the trial under way resumes when the search does.
        """
        reporter = _Reporter(self, sampling.trials, objective.display, criterion)
        waiting = False
        while not objective.stop_requested():
            with contextlib.ExitStack() as claim:
                claim.enter_context(self.lock)
                self._retry_abandoned()
                trials = self.trials()
                reporter.report(trials)
                missing = sampling.trials - len(finished(trials))
                running = sum(one.state == TrialState.RUNNING for one in trials)
                if missing <= 0:
                    return finished(trials)
                if running < missing:
                    waiting = False
                    place = sampling.trials - missing + 1
                    self._compute_next(claim, objective, sampling, f"({place} of {sampling.trials})")
                    continue
            if not waiting:
                objective.display.say(f"waiting for {running} trials of other processes")
                waiting = True
            time.sleep(POLL_SECONDS)
        raise Interrupted("stopped on request; the same command resumes the search")

    def _retry_abandoned(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental in Optuna
            fail_stale_trials(self.optuna)
            trials = self.trials()
            retried = {number for one in trials for number in _repeated(one)}
            for one in trials:
                abandoned = one.state == TrialState.FAIL and REASON not in one.user_attrs
                if abandoned and one.number not in retried:
                    Retry()(self.optuna, one)

    def _compute_next(
        self, claim: contextlib.ExitStack, objective: Objective, sampling: Sampling, place: str
    ) -> None:
        """Let Optuna start the next trial; ``claim`` is released once it has started."""
        # Trial k has a generator seeded for it, so repeating an interrupted trial shifts no later one.
        ordinal = sum(not _repeated(one) for one in self.trials())
        seed = int(run_id({"sampler": sampling.seed, "trial": ordinal})[:8], 16)
        self.optuna.sampler = _sampler(sampling.sampler, seed)
        self.optuna.pruner = (
            optuna.pruners.MedianPruner(n_startup_trials=5)
            if sampling.pruner == "median"
            else optuna.pruners.NopPruner()
        )
        lost = False

        def compute(trial: Trial) -> float:
            nonlocal lost
            trial.set_user_attr(WORKER, f"{platform.node()} {os.getpid()}")
            drawn = self.space.draw(trial)
            claim.close()
            try:
                return self._value(trial, drawn, objective, place)
            except UpdateFinishedTrialError:
                lost = True
                raise

        try:
            self.optuna.optimize(compute, n_trials=1, catch=(_Failed,))
        except ValueError:
            if not lost:
                raise
            # This process was suspended for so long that another one repeats the trial.
            objective.display.say("a trial was taken over by another process")

    def _value(self, trial: Trial, drawn: Mapping[str, Any], objective: Objective, place: str) -> float:
        started = time.monotonic()

        def report(step: int, value: float, last: bool) -> None:
            trial.report(value, step)
            if not last and trial.should_prune():
                raise optuna.TrialPruned

        def describe(**attributes: Any) -> None:
            for name, value in {SECONDS: round(time.monotonic() - started, 3), **attributes}.items():
                trial.set_user_attr(name, value)

        for one in self.trials():  # the same settings have the same value
            if one.state == TrialState.COMPLETE and one.params == drawn:
                known = {name: one.user_attrs[name] for name in (EPOCHS, SEEDS)}
                describe(**known, **{SAME: one.number, SECONDS: 0.0})
                return float(one.values[0])
        settings = self.space.values(drawn)
        try:
            found = objective(settings, f"trial {trial.number} {place} · {settings_text(settings)}", report)
        except optuna.TrialPruned:
            describe()
            raise
        except (Interrupted, KeyboardInterrupt, UpdateFinishedTrialError):
            raise
        except Exception as error:  # incompatible settings, a loss that diverges, out of memory, ...
            describe(**{REASON: str(error) if isinstance(error, ZslbenchError) else one_line(error)})
            raise _Failed from error
        describe(**{EPOCHS: found.epochs, SEEDS: {str(seed): one for seed, one in found.seeds.items()}})
        return found.value


@contextlib.contextmanager
def open_study(path: Path, identity: Mapping[str, Any], space: Space) -> Iterator[Study]:
    """Open the study in this file, or begin it.

    Raises:
        SettingsError: the file is not a study, or its study is of something else: says what differs.
        ZslbenchError: it cannot be read or written.
    """
    text = json.dumps(identity, sort_keys=True)
    storage = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f"{path.name}.lock"), thread_local=False)
        with lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the heartbeat is experimental in Optuna
            _check_file(path)
            storage = RDBStorage(
                URL.create("sqlite", database=str(path)).render_as_string(),
                engine_kwargs={"connect_args": {"timeout": _LOCK_SECONDS}},
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=GRACE_SECONDS,
            )
            study = optuna.create_study(
                storage=storage, study_name=STUDY, direction="maximize", load_if_exists=True
            )
            known = study.user_attrs.get(IDENTITY)
            if known is None:
                study.set_user_attr(IDENTITY, text)
    except (OSError, OptunaError, SQLAlchemyError, sqlite3.Error, RuntimeError) as error:
        raise ZslbenchError(f"study {path}: cannot be opened ({one_line(error)})") from None
    try:
        if known is not None and known != text:
            differences = list(_differences(json.loads(known), json.loads(text)))
            shown = "; ".join(differences[:_SHOWN]) + ("; ..." if len(differences) > _SHOWN else "")
            raise SettingsError(
                f"study {path} belongs to another search ({shown}): name another file, or none"
            )
        yield Study(study, space, lock)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _check_file(path: Path) -> None:
    """Refuse a file that is not a study: Optuna would create its tables in any database."""
    if not path.exists() or not (path.is_dir() or path.stat().st_size):
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    except sqlite3.DatabaseError as error:
        if path.is_dir():
            raise
        raise SettingsError(
            f"study {path}: not a study of zslbench tune ({error}); name another file"
        ) from None
    if tables and "trial_heartbeats" not in tables:
        raise SettingsError(f"study {path}: a database of something else; name another file")


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """``tpe`` (Bergstra et al., NeurIPS 2011; the first ten trials are random) or ``random``."""
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant_liar was experimental in Optuna 4
        # Trials being computed count as bad ones, so that processes do not all try the same place.
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    olds, news = dict(_flat(old)), dict(_flat(new))
    for key in sorted(olds.keys() | news.keys()):
        there, here = olds.get(key, "absent"), news.get(key, "absent")
        if there != here:
            yield f"{key} {there} there, {here} here"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat(one, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", one


def _repeated(trial: FrozenTrial) -> list[int]:
    """The trials that this one repeats."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental in Optuna
        return Retry.retry_history(trial)


def finished(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that count: with a value, pruned, or failed for a reason of their own."""
    return [
        one
        for one in trials
        if one.state in (TrialState.COMPLETE, TrialState.PRUNED)
        or (one.state == TrialState.FAIL and REASON in one.user_attrs)
    ]


class _Reporter:
    """Says how trials ended, including those of other processes."""

    def __init__(self, study: Study, wanted: int, display: Display, criterion: str) -> None:
        self._say = display.say
        self._figure = f"validation {METRICS[criterion].name}"
        before = finished(study.trials())
        self._reported = {one.number for one in before}
        if before:
            self._say(f"the study has {len(before)} of {wanted} trials{self._best(before)}")

    def report(self, trials: Sequence[FrozenTrial]) -> None:
        now = finished(trials)
        for one in now:
            if one.number not in self._reported:
                self._reported.add(one.number)
                self._say(f"trial {one.number}: {self._outcome(one)}{self._best(now)}")

    def _outcome(self, trial: FrozenTrial) -> str:
        if trial.state == TrialState.COMPLETE:
            epochs = trial.user_attrs.get(EPOCHS)
            after = f" after {epochs} epoch{'' if epochs == 1 else 's'}" if epochs else ""
            return f"{self._figure} {percent(trial.values[0]):.1f} %{after}"
        return "pruned" if trial.state == TrialState.PRUNED else f"failed: {trial.user_attrs.get(REASON)}"

    def _best(self, trials: Sequence[FrozenTrial]) -> str:
        complete = [one for one in trials if one.state == TrialState.COMPLETE]
        if not complete:
            return ""
        top = max(complete, key=lambda one: (one.values[0], -one.number))
        return f" (best: trial {top.number}, {percent(top.values[0]):.1f} %)"


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings on one line, as a user would type them."""
    return ", ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in settings.items()
    )
