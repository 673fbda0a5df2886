"""What SLURM says of jobs, through its own commands: submitit asks sacct, which needs accounting."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from zslbench.errors import ZslbenchError

_FINAL = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "REVOKED", "TIMEOUT",
}  # fmt: skip
"""States of jobs that have ended; in all others a job will run, or runs, or is about to end."""


class NoAnswer(ZslbenchError):
    """SLURM does not answer now."""


@dataclass(frozen=True)
class JobState:
    """A job, or a task of a job array."""

    state: str
    """As SLURM names it, such as ``PENDING``."""
    reason: str = ""
    """Why it is pending, or ended."""
    node: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.state not in _FINAL

    def __str__(self) -> str:
        about = self.node if self.state == "RUNNING" else self.reason
        return self.state.lower().replace("_", " ") + (f" ({about})" if about else "")


def job_states() -> dict[str, JobState]:
    """This user's jobs that have not ended or ended lately (MinJobAge), by id, such as ``12_4``.

    Raises:
        NoAnswer: squeue fails, or takes too long.
    """
    command = ["squeue", "--noheader", "--array", "--all", "--states=all", f"--user={os.getuid()}"]
    done = _run([*command, "--format=%i|%T|%r|%N"])
    if done is None or done.returncode:
        said = done.stderr.strip().splitlines() if done else []
        why = said[-1].removeprefix("squeue: ") if said else "no answer from SLURM"
        raise NoAnswer(f"squeue: {why}; try again later")
    found = {}
    for line in done.stdout.splitlines():
        job, state, reason, node = (one.strip() for one in line.split("|", 3))
        found[job] = JobState(state, "" if reason == "None" else reason, node)
    return found


def cancel_jobs(jobs: Iterable[str]) -> None:
    """Cancel jobs; those that have ended stay as they are.

    Raises:
        ZslbenchError: SLURM does not.
    """
    command = ["scancel", *sorted({job.partition("_")[0] for job in jobs})]
    done = _run(command)
    if done is None or done.returncode:
        why = "no answer" if done is None else " ".join(done.stderr.split())
        raise ZslbenchError(f"{' '.join(command)}: {why}")


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise ZslbenchError(f"{command[0]} not found: this machine is not part of a SLURM cluster") from None
    except (OSError, subprocess.TimeoutExpired):
        return None
