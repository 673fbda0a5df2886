"""A study: one SQLite file of Optuna's, in which any number of processes compute trials.

Optuna's heartbeat shows which trials have a living process. A trial that was interrupted, or whose process
was killed, has failed without a reason: it is enqueued again with the same values and resumes from its
checkpoints. Trials start one at a time, under a lock, so a study never has more than requested.
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
from typing import Any, Literal

import pandas as pd
from filelock import FileLock

from zslbench.errors import Interrupted, MissingExtra, SettingsError, ZslbenchError
from zslbench.evaluation import Metric
from zslbench.experiment import Display
from zslbench.plugin import one_line
from zslbench.report import percent
from zslbench.store import run_id
from zslbench_tune.plan import Plan
from zslbench_tune.result import TrialResult

try:
    import optuna
    import tomlkit  # noqa: F401  (for the preset, which is written last)
    from optuna.exceptions import ExperimentalWarning, OptunaError, UpdateFinishedTrialError
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback as Retry, fail_stale_trials
    from optuna.trial import FrozenTrial, Trial, TrialState
    from sqlalchemy import URL
    from sqlalchemy.exc import SQLAlchemyError
except ImportError:
    raise MissingExtra(
        "tuning needs optuna 4.9 or later and tomlkit, which are not installed: pip install 'zslbench[tune]'"
    ) from None

STUDY = "zslbench"
"""Optuna's name of the study in its file."""
IDENTITY = "identity"
"""The study's attribute with the identity of the search."""
WORKER, EPOCHS, SEEDS, SECONDS, REASON, SAME = "worker", "epochs", "seeds", "seconds", "reason", "same_as"
"""Attributes of trials."""
STATES: dict[TrialState, Literal["done", "pruned", "failed"]] = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

SAMPLERS = ("tpe", "random")
PRUNERS = ("none", "median")

HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60
"""A trial without a heartbeat for this long belongs to a dead process."""
POLL_SECONDS = 0.5
_LOCK_SECONDS = 60
"""How long a process waits while another one writes."""
_SHOWN = 3
"""Differences between two searches in a message."""

optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # the display reports trials


class _Failed(Exception):
    """A trial failed; its attributes hold the reason."""


@dataclass
class Study:
    """An open study; see :func:`open_study`."""

    optuna: optuna.Study
    plan: Plan
    lock: FileLock

    def _trials(self) -> list[FrozenTrial]:
        return self.optuna.get_trials(deepcopy=False)

    def results(self) -> list[TrialResult]:
        """The trials that count, by number: complete, pruned, or failed for a reason of their own."""
        return [
            TrialResult(
                number=trial.number,
                state=STATES[trial.state],
                value=trial.values[0] if trial.values else None,
                epochs=trial.user_attrs.get(EPOCHS),
                settings=self.plan.space.values(trial.params),
                seeds={int(seed): value for seed, value in trial.user_attrs.get(SEEDS, {}).items()},
                seconds=trial.user_attrs.get(SECONDS),
                reason=trial.user_attrs.get(REASON),
            )
            for trial in self._trials()
            if trial.state in STATES and not _is_abandoned(trial)
        ]

    def compute(self) -> list[TrialResult]:
        """Compute trials until the study has enough, waiting for those of other processes.

        A failed trial does not end the search.

        Returns:
            the trials that count, by number.

        Raises:
            Interrupted: stopped on request; the same search resumes the current trial.
        """
        objective, wanted = self.plan.objective, self.plan.sampling.trials
        reporter = _Reporter(wanted, objective.display, self.plan.metric)
        waiting = False
        while not objective.stop_requested():
            with contextlib.ExitStack() as claim:
                claim.enter_context(self.lock)
                self._retry_abandoned()
                results = self.results()
                reporter.report(results)
                running = sum(trial.state == TrialState.RUNNING for trial in self._trials())
                if len(results) >= wanted:
                    return results
                if len(results) + running < wanted:
                    waiting = False
                    self._compute_next(claim, f"({len(results) + 1} of {wanted})")
                    continue
            if not waiting:
                objective.display.say(f"waiting for {running} trials of other processes")
                waiting = True
            time.sleep(POLL_SECONDS)
        raise Interrupted("stopped on request; the same command resumes the search")

    def _retry_abandoned(self) -> None:
        fail_stale_trials(self.optuna)
        trials = self._trials()
        retried = {number for trial in trials for number in Retry.retry_history(trial)}
        for trial in trials:
            if _is_abandoned(trial) and trial.number not in retried:
                Retry()(self.optuna, trial)

    def _compute_next(self, claim: contextlib.ExitStack, progress: str) -> None:
        """Start the next trial, release ``claim``, and compute the trial."""
        # Each trial has a sampler seeded for it, so repeating an interrupted trial shifts no later one.
        sampling = self.plan.sampling
        ordinal = sum(not Retry.retry_history(trial) for trial in self._trials())
        seed = int(run_id({"sampler": sampling.seed, "trial": ordinal})[:8], 16)
        self.optuna.sampler = _sampler(sampling.sampler, seed)
        median = sampling.pruner == "median"
        self.optuna.pruner = (
            optuna.pruners.MedianPruner(n_startup_trials=5) if median else optuna.pruners.NopPruner()
        )
        taken_over = False

        def compute(trial: Trial) -> float:
            nonlocal taken_over
            trial.set_user_attr(WORKER, f"{platform.node()} {os.getpid()}")
            choices = self.plan.space.suggest(trial)
            claim.close()
            try:
                return self._value(trial, choices, progress)
            except UpdateFinishedTrialError:
                taken_over = True
                raise

        try:
            self.optuna.optimize(compute, n_trials=1, catch=(_Failed,))
        except ValueError:  # raised by Optuna for the finished trial
            if not taken_over:
                raise
            # This process was suspended for so long that another one repeats the trial.
            self.plan.objective.display.say("a trial was taken over by another process")

    def _value(self, trial: Trial, choices: Mapping[str, Any], progress: str) -> float:
        started = time.monotonic()

        def report(step: int, value: float, last: bool) -> None:
            trial.report(value, step)
            if not last and trial.should_prune():
                raise optuna.TrialPruned

        def describe(**attributes: Any) -> None:
            for name, value in {SECONDS: round(time.monotonic() - started, 3), **attributes}.items():
                trial.set_user_attr(name, value)

        for other in self._trials():  # the same settings have the same value
            if other.state == TrialState.COMPLETE and other.params == choices:
                known = {name: other.user_attrs[name] for name in (EPOCHS, SEEDS)}
                describe(**known, **{SAME: other.number, SECONDS: 0.0})
                return float(other.values[0])
        settings = self.plan.space.values(choices)
        shown = {key: f"{one:.4g}" if isinstance(one, float) else one for key, one in settings.items()}
        title = ", ".join(f"{key}={one}" for key, one in shown.items())
        try:
            found = self.plan.objective(settings, f"trial {trial.number} {progress} · {title}", report)
        except optuna.TrialPruned:
            describe()
            raise
        except (Interrupted, KeyboardInterrupt, UpdateFinishedTrialError):
            raise
        except Exception as error:  # incompatible settings, a diverging loss, out of memory, ...
            describe(**{REASON: str(error) if isinstance(error, ZslbenchError) else one_line(error)})
            raise _Failed from error
        describe(**{EPOCHS: found.epochs, SEEDS: {str(seed): value for seed, value in found.seeds.items()}})
        return found.value


@contextlib.contextmanager
def open_study(plan: Plan) -> Iterator[Study]:
    """Open the study of a search, or create it.

    Raises:
        SettingsError: the file is not a study, or belongs to another search; lists the differences.
        ZslbenchError: the file cannot be read or written.
    """
    path, storage = plan.file, None
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):  # heartbeat and retries
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path.with_name(f"{path.name}.lock"), thread_local=False)
            with lock:
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
                text = json.dumps(plan.identity, sort_keys=True)
                if IDENTITY not in study.user_attrs:
                    study.set_user_attr(IDENTITY, text)
        except (OSError, OptunaError, SQLAlchemyError, sqlite3.Error, RuntimeError) as error:
            raise ZslbenchError(f"study {path}: cannot be opened ({one_line(error)})") from None
        try:
            if (known := study.user_attrs[IDENTITY]) != text:
                differences = _differences(json.loads(known), json.loads(text))
                more = "; ..." if len(differences) > _SHOWN else ""
                raise SettingsError(
                    f"study {path} belongs to another search ({'; '.join(differences[:_SHOWN])}{more}): "
                    "choose another file, or none"
                )
            yield Study(study, plan, lock)
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
        raise SettingsError(f"study {path}: not an SQLite file ({error}); choose another file") from None
    if tables and "trial_heartbeats" not in tables:
        raise SettingsError(f"study {path}: a database of another program; choose another file")


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """``tpe`` (Bergstra et al., NeurIPS 2011; the first ten trials are random) or ``random``."""
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    # Running trials count as bad ones, so that processes do not all try the same region.
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _differences(study: Mapping[str, Any], search: Mapping[str, Any]) -> list[str]:
    flat = [pd.json_normalize(dict(one)).iloc[0].to_dict() for one in (study, search)]
    pairs = {key: [one.get(key, "absent") for one in flat] for key in sorted(map(str, flat[0] | flat[1]))}
    return [f"{key} is {old} there, {new} here" for key, (old, new) in pairs.items() if old != new]


def _is_abandoned(trial: FrozenTrial) -> bool:
    """Whether the trial was interrupted or its process killed."""
    return trial.state == TrialState.FAIL and REASON not in trial.user_attrs


class _Reporter:
    """Announces how trials ended, those of other processes included."""

    def __init__(self, requested: int, display: Display, metric: Metric) -> None:
        self._requested, self._say, self._metric = requested, display.say, metric
        self._reported: set[int] | None = None

    def report(self, results: Sequence[TrialResult]) -> None:
        best = min(results, key=lambda one: one.rank, default=None)
        summary = (
            f" (best: trial {best.number}, {self._figure(best)})" if best and best.state == "done" else ""
        )
        if self._reported is None and results:
            self._say(f"the study has {len(results)} of {self._requested} trials{summary}")
        elif self._reported is not None:
            for one in results:
                if one.number not in self._reported:
                    self._say(f"trial {one.number}: {self._outcome(one)}{summary}")
        self._reported = {one.number for one in results}

    def _outcome(self, trial: TrialResult) -> str:
        if trial.state != "done":
            return f"failed: {trial.reason}" if trial.state == "failed" else "pruned"
        plural = "" if trial.epochs == 1 else "s"
        after = f" after {trial.epochs} epoch{plural}" if trial.epochs else ""
        return f"validation {self._metric.name} {self._figure(trial)}{after}"

    def _figure(self, trial: TrialResult) -> str:
        return f"{percent(trial.value):.1f} %" if trial.value is not None else ""
