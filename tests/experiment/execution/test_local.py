"""Computing a run: found, repeated, resumed, failed."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest

from zslbench import hookimpl
from zslbench.errors import Interrupted, ZslbenchError
from zslbench.experiment import Quiet, pipeline
from zslbench.experiment.events import stop_requests
from zslbench.experiment.execution import compute_all
from zslbench.experiment.open_run import STAGES
from zslbench.plugin.discovery import registry
from zslbench.store.record import RunRecord
from zslbench.store.store import Store
from zslbench.training.loop import Silent


def compute(
    job: Any, store: Store, known: Any, display: Quiet, *, force: bool = False
) -> tuple[RunRecord, bool]:
    (result,) = compute_all([job], 1, store, known, display, force=force)
    return result


class Recorder(Quiet):
    """A display that records what it shows."""

    def __init__(self, at_epoch: Any = None) -> None:
        self.said: list[str] = []
        self.stages: list[tuple[str, int]] = []
        self.at_epoch = at_epoch

    def say(self, text: str) -> None:
        self.said.append(text)

    def observer(self, title: str) -> Any:
        recorder = self

        class Observer(Silent):
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *error: object) -> None: ...

            def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Any) -> None:
                recorder.stages.append((stage, epoch))
                if recorder.at_epoch is not None:
                    recorder.at_epoch(stage, epoch)

        return Observer()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_run_is_computed_once(job: Any, store: Store) -> None:
    display = Recorder()
    record, was_there = compute(job(), store, registry(), display)
    assert not was_there
    assert display.stages == [
        ("final/generator", 1),
        ("final/generator", 2),
        ("final/gzsl", 1),
        ("final/czsl", 1),
    ]
    assert record.verify() == []
    assert {"epochs", "classes", "predictions", "curve", "networks"} <= set(record.table_names)
    again = Recorder()
    found, was_there = compute(job(), store, registry(), again)
    assert was_there
    assert (found.info, again.stages) == (record.info, [])

    class Listener:
        folders: ClassVar[list[Path]] = []

        @hookimpl
        def zslbench_run_finished(self, run: Any, record: Any) -> None:
            self.folders += [run.folder, record.folder]

    with registry().listening(Listener(), "listener"):
        forced, was_there = compute(job(), store, registry(), Recorder(), force=True)
    assert not was_there and forced.folder != record.folder
    assert Listener.folders == [forced.folder] * 2
    assert forced.metrics == record.metrics
    assert forced.table("networks").equals(record.table("networks"))


def test_an_interrupted_run_goes_on_where_it_was(job: Any, store: Store, tmp_path: Path) -> None:
    def stop(stage: str, epoch: int) -> None:
        if (stage, epoch) == ("final/generator", 2):
            os.kill(os.getpid(), signal.SIGTERM)  # as a cluster does

    display = Recorder(stop)
    with pytest.raises(Interrupted, match="run the same command again"):
        compute(job(epochs=4), store, registry(), display)
    (left,) = store.unfinished()
    assert (left.running, left.info["method"], left.info["seed"]) == (False, "tf-vaegan", 0)
    (line,) = display.said
    assert "next checkpoint" in line

    resumed = Recorder()
    record, _ = compute(job(epochs=4), store, registry(), resumed)
    assert resumed.stages[:2] == [("final/generator", 3), ("final/generator", 4)]
    assert "resumes" in resumed.said[0]
    assert record.info.resumed
    assert store.unfinished() == []
    whole, _ = compute(job(epochs=4), Store(tmp_path / "other"), registry(), Recorder())
    assert whole.metrics == record.metrics
    assert whole.table("networks").equals(record.table("networks"))
    assert list(whole.table("epochs")["epoch"]) == list(record.table("epochs")["epoch"])


def test_force_starts_over_after_an_interruption(job: Any, store: Store) -> None:
    def stop(stage: str, epoch: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        compute(job(), store, registry(), Recorder(stop))
    display = Recorder()
    record, _ = compute(job(), store, registry(), display, force=True)
    assert display.stages[0] == ("final/generator", 1)
    assert not record.info.resumed


def test_a_run_that_fails_at_once_leaves_nothing(
    job: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object) -> None:
        raise ValueError("a plugin's fault")

    monkeypatch.setattr(pipeline, "run", broken)
    with pytest.raises(ValueError, match="a plugin's fault"):
        compute(job(), store, registry(), Recorder())
    assert store.unfinished() == []
    assert store.records() == []


def test_a_run_that_cannot_be_described_is_started_before_it_is_stopped(
    job: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Listener:
        calls: ClassVar[list[str]] = []

        @hookimpl
        def zslbench_run_started(self, run: Any) -> None:
            self.calls.append("started")

        @hookimpl
        def zslbench_run_stopped(self, run: Any, error: BaseException) -> None:
            self.calls.append("stopped")

    def full(*given: object) -> None:
        raise ZslbenchError("no space left on device")

    monkeypatch.setattr(Store, "describe", full)
    with registry().listening(Listener(), "listener"), pytest.raises(ZslbenchError, match="no space"):
        compute(job(), store, registry(), Recorder())
    assert Listener.calls == ["started", "stopped"]
    assert store.unfinished() == []


def test_a_run_that_fails_late_keeps_its_checkpoints(job: Any, store: Store) -> None:
    def fail(stage: str, epoch: int) -> None:
        if stage == "final/gzsl":
            raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        compute(job(), store, registry(), Recorder(fail))
    (left,) = store.unfinished()
    assert list((left.folder / STAGES).rglob("*.safetensors"))


def test_warnings_become_notes(job: Any, store: Store) -> None:
    def warn(stage: str, epoch: int) -> None:
        logging.getLogger("zslbench").warning("watch out at %s", stage)

    record, _ = compute(job(), store, registry(), Recorder(warn))
    notes = ["watch out at final/generator", "watch out at final/gzsl", "watch out at final/czsl"]
    assert list(record.notes)[-3:] == notes  # each once
    logging.getLogger("zslbench").warning("not of this run")


def test_weights_on_request(job: Any, store: Store) -> None:
    assert compute(job(), store, registry(), Recorder())[0].networks() == {}
    display = Recorder()
    record, was_there = compute(job(keep_weights=True), store, registry(), display)
    assert was_there
    assert "--force" in display.said[0]
    record, _ = compute(job(keep_weights=True), store, registry(), Recorder(), force=True)
    assert sorted(record.networks()) == sorted(record.table("networks")["tensor"])


def test_handlers_of_signals_are_put_back() -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    said: list[str] = []
    with stop_requests(said.append) as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        assert len(said) == 1
        with pytest.raises(KeyboardInterrupt):  # the second time is meant
            os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


def test_other_threads_compute_without_signals() -> None:
    found: list[bool] = []

    def work() -> None:
        with stop_requests(lambda text: None) as stopped:
            found.append(stopped())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
