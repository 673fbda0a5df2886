"""A study: a journal of Optuna's, one file in which any number of processes on any machines compute trials.

Each process holds a lock while it computes, and its trials name it: a running trial whose lock is free
belongs to a dead process. A trial that was interrupted, or whose process was killed, has failed without a
reason: it is enqueued again with the same values and resumes from its checkpoints. Trials start one at a
time, under a lock, so a study never has more than requested.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from filelock import FileLock, Timeout

from zslbench.errors import Interrupted, MissingExtra, SettingsError, ZslbenchError
from zslbench.plugin import one_line
from zslbench.store import parse_json, run_id
from zslbench_tune.result import TrialResult
from zslbench_tune.search import Search

try:
    import optuna
    import tomlkit  # noqa: F401  (for the preset, which is written last)
    from optuna.exceptions import ExperimentalWarning, OptunaError, UpdateFinishedTrialError
    from optuna.storages import JournalStorage, RetryHeartbeatStaleTrialCallback as Retry
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
    from optuna.trial import FrozenTrial, Trial, TrialState
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

WORKER = "worker"
"""A trial's attribute with the name of the process that computes it."""
POLL_SECONDS = 0.5
_LONGEST = 1 << 20
"""Bytes of a journal's first line."""
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
    """Held while a trial starts."""
    worker: str
    """The name of this process."""
    _announced: set[int] | None = None

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
                splits=tuple(trial.user_attrs.get("splits", ())),
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
        waiting = False
        while not search.stop_requested():
            with contextlib.ExitStack() as claim:
                claim.enter_context(self.lock)
                self._retry_abandoned()
                # Counted first: trials end without the lock, and one that ends now must be in one of the two.
                running = sum(trial.state == TrialState.RUNNING for trial in self._trials())
                results = self.results()
                self._announce(results)
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

    def is_complete(self) -> bool:
        """Whether there are enough trials; computes none, and says how those of other processes ended."""
        results = self.results()
        self._announce(results)
        return len(results) >= self.search.sampling.trials

    def _announce(self, results: Sequence[TrialResult]) -> None:
        """Say how trials ended, those of other processes included; at first only how many there are."""
        announced = self._announced
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
        self._announced = {one.number for one in results}

    def _retry_abandoned(self) -> None:
        for trial in self._trials():
            if trial.state == TrialState.RUNNING and not self._is_alive(trial.user_attrs.get(WORKER)):
                # It may have ended since it was read.
                self.optuna.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        trials = self._trials()
        retried = {number for trial in trials for number in Retry.retry_history(trial)}
        for trial in trials:
            if _is_abandoned(trial) and trial.number not in retried:
                Retry()(self.optuna, trial)

    def _is_alive(self, worker: str | None) -> bool:
        """Whether a process still computes. One that did not name itself died while it held the claim."""
        if worker is None or not (file := _worker_lock(self.search.file, worker)).exists():
            return False
        try:
            with FileLock(file, thread_local=False, timeout=0):
                return False
        except Timeout:
            return True

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
            trial.set_user_attr(WORKER, self.worker)
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
                names = {"epochs", "seeds", "splits"} & other.user_attrs.keys()
                known = {name: other.user_attrs[name] for name in sorted(names)}
                describe(**known, same_as=other.number, seconds=0.0)
                return float(other.values[0])
        settings = self.search.space.values(choices)
        shown = {key: f"{one:.4g}" if isinstance(one, float) else one for key, one in settings.items()}
        title = ", ".join(f"{key}={one}" for key, one in shown.items())
        try:
            found = self.search.value(settings, f"trial {trial.number} {progress} · {title}", report)
        except optuna.TrialPruned:
            describe()
            raise
        except (Interrupted, KeyboardInterrupt, UpdateFinishedTrialError):
            raise
        except Exception as error:  # incompatible settings, a diverging loss, out of memory, ...
            describe(reason=str(error) if isinstance(error, ZslbenchError) else one_line(error))
            raise _Failed from error
        seeds = {str(seed): one for seed, one in found.seeds.items()}
        describe(epochs=found.epoch, seeds=seeds, splits=found.splits)
        return found.value


@contextlib.contextmanager
def open_study(search: Search) -> Iterator[Study]:
    """Open the study of a search, or create it.

    Raises:
        SettingsError: the file is not a study, or belongs to another search; lists the differences.
        ZslbenchError: the file cannot be read or written.
    """
    path = search.file
    with (
        contextlib.ExitStack() as held,
        warnings.catch_warnings(action="ignore", category=ExperimentalWarning),
    ):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            claim = FileLock(path.with_name(f"{path.name}.claim"), thread_local=False)
            writing = JournalFileSymlinkLock(str(path))  # as other programs of Optuna's use it
            with claim:
                _check_file(path, writing)
                backend = JournalFileBackend(str(path), writing)
                study = optuna.create_study(
                    storage=JournalStorage(backend),
                    study_name=STUDY,
                    direction="maximize",
                    load_if_exists=True,
                )
                text = json.dumps(search.identity, sort_keys=True)
                if IDENTITY not in study.user_attrs:
                    study.set_user_attr(IDENTITY, text)
            worker = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(3)}"
            file = _worker_lock(path, worker)
            file.parent.mkdir(exist_ok=True)
            held.enter_context(FileLock(file, thread_local=False))
            held.callback(file.unlink, missing_ok=True)
        except (OSError, OptunaError, RuntimeError) as error:
            raise ZslbenchError(f"study {path}: cannot be opened ({one_line(error)})") from None
        except (ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"study {path}: not a study, or damaged ({one_line(error)}); choose another file"
            ) from None
        if (known := study.user_attrs[IDENTITY]) != text:
            differences = _differences(parse_json(known), parse_json(text))
            more = "; ..." if len(differences) > _SHOWN else ""
            raise SettingsError(
                f"study {path} belongs to another search ({'; '.join(differences[:_SHOWN])}{more}): "
                "choose another file, or omit --journal"
            )
        yield Study(study, search, claim, worker)


def _worker_lock(study: Path, worker: str) -> Path:
    return study.with_name(f"{study.name}.workers") / f"{worker}.lock"


def _check_file(path: Path, writing: JournalFileSymlinkLock) -> None:
    """Refuse a file that is no study, before anything is written; cut off what a full disk left of a line.

    Raises:
        SettingsError: it is another file.
    """
    if not path.exists() or not (path.is_dir() or path.stat().st_size):
        return
    with path.open("rb") as file:
        first = file.readline(_LONGEST)
    if first.startswith(b"SQLite format 3"):
        raise SettingsError(f"study {path}: an SQLite file, as earlier versions wrote; choose another file")
    try:
        if parse_json(first)["study_name"] != STUDY:
            raise ValueError("of another program")
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"study {path}: not a study ({one_line(error)}); choose another file") from None
    writing.acquire()
    try:
        with path.open("r+b") as file:
            content = file.read()
            if not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        writing.release()


def _differences(study: Mapping[str, Any], search: Mapping[str, Any]) -> list[str]:
    flat = [pd.json_normalize(dict(one)).iloc[0].to_dict() for one in (study, search)]
    pairs = {key: [one.get(key, "absent") for one in flat] for key in sorted(map(str, flat[0] | flat[1]))}
    return [f"{key} is {old} there, {new} here" for key, (old, new) in pairs.items() if old != new]


def _is_abandoned(trial: FrozenTrial) -> bool:
    """Whether the trial was interrupted or its process killed."""
    return trial.state == TrialState.FAIL and "reason" not in trial.user_attrs
