"""Submissions, with commands of SLURM that say what a test wants and workers that never run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zslbench.errors import Interrupted, SettingsError, ZslbenchError
from zslbench.experiment import PlannedCell, PlannedGroup, RunOptions, Submission, find_suite, submissions
from zslbench.store import Store
from zslbench_slurm import executor as module
from zslbench_slurm.executor import SlurmExecutor, sent_tasks


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    monkeypatch.setattr(module, "QUEUE_INTERVAL", 0.0)
    monkeypatch.setattr(module, "LAG", 0.0)


def options(**given: str) -> RunOptions:
    return RunOptions(executor="slurm", executor_options=given)


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., Submission]:
    """A submission of some groups of one run each."""

    def make(groups: int = 3, seconds: float | None = None, **given: str) -> Submission:
        cells = [
            PlannedCell("eszsl", "toy", "val", seed, f"cell{seed}", f"run{seed}", True)
            for seed in range(groups)
        ]
        planned = [PlannedGroup(seed, (cell,), seconds) for seed, cell in enumerate(cells)]
        return Submission.new(Store(tmp_path / "store"), find_suite("quick"), options(**given), planned)

    return make


class Watching:
    """Looks at a submission. After each look something happens; when no more does, every group has ended."""

    def __init__(self, *happens: Callable[[], Any]) -> None:
        self.happens, self.watched = list(happens), list[Submission]()

    def __call__(self, submission: Submission) -> bool:
        self.watched.append(submission)
        if self.happens:
            self.happens.pop(0)()
            return False
        return True


def ends(submission: Submission, *groups: int) -> None:
    """Let groups end."""
    for group in groups:
        submission.fail(group, "ended by the test")


def test_what_is_missing_is_an_array(fake_slurm: Any, planned: Any) -> None:
    said: list[str] = []
    submission = planned(3, partition="gpu", array_parallelism="2")
    SlurmExecutor(options(partition="gpu", array_parallelism="2")).execute(
        submission, Watching(), said.append
    )
    (script,) = fake_slurm.scripts
    assert (
        "--array=0-2%2" in script
        and "--requeue" in script
        and "--partition=gpu" in script
        and "--time=60" in script
    )
    assert [(one.job, one.groups) for one in sent_tasks(submission)] == [
        ("1_0", (0,)),
        ("1_1", (1,)),
        ("1_2", (2,)),
    ]
    assert [one.name for one in submissions(submission.store)] == [submission.name]
    assert any(str(submission.logs) in line for line in said)


def test_a_single_group_is_no_array(fake_slurm: Any, planned: Any) -> None:
    submission = planned(1)
    SlurmExecutor(options()).execute(submission, Watching(), print)
    assert "--array" not in fake_slurm.scripts[0]
    assert [one.job for one in sent_tasks(submission)] == ["1"]


@pytest.mark.parametrize(("groups", "given", "sizes"), [(7, "3", [3, 3, 1]), (4, "9", [4])])
def test_several_groups_in_a_task(
    fake_slurm: Any, planned: Any, groups: int, given: str, sizes: list[int]
) -> None:
    submission = planned(groups)
    SlurmExecutor(options(groups_per_task=given)).execute(submission, Watching(), print)
    sent = [one.groups for one in sent_tasks(submission)]
    assert list(map(len, sent)) == sizes
    assert [group for one in sent for group in one] == list(range(groups))


@pytest.mark.parametrize(
    ("costs", "given", "sizes"),
    [
        ([60.0] * 5, {}, [2, 2, 1]),
        ([50.0] * 7, {}, [3, 3, 1]),
        ([119.0, 1.0, 1.0, 120.0, 1.0], {}, [2, 1, 1, 1]),
        ([1.0, None, 1.0, 1.0], {}, [1, 1, 2]),
        ([60.0] * 3, {"groups_per_task": "1"}, [1, 1, 1]),
        ([300.0] * 3, {"groups_per_task": "2"}, [2, 1]),
    ],
)
def test_short_groups_of_known_cost_share_a_task(
    planned: Any, costs: list[float | None], given: dict[str, str], sizes: list[int]
) -> None:
    """Up to two minutes, unless the user says how many."""
    submission = planned(len(costs))
    submission.groups = tuple(
        replace(group, seconds=cost) for group, cost in zip(submission.groups, costs, strict=True)
    )
    tasks = SlurmExecutor(options(**given))._tasks(submission)
    assert list(map(len, tasks)) == sizes
    assert [group for one in tasks for group in one] == list(range(len(costs)))


def test_more_groups_than_an_array_holds(
    fake_slurm: Any, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_ARRAY", 4)
    submission = planned(9)
    SlurmExecutor(options()).execute(submission, Watching(), print)
    assert [len(one.groups) for one in sent_tasks(submission)] == [3, 3, 3]


def test_a_dry_run_shows_the_array_its_cost_and_the_script_and_writes_nothing(
    fake_slurm: Any, planned: Any, tmp_path: Path
) -> None:
    submission = planned(10, 120.0)
    text = "\n".join(SlurmExecutor(options(array_parallelism="5", gres="gpu:1")).preview(submission))
    assert "--array=0-9%5" in text and "--gres=gpu:1" in text and "srun" in text
    assert re.search("10 tasks", text) and "20 min" in text and "4 min" in text
    assert not (tmp_path / "store").exists() and fake_slurm.scripts == []


def test_the_same_command_attaches(fake_slurm: Any, planned: Any) -> None:
    first, second = planned(2), planned(2)
    one = SlurmExecutor(options())
    one.execute(first, Watching(), print)
    fake_slurm.queue({"1_0": "RUNNING|None|n1", "1_1": "PENDING|Priority"})
    watching = Watching()
    one.execute(second, watching, print)
    assert len(fake_slurm.scripts) == 1 and [each.name for each in watching.watched] == [first.name]
    # What has ended is not attached to, and neither is another command's.
    fake_slurm.queue({"1_0": "COMPLETED", "1_1": "CANCELLED"})
    one.execute(second, Watching(), print)
    fake_slurm.queue({"2_0": "RUNNING"})
    other = planned(2, partition="other")
    one.execute(other, watching, print)
    assert len(fake_slurm.scripts) == 3 and watching.watched[-1] is other


def test_leaving_does_not_end_the_jobs(fake_slurm: Any, planned: Any) -> None:
    def leave() -> None:
        raise KeyboardInterrupt

    submission = planned(2)
    with pytest.raises(Interrupted, match=submission.name):
        SlurmExecutor(options()).execute(submission, Watching(leave), print)
    assert not (fake_slurm.folder / "cancelled").exists()


def test_a_task_that_dies_is_submitted_once_more_then_its_groups_fail(fake_slurm: Any, planned: Any) -> None:
    submission = planned(2)
    dead = {"1_0": "FAILED|NonZeroExitCode|n1", "1_1": "COMPLETED"}
    looks = [lambda: (fake_slurm.queue(dead), ends(submission, 1)), lambda: None]
    looks += [lambda: fake_slurm.queue(dead | {"2": "OUT_OF_MEMORY"}), lambda: None, lambda: None]
    said: list[str] = []
    SlurmExecutor(options()).execute(submission, Watching(*looks), said.append)
    assert [(one.job, one.groups) for one in sent_tasks(submission)] == [
        ("1_0", (0,)),
        ("1_1", (1,)),
        ("2", (0,)),
    ]
    state = submission.states()[0]
    assert state.state == "ended" and "out of memory" in state.reason
    assert submission.states()[1].reason == "ended by the test"


def test_one_look_is_not_enough_to_call_a_task_dead(fake_slurm: Any, planned: Any) -> None:
    """Its last word may come through the file system after the end of the job."""
    submission = planned(1)
    looks = [lambda: fake_slurm.queue({"1": "COMPLETED"}), lambda: ends(submission, 0), lambda: None]
    SlurmExecutor(options()).execute(submission, Watching(*looks), print)
    assert len(fake_slurm.scripts) == 1


def test_a_task_is_dead_only_when_a_file_system_had_time_to_show_its_end(
    fake_slurm: Any, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAG", 1000.0)
    submission = planned(1)
    looks = [lambda: fake_slurm.queue({"1": "FAILED"}), *[lambda: None] * 5]
    SlurmExecutor(options()).execute(submission, Watching(*looks), print)
    assert len(fake_slurm.scripts) == 1 and submission.states() == {}


def test_nothing_is_dead_while_slurm_does_not_answer(fake_slurm: Any, planned: Any) -> None:
    submission = planned(1)
    SlurmExecutor(options()).execute(submission, Watching(*[lambda: fake_slurm.queue(None)] * 4), print)
    assert len(fake_slurm.scripts) == 1 and submission.states() == {}


def test_what_was_cancelled_is_neither_submitted_again_nor_failed(fake_slurm: Any, planned: Any) -> None:
    submission = planned(2)
    looks = [lambda: (fake_slurm.queue({"1_0": "CANCELLED", "1_1": "COMPLETED"}), ends(submission, 1))]
    with pytest.raises(Interrupted, match=submission.name):
        SlurmExecutor(options()).execute(submission, Watching(*looks * 9), print)
    assert len(fake_slurm.scripts) == 1 and set(submission.states()) == {1}


def test_cancelling_and_the_queue(fake_slurm: Any, planned: Any) -> None:
    submission = planned(3)
    SlurmExecutor(options()).execute(submission, Watching(), print)
    fake_slurm.queue({"1_0": "RUNNING|None|n1", "1_1": "PENDING|Priority"})
    queue = SlurmExecutor.queue(submission)
    assert "1_0" in queue[0] and "n1" in queue[0] and "Priority" in queue[1] and "1_2" in queue[2]
    fake_slurm.queue(None)
    assert "1_2" in SlurmExecutor.queue(submission)[2]
    fake_slurm.queue({"1_0": "RUNNING|None|n1", "1_1": "PENDING|Priority"})
    assert submission.name in SlurmExecutor.cancel(submission)
    assert fake_slurm.given("scancel") == ["1"]
    fake_slurm.queue({"1_0": "CANCELLED", "1_1": "CANCELLED"})
    assert SlurmExecutor.cancel(submission) == ""


@pytest.mark.parametrize("answers", [False, True])
def test_refused_jobs_are_one_line(fake_slurm: Any, planned: Any, answers: bool) -> None:
    fake_slurm.command(
        "sbatch", "echo 'sbatch: error: invalid partition' >&2; exit 1" if answers else "echo what"
    )
    submission = planned(2)
    with pytest.raises(ZslbenchError) as error:
        SlurmExecutor(options()).execute(submission, Watching(), print)
    assert submissions(submission.store) == []
    assert "\n" not in str(error.value) and ("invalid partition" in str(error.value)) is answers


def test_a_machine_without_slurm(planned: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ZslbenchError, match="srun"):
        list(SlurmExecutor(options()).preview(planned()))
    with pytest.raises(ZslbenchError, match="squeue"):
        SlurmExecutor(options()).execute(planned(), Watching(), print)
    assert not (tmp_path / "store" / "runs").exists()


@pytest.mark.parametrize(
    ("given", "own", "expected"),
    [
        ({}, {}, ("cpu", 1)),
        ({"cpus_per_task": "4"}, {}, ("cpu", 4)),
        ({"cpus_per_task": "4"}, {"threads": 2}, ("cpu", 2)),
        ({"gres": "gpu:1"}, {}, ("cuda", 1)),
        ({"gres": "gpu:1"}, {"device": "cpu"}, ("cpu", 1)),
        ({"partition": "gpu"}, {"device": "cuda"}, ("cuda", 1)),
    ],
)
def test_device_and_threads_are_those_of_the_jobs(
    given: dict[str, str], own: dict[str, Any], expected: tuple[str, int]
) -> None:
    """They are part of what a run is, so the machine that submits must not decide them."""
    one = SlurmExecutor(RunOptions(executor="slurm", executor_options=given, **own))
    assert (one.worker_options().device, one.worker_options().threads) == expected


def test_an_unknown_parameter() -> None:
    with pytest.raises(SettingsError, match="partition"):
        SlurmExecutor(options(partitoin="gpu"))


@pytest.mark.parametrize(
    ("given", "instead"), [({"workers": 5}, "array_parallelism=5"), ({"gpus": "0,1"}, "gres=gpu:1")]
)
def test_options_of_the_pool_are_refused(given: dict[str, Any], instead: str) -> None:
    with pytest.raises(SettingsError, match=instead):
        SlurmExecutor(RunOptions(executor="slurm", **given))
