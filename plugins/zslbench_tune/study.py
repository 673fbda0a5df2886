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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from filelock import FileLock

from zslbench.errors import Interrupted, MissingExtra, SettingsError, ZslbenchError
from zslbench.plugin import one_line
from zslbench.store import parse_json, run_id
from zslbench_tune.result import TrialResult
from zslbench_tune.search import Search

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
STATES: dict[TrialState, Literal["done", "pruned", "failed"]] = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

SAMPLERS: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
    # Running trials count as bad ones, so that processes do not all try the same region.
    "tpe": partial(optuna.samplers.TPESampler, constant_liar=True),
    "random": optuna.samplers.RandomSampler,
}
"""``tpe``: Bergstra et al., NeurIPS 2011; its first ten trials are random."""
PRUNERS: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": partial(optuna.pruners.MedianPruner, n_startup_trials=5),
}

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
    search: Search
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
                settings=self.search.space.values(trial.params),
                seeds={int(seed): value for seed, value in trial.user_attrs.get("seeds", {}).items()},
                **{name: trial.user_attrs.get(name) for name in ("epochs", "seconds", "reason")},
            )
            for trial in self._trials()
            if trial.state in STATES and not _is_abandoned(trial)
        ]

    def compute(self) -> list[TrialResult]:
        """Compute trials until the study has enough, waiting for those of other processes.

        A failed trial does not end the search. Returns the trials that count, by number.

        Raises:
            Interrupted: stopped on request; the same search resumes the current trial.
        """
        search, wanted = self.search, self.search.sampling.trials
        announced: set[int] | None = None
        waiting = False
        while not search.stop_requested():
            with contextlib.ExitStack() as claim:
                claim.enter_context(self.lock)
                self._retry_abandoned()
                # Counted first: trials end without the lock, and one that ends now must be in one of the two.
                running = sum(trial.state == TrialState.RUNNING for trial in self._trials())
                results = self.results()
                announced = self._announce(results, announced)
                if len(results) >= wanted:
                    return results
                if len(results) + running < wanted:
                    waiting = False
                    self._compute_next(claim, f"({len(results) + 1} of {wanted})")
                    continue
            if not waiting:
                search.display.say(f"waiting for {running} trials of other processes")
                waiting = True
            time.sleep(POLL_SECONDS)
        raise Interrupted("stopped on request; the same command resumes the search")

    def _announce(self, results: Sequence[TrialResult], announced: set[int] | None) -> set[int]:
        """Say how trials ended, those of other processes included; at first only how many there are."""
        say, best = self.search.display.say, min(results, key=lambda one: one.rank, default=None)
        summary = f" (best: trial {best.number}, {best.figure})" if best and best.state == "done" else ""
        if announced is None and results:
            say(f"the study has {len(results)} of {self.search.sampling.trials} trials{summary}")
        for one in results:
            if announced is not None and one.number not in announced:
                length = f" after {one.epochs} epoch{'s' * (one.epochs > 1)}" if one.epochs else ""
                outcome = {
                    "done": f"validation {self.search.metric.name} {one.figure}{length}",
                    "pruned": "pruned",
                    "failed": f"failed: {one.reason}",
                }
                say(f"trial {one.number}: {outcome[one.state]}{summary}")
        return {one.number for one in results}

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
        sampling = self.search.sampling
        ordinal = sum(not Retry.retry_history(trial) for trial in self._trials())
        seed = int(run_id({"sampler": sampling.seed, "trial": ordinal})[:8], 16)
        self.optuna.sampler = SAMPLERS[sampling.sampler](seed=seed)
        self.optuna.pruner = PRUNERS[sampling.pruner]()
        taken_over = False

        def compute(trial: Trial) -> float:
            nonlocal taken_over
            trial.set_user_attr("worker", f"{platform.node()} {os.getpid()}")
            choices = self.search.space.suggest(trial)
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
            self.search.display.say("another process took over a trial")

    def _value(self, trial: Trial, choices: Mapping[str, Any], progress: str) -> float:
        started = time.monotonic()

        def report(step: int, value: float, last: bool) -> None:
            trial.report(value, step)
            if not last and trial.should_prune():
                raise optuna.TrialPruned

        def describe(**attributes: Any) -> None:
            for name, value in {"seconds": round(time.monotonic() - started, 3), **attributes}.items():
                trial.set_user_attr(name, value)

        for other in self._trials():  # the same settings have the same value
            if other.state == TrialState.COMPLETE and other.params == choices:
                known = {name: other.user_attrs[name] for name in ("epochs", "seeds")}
                describe(**known, same_as=other.number, seconds=0.0)
                return float(other.values[0])
        settings = self.search.space.values(choices)
        shown = {key: f"{one:.4g}" if isinstance(one, float) else one for key, one in settings.items()}
        title = ", ".join(f"{key}={one}" for key, one in shown.items())
        try:
            value, epochs, seeds = self.search.value(
                settings, f"trial {trial.number} {progress} · {title}", report
            )
        except optuna.TrialPruned:
            describe()
            raise
        except (Interrupted, KeyboardInterrupt, UpdateFinishedTrialError):
            raise
        except Exception as error:  # incompatible settings, a diverging loss, out of memory, ...
            describe(reason=str(error) if isinstance(error, ZslbenchError) else one_line(error))
            raise _Failed from error
        describe(epochs=epochs, seeds={str(seed): one for seed, one in seeds.items()})
        return value


@contextlib.contextmanager
def open_study(search: Search) -> Iterator[Study]:
    """Open the study of a search, or create it.

    Raises:
        SettingsError: the file is not a study, or belongs to another search; lists the differences.
        ZslbenchError: the file cannot be read or written.
    """
    path, storage = search.file, None
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
                text = json.dumps(search.identity, sort_keys=True)
                if IDENTITY not in study.user_attrs:
                    study.set_user_attr(IDENTITY, text)
        except (OSError, OptunaError, SQLAlchemyError, sqlite3.Error, RuntimeError) as error:
            raise ZslbenchError(f"study {path}: cannot be opened ({one_line(error)})") from None
        try:
            if (known := study.user_attrs[IDENTITY]) != text:
                differences = _differences(parse_json(known), parse_json(text))
                more = "; ..." if len(differences) > _SHOWN else ""
                raise SettingsError(
                    f"study {path} belongs to another search ({'; '.join(differences[:_SHOWN])}{more}): "
                    "choose another file, or omit --journal"
                )
            yield Study(study, search, lock)
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
        raise SettingsError(f"study {path}: belongs to another program; choose another file")


def _differences(study: Mapping[str, Any], search: Mapping[str, Any]) -> list[str]:
    flat = [pd.json_normalize(dict(one)).iloc[0].to_dict() for one in (study, search)]
    pairs = {key: [one.get(key, "absent") for one in flat] for key in sorted(map(str, flat[0] | flat[1]))}
    return [f"{key} is {old} there, {new} here" for key, (old, new) in pairs.items() if old != new]


def _is_abandoned(trial: FrozenTrial) -> bool:
    """Whether the trial was interrupted or its process killed."""
    return trial.state == TrialState.FAIL and "reason" not in trial.user_attrs
