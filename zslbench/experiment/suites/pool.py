"""The executors of this machine: a pool of worker processes, on the CPUs or on each GPU."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from zslbench.errors import Interrupted, SettingsError, ZslbenchError
from zslbench.experiment.events import stop_requests
from zslbench.experiment.options import RunOptions
from zslbench.experiment.suites.executor import RunExecutor, Watch
from zslbench.experiment.suites.group_state import SILENCE, GroupState
from zslbench.experiment.suites.submission import Submission, last_lines

POLL = 0.2
"""Seconds between two looks at the workers."""
ATTEMPTS = 2
"""How many workers may die on a group before its cells fail."""
PATIENCE = 60.0
"""Seconds for which workers may write a checkpoint before they are killed."""


class LocalPool(RunExecutor):
    """Workers on this machine: ``workers`` of them on its CPUs, or one or more on each of ``gpus``."""

    def __init__(self, options: RunOptions) -> None:
        super().__init__(options)
        self.gpus = self._gpus()
        self.count = options.workers or len(self.gpus) or 1
        if self.gpus and options.device not in ("auto", "cuda"):
            raise SettingsError(f"--device {options.device}: --gpus needs --device auto or cuda")

    def _gpus(self) -> tuple[str, ...]:
        given = [one.strip() for one in (self.options.gpus or "").split(",")]
        if self.options.gpus is None:
            return ()
        known = visible_gpus()
        if not all(given) or len(set(given)) != len(given) or not all(one.isdecimal() for one in given):
            raise SettingsError(f"--gpus {self.options.gpus}: give different numbers, for example 0,1,2,3")
        if absent := [one for one in given if int(one) >= len(known)]:
            there = f"torch finds {len(known)}" if known else "torch finds no GPU"
            raise SettingsError(f"--gpus {self.options.gpus}: no GPU {', '.join(absent)}, {there}")
        return tuple(known[int(one)] for one in given)

    def worker_options(self) -> RunOptions:
        """By default, workers on CPUs share them evenly."""
        options = self.options
        if self.gpus:
            return replace(options, device="cuda")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return replace(options, threads=options.threads or max(1, cores // self.count))

    def execute(self, submission: Submission, watch: Watch, say: Callable[[str], None]) -> None:
        """Start workers, each of which takes groups until none is left, and replace those that die."""
        submission.write()
        count = min(self.count, len(submission.groups))
        workers = [
            _Worker(submission, number, self.gpus[number % len(self.gpus)] if self.gpus else None)
            for number in range(count)
        ]
        for one in submission.earlier():  # left by a command that was stopped or killed
            with contextlib.suppress(ZslbenchError):
                if one.executor == submission.executor and not one.has_ended():
                    self.cancel(one)
        with stop_requests(say) as stopped, FileLock(_lock(submission)), _ended(workers):
            _Pool(submission, workers, say).run(watch, stopped)
        if all(one["status"] != "failed" for one in _results(submission.states())):
            shutil.rmtree(submission.folder, ignore_errors=True)
        else:
            say(f"logs of the workers: {submission.logs}")

    @classmethod
    def cancel(cls, submission: Submission) -> str:
        """Remove a submission whose command has ended; ZslbenchError while it runs."""
        # A lock held on another machine may not be visible here, if the store is on a network disk.
        heard = any(one.state == "running" and not one.lost for one in submission.states().values())
        try:
            with FileLock(_lock(submission), timeout=0):
                if not heard:
                    shutil.rmtree(submission.folder, ignore_errors=True)
                    return (
                        f"removed {submission.name}, whose command is no longer running; the same command "
                        "computes what is left"
                    )
        except Timeout:
            return super().cancel(submission)
        raise ZslbenchError(
            f"submission {submission.name}: a worker reported less than {SILENCE.seconds // 60} minutes ago; "
            "try again later"
        )


class EveryGpu(LocalPool):
    """Workers on every GPU of this machine."""

    def __init__(self, options: RunOptions) -> None:
        if options.gpus is None:
            count = len(visible_gpus())
            if not count:
                raise SettingsError("--executor gpus: torch finds no GPU; use --workers N for the CPUs")
            options = replace(options, gpus=",".join(map(str, range(count))))
        super().__init__(options)


def _lock(submission: Submission) -> Path:
    """The lock that the command which started a submission holds until it ends."""
    return submission.folder / ".pool.lock"


def visible_gpus() -> tuple[str, ...]:
    """What ``CUDA_VISIBLE_DEVICES`` must be for each GPU that torch finds."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    given = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    return tuple(given[:count]) if len(given) >= count else tuple(map(str, range(count)))


@dataclass
class _Worker:
    """The place of a worker, and the process that has it."""

    submission: Submission
    number: int
    gpu: str | None
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.submission.logs / f"worker-{self.number}.log"

    def start(self) -> None:
        environment = dict(os.environ)
        if self.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpu
        command = [*self.submission.command(log=self.log), "--attached"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # its end tells a worker that this process has gone
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.submission.working_folder,
                start_new_session=True,  # Ctrl-C in the terminal is for this process
            )

    def close(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


@contextlib.contextmanager
def _ended(workers: list[_Worker]) -> Iterator[None]:
    """No worker outlives the context: first they are asked to stop at a checkpoint, then killed."""
    try:
        yield
    finally:
        running = [one.process for one in workers if one.process is not None]
        deadline = time.monotonic() + PATIENCE
        try:
            for process in running:
                if process.poll() is None:
                    process.terminate()
            for process in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
        finally:  # also after a second Ctrl-C
            for process in running:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            for one in workers:
                one.close()


class _Pool:
    def __init__(self, submission: Submission, workers: list[_Worker], say: Callable[[str], None]) -> None:
        self.submission, self.workers, self.say = submission, workers, say
        self.deaths: Counter[int] = Counter()
        """By group: workers that died on it."""
        self.idle_deaths = 0
        """Workers that died before they had a group, in succession."""

    def run(self, watch: Watch, stopped: Callable[[], bool]) -> None:
        for one in self.workers:
            one.start()
        looked = time.monotonic()
        while not watch(self.submission):
            if stopped():
                raise Interrupted("stopped")
            states = self.submission.states()
            for one in self.workers:
                if one.process is not None and (code := one.process.poll()) is not None:
                    self._worker_ended(one, one.process, code, states)
            self._restart(states)
            # Thousands of groups take longer to look at: then less often.
            time.sleep(max(POLL, 5 * (time.monotonic() - looked)))
            looked = time.monotonic()
        self._finish()

    def _worker_ended(
        self, worker: _Worker, process: subprocess.Popen[bytes], code: int, states: Mapping[int, GroupState]
    ) -> None:
        """A worker has ended: nothing was left for it, or it died."""
        worker.close()
        worker.process = None
        if code == 0:
            self.idle_deaths = 0
            return
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        said = last_lines(worker.log)
        mine = [one.number for one in states.values() if one.pid == process.pid and one.state != "ended"]
        if not mine:
            self.idle_deaths += 1
            if self.idle_deaths >= ATTEMPTS:
                raise ZslbenchError(f"a worker {how} before its first run: {said or 'its log is empty'}")
            return
        self.idle_deaths = 0
        for number in mine:
            self.deaths[number] += 1
            label = self.submission.groups[number].label
            if self.deaths[number] < ATTEMPTS:
                self.say(f"the worker of {label} {how}; another one resumes it")
            else:
                message = f"its worker {how}, as did the one before it: {said or 'its log is empty'}"
                self.submission.fail(number, message)

    def _restart(self, states: Mapping[int, GroupState]) -> None:
        """Start workers again while there are groups that no living one computes."""
        alive = {one.process.pid for one in self.workers if one.process is not None}
        ended = sum(one.state == "ended" for one in states.values())
        held = sum(one.state != "ended" and one.pid in alive for one in states.values())
        left = len(self.submission.groups) - ended - held
        for worker in self.workers:
            # A living worker without a group will take one of those that are left.
            if worker.process is None and left > len(alive) - held:
                worker.start()
                left -= 1

    def _finish(self) -> None:
        """Wait for workers that close their trackers; those that never had a group have nothing to close."""
        used = {one.pid for one in self.submission.states().values()}
        for one in self.workers:
            if one.process is not None and one.process.pid in used:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    one.process.wait(PATIENCE)


def _results(states: Mapping[int, GroupState]) -> Iterator[Mapping[str, object]]:
    for state in states.values():
        yield from state.cells.values()
