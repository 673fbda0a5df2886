"""Submits the groups of a plan as tasks of a job array, and follows them."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import submitit
from filelock import FileLock
from submitit.core.utils import FailedJobError, FailedSubmissionError

from zslbench.cli import duration
from zslbench.errors import Interrupted, SettingsError, ZslbenchError
from zslbench.experiment import RunExecutor, RunOptions, Submission, Watch
from zslbench.store import parse_json, write_atomically
from zslbench_slurm.cluster import JobState, NoAnswer, cancel_jobs, job_states
from zslbench_slurm.parameters import OWN, parse, wants_gpu
from zslbench_slurm.task import Task

LARGEST_ARRAY = 1000
"""Tasks of one array; clusters allow 1,001 unless configured otherwise (MaxArraySize)."""

SHORTEST = 120.0
"""Seconds that a task should last: starting one takes about seven."""

REQUEUES = 1000
"""How often submitit requeues a task at its time limit."""

INTERVAL = 1.0
"""Seconds between looks at the states in the store."""

QUEUE_INTERVAL = 5.0
"""Seconds between looks at the queue, for which SLURM's controller answers."""

LAG = 60.0
"""Seconds for which a network file system may not show what another machine has written."""

_RECORD = "slurm.json"
_FOLDER = "slurm"
"""Of a submission: the script, what submitit keeps, and what SLURM writes of each task."""


@dataclass(frozen=True)
class _Sent:
    """A task that was submitted."""

    job: str
    groups: tuple[int, ...]


class SlurmExecutor(RunExecutor):
    """Each group of runs is a task of a job array, and each task a worker on some node."""

    remote: ClassVar[bool] = True

    def __init__(self, options: RunOptions) -> None:
        if options.workers is not None:
            raise SettingsError(
                f"--workers {options.workers}: with --executor slurm, write "
                f"--slurm array_parallelism={options.workers}"
            )
        if options.gpus is not None:
            count = len(options.gpus.split(","))
            raise SettingsError(
                f"--gpus {options.gpus}: with --executor slurm, write --slurm gres=gpu:1 "
                f"--slurm array_parallelism={count} (a GPU for each task, {count} tasks at once)"
            )
        self.options, self.parameters = options, parse(options.executor_options or {})
        self._groups_per_task: int | None = self.parameters.pop(OWN, None)

    def worker_options(self) -> RunOptions:
        """On a GPU if the jobs get one; else as many threads as the tasks have CPUs."""
        device = self.options.device
        if device == "auto":
            device = "cuda" if wants_gpu(self.parameters) else "cpu"
        threads = self.options.threads or self.parameters.get("cpus_per_task", 1)
        return replace(self.options, device=device, threads=threads)

    def preview(self, submission: Submission) -> Iterable[str]:
        """The size of the array, its cost, and the script."""
        tasks = self._tasks(submission)
        yield self._summary(submission, tasks)
        executor = self._submitit(submission)
        if len(tasks) > 1:
            executor.parameters["map_count"] = len(tasks)
        yield from executor._make_submission_file_text(executor._submitit_command_str, "").splitlines()

    def execute(self, submission: Submission, watch: Watch, say: Callable[[str], None]) -> None:
        """Submit what is missing, or attach to an earlier submission of the same command; follow it."""
        followed = submission
        with _locked(submission):
            states = job_states()
            earlier = [one for one in submission.earlier() if one.executor == "slurm"]
            under_way = next((one for one in earlier if _live(sent_tasks(one), states)), None)
            if under_way is None:
                submission.write()
                tasks = self._tasks(submission)
                say(self._summary(submission, tasks))
                try:
                    self._submit(submission, tasks)
                except ZslbenchError:
                    shutil.rmtree(submission.folder, ignore_errors=True)
                    raise
                say(f"submitted as {submission.name}; logs in {submission.logs}")
            else:
                followed = under_way
                say(f"attached to {followed.name}, which is under way; logs in {followed.logs}")
        try:
            self._follow(followed, watch, say)
        except KeyboardInterrupt:
            raise Interrupted(
                f"left {followed.name}, which continues in SLURM; the same command attaches to it, "
                f"'zslbench jobs' shows it and 'zslbench jobs cancel {followed.name}' stops it"
            ) from None
        if left := _wanted(submission) - _wanted(followed):
            say(f"{len(left)} runs were not in {followed.name}; the same command submits them")

    @classmethod
    def queue(cls, submission: Submission) -> Mapping[int, str]:
        """What SLURM says of each group."""
        states = None
        with contextlib.suppress(ZslbenchError):  # a machine that only sees the store
            states = job_states()
        latest = {group: one for one in sent_tasks(submission) for group in one.groups}
        if states is None:
            return {group: f"job {one.job} (no answer from SLURM)" for group, one in latest.items()}
        return {
            group: f"job {one.job} {states.get(one.job, 'is no longer listed')}"
            for group, one in latest.items()
        }

    @classmethod
    def cancel(cls, submission: Submission) -> str:
        """Cancel its jobs; those that run stop at a checkpoint."""
        states = job_states()
        jobs = [one.job for one in sent_tasks(submission) if _is_live(one, states)]
        if not jobs:
            return ""
        cancel_jobs(jobs)
        return f"cancelled {submission.name}; to submit what is left, repeat the command that submitted it"

    # --- submitting ------------------------------------------------------------------------------

    def _submitit(self, submission: Submission) -> submitit.SlurmExecutor:
        try:
            executor = submitit.SlurmExecutor(submission.folder / _FOLDER, max_num_timeout=REQUEUES)
        except RuntimeError:
            raise ZslbenchError("srun not found: this machine is not part of a SLURM cluster") from None
        executor.update_parameters(**{"job_name": submission.name, **self.parameters})
        return executor

    def _submit(self, submission: Submission, tasks: Sequence[tuple[int, ...]]) -> None:
        functions = []
        for groups in tasks:
            log = submission.logs / f"{groups[0]}.log"
            command = submission.command(*groups, log=log)
            functions.append(Task(tuple(command), submission.folder, groups, log))
        executor = self._submitit(submission)
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # submitit prints what it also raises
                jobs = executor.submit_array(functions)
        except (FailedJobError, FailedSubmissionError) as error:
            raise ZslbenchError(f"SLURM refused the jobs: {' '.join(str(error).split())}") from None
        sent = [*sent_tasks(submission), *map(_Sent, [job.job_id for job in jobs], tasks)]
        content = {"tasks": [{"job": one.job, "groups": one.groups} for one in sent]}
        write_atomically(submission.folder / _RECORD, json.dumps(content).encode("ascii"))

    def _tasks(self, submission: Submission) -> list[tuple[int, ...]]:
        """The groups of each task: as many as the user says, else short ones together."""
        least = max(self._groups_per_task or 1, -(-len(submission.groups) // LARGEST_ARRAY))
        tasks: list[list[int]] = []
        lasts = SHORTEST
        """Seconds that the latest task takes; a group of unknown cost counts as a full task."""
        for group in submission.groups:
            cost = SHORTEST if group.seconds is None or self._groups_per_task else group.seconds
            if tasks and (len(tasks[-1]) < least or max(lasts, cost) < SHORTEST):
                tasks[-1].append(group.number)
                lasts += cost
            else:
                tasks.append([group.number])
                lasts = cost
        return list(map(tuple, tasks))

    def _summary(self, submission: Submission, tasks: Sequence[tuple[int, ...]]) -> str:
        """How many tasks, and what they cost."""
        at_once = min(len(tasks), self.parameters.get("array_parallelism", 256))
        text = (
            "1 task" if len(tasks) == 1 else f"{len(tasks)} tasks in a job array, at most {at_once} at once"
        )
        costs = [group.seconds for group in submission.groups]
        known = [one for one in costs if one is not None]
        if not known:
            return f"{text}; cost unknown"
        # What is unknown costs as much as the mean of the others.
        total = sum(known) / len(known) * len(costs)
        guess = "" if len(known) == len(costs) else f", {len(costs) - len(known)} of them guessed"
        return (
            f"{text}; about {duration(total)} of computing{guess}, {duration(total / at_once)} at full width"
        )

    # --- following -------------------------------------------------------------------------------

    def _follow(self, submission: Submission, watch: Watch, say: Callable[[str], None]) -> None:
        """Until every group has ended; a task that died is submitted once more, then its groups fail."""
        since: dict[_Sent, float] = {}
        asked = time.monotonic()
        while not watch(submission):
            time.sleep(INTERVAL)
            if time.monotonic() - asked < QUEUE_INTERVAL:
                continue
            asked = time.monotonic()
            try:
                states = job_states()
            except NoAnswer:
                continue
            ended = {number for number, state in submission.states().items() if state.state == "ended"}
            sent = sent_tasks(submission)
            latest = {group: one for one in sent for group in one.groups if group not in ended}
            left = [one for one in dict.fromkeys(latest.values()) if not _is_live(one, states)]
            stopped = [one for one in left if one in since and _was_stopped(one, states, submission)]
            if stopped and len(stopped) == len(set(latest.values())):
                raise Interrupted(f"{submission.name} was cancelled; the same command submits what is left")
            now = time.monotonic()
            for one in left:
                # Not at the first look: state files may come later than the end of the job.
                if one in stopped or one not in since or now - since[one] < LAG:
                    continue
                groups = tuple(group for group in one.groups if group not in ended)
                what = f"SLURM job {one.job} {states.get(one.job, 'ended')}, before its runs ended"
                if sum(groups[0] in other.groups for other in sent) == 1:
                    say(f"{what}; submitting them again")
                    self._submit(submission, [groups])
                    continue
                for group in groups:
                    submission.fail(group, f"{what}, like the one before it; logs in {submission.logs}")
            since = {one: since.get(one, now) for one in left}


def sent_tasks(submission: Submission) -> list[_Sent]:
    """The tasks of a submission, in the order in which they were submitted."""
    try:
        content = parse_json((submission.folder / _RECORD).read_bytes())
        return [_Sent(str(one["job"]), tuple(map(int, one["groups"]))) for one in content["tasks"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _wanted(submission: Submission) -> set[str | None]:
    return {cell.run for group in submission.groups for cell in group.cells if cell.wanted}


def _is_live(one: _Sent, states: Mapping[str, JobState]) -> bool:
    return one.job in states and states[one.job].is_live


def _live(sent: Iterable[_Sent], states: Mapping[str, JobState]) -> bool:
    return any(_is_live(one, states) for one in sent)


def _was_stopped(one: _Sent, states: Mapping[str, JobState], submission: Submission) -> bool:
    """Whether somebody cancelled the task, rather than it died."""
    if one.job in states:
        return states[one.job].state == "CANCELLED"
    found = submission.states()
    return all(group not in found or found[group].state == "stopped" for group in one.groups)


@contextlib.contextmanager
def _locked(submission: Submission) -> Iterator[None]:
    """One command at a time looks for an earlier submission and submits."""
    submission.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(submission.folder.parent / ".slurm.lock", thread_local=False):
        yield
