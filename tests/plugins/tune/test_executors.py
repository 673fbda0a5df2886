"""Searches whose workers an executor runs: this process computes nothing, and ends with the same trials."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tiny import content, gpu_noted

from zslbench.errors import SettingsError, ZslbenchError
from zslbench.experiment import RunExecutor, Submission
from zslbench.plugin.declarations import Executor
from zslbench.testing.fakes import FakeEntryPoint, fake_plugin, registry_with, using_registry
from zslbench_tune.search import Search, resolve_search
from zslbench_tune.tune import _worker_processes


class Elsewhere(RunExecutor):
    """Runs the workers as processes, as a task of a cluster does."""

    remote: ClassVar[bool] = True
    started: ClassVar[list[Submission]] = []
    kills: ClassVar[bool] = False

    def execute(self, submission: Submission, watch: Any, say: Any) -> None:
        submission.write()
        self.started.append(submission)
        processes = []
        for group in submission.groups:
            log = submission.logs / f"{group.number}.log"
            command = ["false"] if self.kills else submission.command(group.number, log=log)
            with log.open("ab") as out:
                processes.append(subprocess.Popen(command, stdout=out, stderr=out))
        try:
            while not watch(submission):
                if self.kills:
                    submission.fail(0, "its worker died")
                time.sleep(0.2)
        finally:
            for process in processes:
                process.wait(600)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    Elsewhere.started.clear()
    declared = Executor(name="elsewhere", target="their_nodes:Elsewhere", summary="x")
    plugin = fake_plugin("their_nodes", executors=[declared])
    plugin.Elsewhere = Elsewhere
    monkeypatch.setitem(sys.modules, "their_nodes", plugin)
    with using_registry(registry_with(FakeEntryPoint("elsewhere", "their_nodes", plugin))):
        yield


@pytest.mark.slow
def test_workers_elsewhere_find_the_same_trials(tune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tune(store="here", validation_splits=2)

    def never(*arguments: Any) -> Any:
        raise AssertionError("computed here")

    monkeypatch.setattr(Search, "value", never)
    found = tune(executor="elsewhere", workers=2, validation_splits=2)
    assert content(found) == content(expected)
    (submission,) = Elsewhere.started
    states = submission.states()
    assert {number: (one.state, one.reason) for number, one in states.items()} == {
        0: ("ended", ""), 1: ("ended", "")
    }  # fmt: skip
    assert "settings" in json.loads((submission.folder / "plan.json").read_text())["arguments"]
    # A study that is complete needs no workers.
    assert content(tune(executor="elsewhere", workers=2, validation_splits=2)) == content(expected)
    assert len(Elsewhere.started) == 1


@pytest.mark.slow
def test_workers_that_die_are_an_error(tune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Elsewhere, "kills", True)
    with pytest.raises(ZslbenchError, match="tune-eszsl"):
        tune(executor="elsewhere", workers=1)


@pytest.mark.parametrize(
    ("given", "main", "others"),
    [
        ({"gpus": "1,0"}, "cuda:1", ["5"]),
        ({"gpus": "1,0", "workers": 4}, "cuda:1", ["5", "7", "5"]),
        ({"gpus": "1"}, "cuda:1", []),
        ({"executor": "gpus"}, "cuda:0", ["7"]),
        ({"workers": 3}, "auto", [None, None]),
    ],
)
def test_a_worker_for_each_gpu(
    tune: Any, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], main: str, others: list[str | None]
) -> None:
    asked: list[Any] = []

    class Reached(Exception): ...

    def workers(gpus: Any, resolving: Any) -> Any:
        asked.append((list(gpus), resolving.keywords["device"]))
        raise Reached

    def on_the_cpu(*arguments: Any, device: str, **options: Any) -> Any:
        asked.append(device)
        return resolve_search(*arguments, device="cpu", **options)

    monkeypatch.setattr("zslbench.experiment.suites.pool.visible_gpus", lambda: ("5", "7"))
    monkeypatch.setattr("zslbench_tune.search.resolve_search", on_the_cpu)
    monkeypatch.setattr("zslbench_tune.tune._worker_processes", workers)
    with pytest.raises(Reached):
        tune(device="auto", **given)
    assert asked == [main, (others, "auto" if main == "auto" else "cuda")]


@pytest.mark.slow
def test_workers_see_only_their_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with _worker_processes(["5", None, "GPU-aa"], functools.partial(gpu_noted, tmp_path)):
        deadline = time.monotonic() + 300
        while len(found := [one.read_text() for one in tmp_path.iterdir()]) < 3 or not all(found):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert sorted(found) == ["5", "GPU-aa", "all"]


def test_an_executor_of_this_machine_is_refused(tune: Callable[..., Any]) -> None:
    with pytest.raises(SettingsError, match="workers"):
        tune(executor="gpus")
