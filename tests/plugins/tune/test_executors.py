"""Searches whose workers an executor runs: this process computes nothing, and ends with the same trials."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from tiny import content

from zslbench.errors import SettingsError, ZslbenchError
from zslbench.experiment import RunExecutor, Submission
from zslbench.plugin.declarations import Executor
from zslbench.testing.fakes import FakeEntryPoint, fake_plugin, registry_with, using_registry
from zslbench_tune.search import Search


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


def test_an_executor_of_this_machine_is_refused(tune: Callable[..., Any]) -> None:
    with pytest.raises(SettingsError, match="workers"):
        tune(executor="gpus")
