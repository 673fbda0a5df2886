"""``zslbench jobs``: what executors run, beside the cells."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from filelock import FileLock

from zslbench.cli import cli
from zslbench.experiment import (
    GroupState,
    PlannedCell,
    PlannedGroup,
    RunExecutor,
    RunOptions,
    Submission,
    find_suite,
)
from zslbench.experiment.suites import group_state as module
from zslbench.experiment.suites.group_state import write_state
from zslbench.plugin.declarations import Executor
from zslbench.store.store import Store
from zslbench.testing.fakes import FakeEntryPoint, fake_plugin, registry_with, using_registry

CANCELLED: list[str] = []
IDLE: list[str] = []
"""Submissions that have nothing left to stop."""


class FakeQueue(RunExecutor):
    """An executor whose queue has a word about each group."""

    def execute(self, submission: Submission, watch: Any, say: Any) -> None: ...

    @classmethod
    def queue(cls, submission: Submission) -> Mapping[int, str]:
        return {group.number: f"job {group.number} waits (Priority)" for group in submission.groups}

    @classmethod
    def cancel(cls, submission: Submission) -> str:
        if submission.name in IDLE:
            return ""
        CANCELLED.append(submission.name)
        return f"stopped {submission.name}"


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    CANCELLED.clear()
    IDLE.clear()
    declared = Executor(name="queue", target="their_queue:FakeQueue", summary="x")
    plugin = fake_plugin("their_queue", executors=[declared])
    plugin.FakeQueue = FakeQueue
    monkeypatch.setitem(sys.modules, "their_queue", plugin)
    with using_registry(registry_with(FakeEntryPoint("queue", "their_queue", plugin))):
        yield


Submitted = Callable[..., Submission]


@pytest.fixture
def submitted(tmp_path: Path) -> Submitted:
    """A submission of groups of two seeds each, of which the second is only padding in group 0."""

    def make(groups: int = 3, executor: str = "queue", threads: int = 1) -> Submission:
        planned = [
            PlannedGroup(
                number,
                tuple(
                    PlannedCell("eszsl", "toy", "val", seed, f"c{number}{seed}", f"r{number}{seed}", wanted)
                    for seed, wanted in ((0, True), (1, number > 0))
                ),
            )
            for number in range(groups)
        ]
        options = RunOptions(executor=executor, threads=threads)
        made = Submission.new(Store(tmp_path / "store"), find_suite("quick"), options, planned)
        made.write()
        return made

    return make


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    def run(*words: str, answer: str = "") -> Any:
        return CliRunner().invoke(cli, ["jobs", *words, "--store", str(tmp_path / "store")], input=answer)

    return run


@pytest.fixture
def shown(command: Any) -> Callable[..., dict[int, dict[str, Any]]]:
    def rows(*words: str) -> dict[int, dict[str, Any]]:
        done = command(*words, "--format", "json")
        assert done.exit_code == 0, done.output
        return {row["group"]: row for row in json.loads(done.stdout)}

    return rows


def result(status: str, reason: str = "") -> dict[str, Any]:
    return {"status": status, "run": None, "reason": reason}


def test_each_state_beside_its_cells(submitted: Any, shown: Any) -> None:
    made = submitted(5)
    running = GroupState(1, host="n7", pid=9, stage="final/generator", epoch=3, epochs=20)
    write_state(made.folder, running)
    write_state(made.folder, GroupState(2, "stopped", host="n8"))
    write_state(made.folder, GroupState(3, "ended", cells={"0": result("done"), "1": result("found")}))
    half = {"0": result("done"), "1": result("failed", "no memory")}
    write_state(made.folder, GroupState(4, "ended", cells=half))
    rows = shown("--all")
    assert {group: row["state"] for group, row in rows.items()} == {
        0: "pending", 1: "running", 2: "stopped", 3: "finished", 4: "1 done, 1 failed"
    }  # fmt: skip
    assert rows[1]["at"] == "final/generator 3/20" and rows[2]["at"] is None
    assert "Priority" in rows[0]["where"]
    assert rows[0]["seeds"] == "0" and rows[1]["seeds"] == "0, 1"
    assert rows[0]["line"] == "eszsl" and rows[0]["data set"] == "toy" and rows[0]["selection"] == "val"
    assert set(shown()) == {0, 1, 2, 4}


def test_padding_of_a_group_is_not_reported(submitted: Any, shown: Any) -> None:
    made = submitted(1)
    cells = {"0": result("done"), "1": result("interrupted")}
    write_state(made.folder, GroupState(0, "ended", cells=cells))
    assert shown("--all")[0]["state"] == "finished"


def test_a_worker_that_is_no_longer_heard_of(
    submitted: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = submitted(1)
    long_ago = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    monkeypatch.setattr(module, "_now", lambda: long_ago)
    write_state(made.folder, GroupState(0))
    assert shown()[0]["state"] == "silent"


def test_failures_come_with_the_end_of_the_log(submitted: Any, command: Any) -> None:
    made = submitted(2)
    log = made.logs / "1.log"
    log.write_text("".join(f"line {number}\n" for number in range(50)))
    state = GroupState(1, "ended", log=str(log), cells={"1": result("failed", "no memory")})
    write_state(made.folder, state)
    done = command()
    assert done.exit_code == 0
    assert "seed 1: no memory" in done.stderr
    assert str(log) in done.stderr and "line 49" in done.stderr and "line 40" not in done.stderr
    write_state(made.folder, replace(state, log=str(made.logs / "gone")))
    assert "no memory" in command().stderr


def test_workers_that_compute_no_cells(tmp_path: Path, shown: Any, command: Any) -> None:
    options = RunOptions(executor="queue")
    made = Submission.of_workers(Store(tmp_path / "store"), "tune x", options, "a.module", {"b": 1}, 4)
    made.write()
    assert made.arguments == {"b": 1}
    assert made.command(2, log=tmp_path / "log")[-6:] == [
        "a.module", str(made.folder), "--group", "2", "--log", str(tmp_path / "log")
    ]  # fmt: skip
    write_state(made.folder, GroupState(1, stage="validation/generator", epoch=2, epochs=9))
    write_state(made.folder, GroupState(2, "ended"))
    made.fail(3, "its worker died")
    rows = shown("--all")
    states = {group: row["state"] for group, row in rows.items()}
    assert states == {0: "pending", 1: "running", 2: "finished", 3: "failed"}
    assert rows[1]["at"] == "validation/generator 2/9" and rows[1]["data set"] is None
    assert "its worker died" in command().stderr


def test_a_store_without_submissions(command: Any) -> None:
    assert command().exit_code == 0
    assert command("cancel").exit_code == 0


def test_cancel_all_that_have_not_ended_or_those_that_are_named(submitted: Any, command: Any) -> None:
    first, second = submitted(1), submitted(1, threads=2)
    ended = submitted(1, threads=3)
    write_state(ended.folder, GroupState(0, "ended", cells={"0": result("done")}))
    for answer in ("", "n\n"):
        refused = command("cancel", answer=answer)
        assert refused.exit_code == 1 and "--yes" in refused.stderr and CANCELLED == []
        assert first.name in refused.stderr and ended.name not in refused.stderr
    assert command("cancel", answer="y\n").exit_code == 0
    assert set(CANCELLED) == {first.name, second.name}
    CANCELLED.clear()
    assert command("cancel", "--yes").exit_code == 0
    assert set(CANCELLED) == {first.name, second.name}
    CANCELLED.clear()
    assert command("cancel", second.name).exit_code == 0
    assert [second.name] == CANCELLED


def test_a_later_submission_of_the_same_command_takes_over(
    submitted: Any, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = submitted(1), submitted(1)
    order = [second, first]
    monkeypatch.setattr("zslbench_jobs.cli._submissions", lambda store: order)
    shown = {words: json.loads(command(*words, "--format", "json").stdout) for words in ((), ("--all",))}
    names = {words: [row["submission"] for row in rows] for words, rows in shown.items()}
    assert names == {(): [second.name], ("--all",): [second.name, first.name]}
    command("cancel", "--yes")
    assert [second.name] == CANCELLED


def test_an_unknown_submission_is_named_with_the_nearest(submitted: Any, command: Any) -> None:
    made = submitted(1)
    done = command("cancel", f"{made.name}x")
    assert done.exit_code == 2 and made.name in done.stderr and CANCELLED == []


def test_what_belongs_to_a_command_is_not_cancelled_from_here(submitted: Any, command: Any) -> None:
    """Nor does it keep others from being cancelled."""
    made, other = submitted(1, "local"), submitted(1)
    with FileLock(made.folder / ".pool.lock"):  # as the living command holds it
        done = command("cancel", "--yes")
    assert done.exit_code == 1 and "Ctrl-C" in done.stderr and made.folder.is_dir()
    assert [other.name] == CANCELLED


def test_what_a_killed_command_left_is_removed(submitted: Any, command: Any, shown: Any) -> None:
    made = submitted(2, "local")
    write_state(made.folder, GroupState(1))
    refused = command("cancel", made.name)  # its worker may still write a checkpoint
    assert refused.exit_code == 1 and made.name in refused.stderr and made.folder.is_dir()
    write_state(made.folder, GroupState(1, "stopped"))
    done = command("cancel", made.name)
    assert done.exit_code == 0 and f"removed {made.name}" in done.stderr and not made.folder.exists()
    assert shown("--all") == {}


def test_nothing_is_said_to_be_cancelled_that_was_not(submitted: Any, command: Any) -> None:
    assert "nothing to cancel" in command("cancel").stderr
    idle, other = submitted(1), submitted(1, threads=2)
    IDLE.append(idle.name)
    done = command("cancel", "--yes")
    assert f"{idle.name}: nothing to cancel" in done.stderr and f"stopped {other.name}" in done.stderr
    write_state(other.folder, GroupState(0, "ended", cells={"0": result("done")}))
    assert "nothing to cancel" in command("cancel", other.name).stderr
