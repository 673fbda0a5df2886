"""What a task of a job array runs on its node: a worker, which is an ordinary zslbench process.

submitit unpickles a :class:`Task` and calls it. Before the time limit SLURM sends SIGUSR2 to every process of
the task: the worker stops at its next checkpoint, and submitit calls :meth:`Task.checkpoint`, which waits for
that, and then requeues the job. A job that is preempted gets SIGTERM, with the same effect on the worker, and
SLURM itself requeues it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from submitit.helpers import DelayedSubmission

from zslbench.output import echo

STOPPED = 130
"""The exit code of a worker that stopped on request; it can resume."""

_SETTLE = 3.0
"""Seconds after a worker's end in which the signal that ended it arrives here too, if it was for both."""


@dataclass(frozen=True)
class Task:
    """A worker for some groups of a submission."""

    command: tuple[str, ...]
    submission: Path
    """The submission's folder."""
    groups: tuple[int, ...]
    log: Path
    """Where the worker's output goes."""

    worker: ClassVar[subprocess.Popen[bytes] | None] = None
    """The worker of this process."""

    def __call__(self) -> None:
        """Run the worker; another one if it dies. If that dies too, its groups are failed."""
        code = self._work()
        if code not in (0, STOPPED):
            echo(f"the worker ended with exit code {code}; starting another one", err=True)
            code = self._work()
        if code not in (0, STOPPED):
            self._fail(f"its worker ended twice, the last time with exit code {code}")
        if code:
            raise SystemExit(code if code > 0 else 128 - code)

    def checkpoint(self) -> DelayedSubmission:
        """Wait until the worker has stopped; what is requeued does the same again."""
        if (worker := Task.worker) is not None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                worker.send_signal(signal.SIGUSR2)  # it does nothing if SLURM has sent it already
                # Not worker.wait(): the call that this handler interrupts holds its lock.
                os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(self)

    def _work(self) -> int:
        with self.log.open("ab") as log:
            Task.worker = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        code = Task.worker.wait()
        if code:
            time.sleep(_SETTLE)
        return code

    def _fail(self, message: str) -> None:
        from zslbench.experiment import Submission, last_lines

        if said := last_lines(self.log, 1):
            message = f"{message}: {said}"
        submission = Submission.open(self.submission)
        ended = {number for number, state in submission.states().items() if state.state == "ended"}
        for group in self.groups:
            if group not in ended:
                submission.fail(group, message)
