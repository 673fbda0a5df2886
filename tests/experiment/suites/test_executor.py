"""Submissions, workers and what a suite shows of them, with an executor whose worker is this process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import zslbench
from zslbench import Executor
from zslbench.cli.options import running_options
from zslbench.errors import Interrupted, SettingsError, UnknownName, ZslbenchError
from zslbench.experiment import (
    Quiet,
    RunExecutor,
    RunOptions,
    Submission,
    Suite,
    Watch,
    find_suite,
    submissions,
    suite_names,
)
from zslbench.experiment.suites import executor as executors
from zslbench.experiment.suites.claims import Claims
from zslbench.experiment.suites.definition import restored
from zslbench.experiment.suites.group_state import GroupReport, GroupState, names_in, read_state, write_state
from zslbench.experiment.suites.run import Watcher, prepare
from zslbench.experiment.suites.submission import last_lines
from zslbench.experiment.suites.worker import work
from zslbench.plugin.lookup import Registry
from zslbench.store.store import Store
from zslbench.testing.fakes import FakeEntryPoint, fake_plugin, registry_with, using_registry

LAB = '[[methods]]\nmethod = "lab"\n'
BOTH = LAB + LAB + 'variants = "weak"\n'


class Here(RunExecutor):
    """Its worker is this process; what it leaves stays on the disk."""

    known: Registry
    groups: tuple[int, ...] = ()
    seen: list[Submission]

    def worker_options(self) -> RunOptions:
        return replace(self.options, threads=1)

    def preview(self, submission: Submission) -> list[str]:
        return [f"{len(submission.groups)} groups in {submission.folder.exists()}"]

    def execute(self, submission: Submission, watch: Watch, say: Callable[[str], None]) -> None:
        submission.write()
        self.seen.append(submission)
        assert not watch(submission)
        work(submission.folder, self.known, Quiet(), self.groups, log="somewhere")
        if not watch(submission):
            raise Interrupted("left")


@pytest.fixture
def here(known: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Here]]:
    monkeypatch.setattr(Here, "known", known, raising=False)
    monkeypatch.setattr(Here, "seen", [], raising=False)
    monkeypatch.setattr(Here, "groups", ())
    monkeypatch.setattr(executors, "executor_class", lambda name, registry: Here)
    yield Here


def bench(suite: Suite, **more: Any) -> Any:
    return zslbench.bench(suite, executor="gpus", **more)  # any registered name: the class is Here


class Steps(Watcher):
    def __init__(self) -> None:
        self.steps: list[tuple[str, ...]] = []

    def started(self, cell: Any, left: float | None) -> None:
        self.steps.append(("started", cell.label))

    def ended(self, cell: Any, left: float | None) -> None:
        self.steps.append(("ended", cell.label, cell.status))


@pytest.mark.parametrize("name", suite_names())
def test_suites_survive_their_dump(name: str) -> None:
    suite = find_suite(name)
    part = suite.narrowed(datasets=suite.datasets[:1]).overridden({"classifier.lr": 0.5})
    for one in (suite, part):
        again = restored(json.loads(json.dumps(one.dump())))
        assert again == one
        assert [row.label for row in again.rows] == [row.label for row in one.rows]


def test_workers_end_as_the_loop_does(here: type[Here], suite: Any, tmp_path: Path, world: Path) -> None:
    mine = suite(BOTH, "seeds = 2")
    alone = zslbench.bench(mine, threads=1, store=tmp_path / "alone")
    watcher = Steps()
    found = bench(mine, watcher=watcher)
    assert {one.info.id: one.metrics for one in found.records} == {
        one.info.id: one.metrics for one in alone.records
    }
    labels = [f"{line} on there, last, seed {seed}" for seed in (0, 1) for line in ("lab", "lab (weak)")]
    assert [one for one in watcher.steps if one[0] == "ended"] == [("ended", one, "done") for one in labels]
    assert [one for one in watcher.steps if one[0] == "started"] == [("started", one) for one in labels]
    (submission,) = here.seen
    assert [(one.state, one.log, one.attempts) for one in submission.states().values()] == [
        ("ended", "somewhere", 1)
    ] * 4
    # Nothing is left to do, so nothing is submitted.
    assert len(bench(mine).records) == 4
    assert len(here.seen) == 1


def test_a_worker_reads_the_data_once(here: type[Here], suite: Any, world: Path) -> None:
    bench(suite(BOTH, "seeds = 3"))
    assert (world / "loads").read_text() == "xx"  # once to plan, once in the worker of six groups


def test_only_given_groups_are_computed(here: type[Here], suite: Any, monkeypatch: Any) -> None:
    mine = suite(BOTH, "seeds = 2")
    monkeypatch.setattr(here, "groups", (2,))
    with pytest.raises(Interrupted, match="1 of 4"):
        bench(mine)
    (submission,) = here.seen
    assert {number: one.state for number, one in submission.states().items()} == {2: "ended"}
    monkeypatch.setattr(here, "groups", ())
    assert len(bench(mine).records) == 4
    again = here.seen[1]
    assert len(again.groups) == 3
    assert [one.name for one in again.earlier()] == [submission.name]  # the same command, whatever is missing
    assert {one.name for one in submissions(again.store)} == {again.name, submission.name}
    bench(suite(BOTH, "seeds = 3"))
    assert here.seen[2].earlier() == []


def test_failures_are_recorded_and_the_rest_goes_on(here: type[Here], suite: Any, world: Path) -> None:
    (world / "broken").touch()
    mine = suite(LAB + '[[methods]]\nmethod = "eszsl"\n')
    watcher = Steps()
    found = bench(mine, watcher=watcher)
    (message,) = found.entries["lab", "there", "last"].failures.values()
    assert "it cannot be fitted" in message
    assert found.entries["eszsl", "there", "last"].state == "done"
    assert [one[-1] for one in watcher.steps if one[0] == "ended"] == ["failed", "done"]
    assert here.seen[0].states()[0].cells["0"]["reason"] == message
    (world / "broken").unlink()
    assert bench(mine).entries["lab", "there", "last"].state == "failed"  # as without workers
    assert bench(mine, retry_failed=True).entries["lab", "there", "last"].state == "done"


def test_a_group_whose_worker_died_for_good(here: type[Here], suite: Any, known: Registry) -> None:
    mine = suite(BOTH)
    prepared = prepare(mine, known, executor="gpus")
    submission = prepared.submission()
    submission.write()
    submission.fail(1, "its worker was killed")
    assert submission.states()[1].state == "ended"
    found = zslbench.bench(mine, threads=1, only_missing=True)
    # What killed it may have been the machine: the next command tries again.
    assert found.entries["lab (weak)", "there", "last"].state == "done"


def test_a_finished_cell_does_not_fail_with_its_group(here: type[Here], suite: Any, known: Registry) -> None:
    prepared = prepare(suite(LAB), known, executor="gpus")
    submission = prepared.submission()
    submission.write()
    work(submission.folder, known, Quiet())
    submission.fail(0, "it was killed while it ended")
    assert submission.states()[0].cells["0"]["status"] == "done"


def test_other_code_than_planned_is_refused(here: type[Here], suite: Any, known: Registry) -> None:
    submission = prepare(suite(LAB), known, executor="gpus").submission()
    content = submission._content
    content["groups"][0][0][0][4] = "0" * 16
    changed = Submission(submission.store, submission.name, content)
    changed.write()
    with pytest.raises(ZslbenchError, match="lab on there, last, seed 0: not the run that was planned"):
        work(changed.folder, known, Quiet())
    assert changed.states()[0].state == "stopped"
    assert "not the run that was planned" in changed.states()[0].reason


def test_damaged_plans(here: type[Here], suite: Any, known: Registry, caplog: Any) -> None:
    submission = prepare(suite(LAB), known, executor="gpus").submission()
    submission.write()
    plan = submission.folder / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b'"last"', b'"oracle"'))
    with pytest.raises(ZslbenchError, match="damaged"):
        Submission.open(submission.folder)
    assert submissions(Store(submission.store.root)) == []
    assert "damaged" in caplog.text
    with pytest.raises(ZslbenchError, match="cannot be read"):
        Submission.open(submission.folder / "nowhere")


def test_groups_are_handed_out_once(here: type[Here], suite: Any, known: Registry, tmp_path: Path) -> None:
    """Four processes take 40 groups; the first one dies on its third, which another one takes at the end."""
    submission = prepare(suite(LAB, "seeds = 40"), known, executor="gpus").submission()
    submission.write()

    def child(number: int) -> None:
        claims, taken = Claims(submission), []
        for group in claims.remaining():
            taken.append(group)
            (tmp_path / f"{number}").write_text(json.dumps(taken))
            if number == 0 and len(taken) == 3:
                os._exit(0)
            write_state(submission.folder, GroupState(group, "ended"))
            claims.release(group)

    first = os.fork()
    if first == 0:
        child(0)
    os.waitpid(first, 0)
    others = []
    for number in (1, 2, 3):
        others.append(os.fork())
        if others[-1] == 0:
            child(number)
            os._exit(0)
    assert [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in others] == [0, 0, 0]
    taken = [
        json.loads((tmp_path / f"{one}").read_text()) for one in range(4) if (tmp_path / f"{one}").exists()
    ]
    assert taken[0] == [0, 1, 2]
    assert sorted([0, 1, *(group for one in taken[1:] for group in one)]) == list(range(40))
    assert len(submission.states()) == 40


def test_states_say_what_is_trained(here: type[Here], suite: Any, known: Registry) -> None:
    submission = prepare(suite(LAB), known, executor="gpus").submission()
    submission.write()
    with pytest.raises(KeyboardInterrupt), GroupReport(submission.folder, 0, None) as report:
        report.stage_started("final/generator", 20, 3)
        write_state(submission.folder, report.state)
        found = submission.states()[0]
        assert (found.state, found.stage, found.epoch, found.epochs) == ("running", "final/generator", 3, 20)
        assert not found.lost
        assert replace(found, when="2026-01-01T00:00:00+00:00").lost
        raise KeyboardInterrupt
    assert (submission.states()[0].state, submission.states()[0].stage) == ("stopped", None)
    with GroupReport(submission.folder, 0, None):
        assert submission.states()[0].attempts == 2


def test_threads_may_write_a_state_at_once(tmp_path: Path) -> None:
    def write(epoch: int) -> None:
        write_state(tmp_path, GroupState(0, epoch=epoch))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(400)))
    found = read_state(tmp_path / "0.json", 0)
    assert found is not None
    assert found.epoch is not None
    assert names_in(tmp_path) == [one.name for one in tmp_path.iterdir()] == ["0.json"]


def test_last_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none") == ""
    (tmp_path / "log").write_text("x" * 9000 + "\n\none\n two \nthree\n\n")
    assert last_lines(tmp_path / "log", 2) == "two / three"


def test_dry_run_shows_what_the_executor_would_do(here: type[Here], suite: Any, known: Registry) -> None:
    prepared = prepare(suite(BOTH), known, dry_run=True, executor="gpus")
    assert prepared.preview() == ["2 groups in False"]


def test_one_method(here: type[Here], world: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "dataset": "there",
        "select": "last",
        "seeds": 2,
        "settings": {"classifier.ridge": 3.0},
    }
    alone = zslbench.run("lab", threads=1, store=tmp_path / "alone", **given)
    found = zslbench.run("lab", executor="gpus", **given)
    assert [one.info.id for one in found.records] == [one.info.id for one in alone.records]
    assert [one.metrics for one in found.records] == [one.metrics for one in alone.records]
    assert (found.found, zslbench.run("lab", executor="gpus", **given).found) == (0, 2)
    assert len(here.seen) == 1
    again = zslbench.run("lab", executor="gpus", force=True, **given)
    assert (again.found, len(here.seen)) == (0, 2)
    composed = {"embedding": "identity", "classifier": "lab-ridge", "dataset": "there", "select": "last"}
    one = zslbench.run(threads=1, store=tmp_path / "alone", **composed)  # type: ignore[arg-type]
    other = zslbench.run(executor="gpus", keep_weights=True, **composed)  # type: ignore[arg-type]
    assert one.records[0].info.id == other.records[0].info.id
    assert other.records[0].networks()
    (world / "broken").touch()
    with pytest.raises(ZslbenchError, match="it cannot be fitted"):
        zslbench.run("lab", executor="gpus", **{**given, "settings": {"classifier.ridge": 4.0}})


def test_an_ablation(here: type[Here], world: Path) -> None:
    found = zslbench.ablate("lab", dataset="there", select="last", executor="gpus")
    assert {one.info.variant for one in found.records} == {None, "weak", "solid"}
    assert len(here.seen) == 1


def test_unknown_executors_and_options(known: Registry, suite: Any) -> None:
    with pytest.raises(UnknownName, match="did you mean 'local'"):
        bench_with(suite(LAB), executor="locale")
    with pytest.raises(SettingsError, match="no options of its own"):
        bench_with(suite(LAB), executor="local", executor_options={"partition": "gpu"})


def bench_with(suite: Suite, **more: Any) -> Any:
    return zslbench.bench(suite, **more)


def test_options_of_an_executor_on_the_command_line() -> None:
    got: dict[str, Any] = {}
    queue = Executor(name="queue", target="nowhere:Nothing", summary="s", options="KEY=VALUE, e.g. time=3")
    with using_registry(registry_with(FakeEntryPoint("q", "q", fake_plugin("q", executors=[queue])))):

        @click.command()
        @running_options
        def command(**options: Any) -> None:
            got.update(options)

    def call(*words: str) -> int:
        return CliRunner().invoke(command, words).exit_code

    assert call("--executor", "queue", "--queue", "a=1", "--queue", "b = x=y") == 0
    assert RunOptions(**got).executor_options == {"a": "1", "b": "x=y"}
    for words in (["--queue", "a=1"], ["--queue", "a=1", "--executor", "local"], ["--queue", "a"]):
        assert call(*words) == 2
    assert call("--executor", "local", "--queue", "a=1") == 2
