"""The pool of worker processes: it ends as the loop does, whatever dies or is stopped on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zslbench
from zslbench.errors import SettingsError, ZslbenchError
from zslbench.experiment import RunOptions, Suite, find_suite, submissions
from zslbench.experiment.suites import pool
from zslbench.experiment.suites.pool import EveryGpu, LocalPool
from zslbench.store.store import Store

PLUGIN = """
from zslbench import Component, Method, hookimpl

@hookimpl
def zslbench_components():
    yield Component(kind="classifier", name="mortal", target="zslbench_mortal.model:Mortal", summary="a fake")

@hookimpl
def zslbench_methods():
    yield Method(name="mortal", embedding="identity", classifier="mortal", group="embedding", summary="s")
"""

MODEL = """
import os, signal, sys
from pathlib import Path
import torch
from zslbench.plugin import Classifier

class Mortal(Classifier):
    needs_examples = False

    def fit(self, view):
        world = Path(os.environ["MORTAL_WORLD"])
        if (world / "exit").exists():
            os._exit(3)
        for one in (world / "lives").iterdir():  # a file for each worker that dies
            one.unlink()
            print("it was told to die", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        x, s = view.features, self.space.semantics[view.labels]
        return {"ridge": {"W": torch.linalg.solve(x.T @ x + torch.eye(x.shape[1]), x.T @ s)}}

    def scores(self, nets, features):
        return features @ nets["ridge"]["W"] @ self.space.semantics.T
"""

TRAINED = '[[methods]]\nmethod = "f-clswgan"\nsettings.generator.epochs = 4\nsettings.generator.hidden = 16\n'
CLOSED = '[[methods]]\nmethod = "eszsl"\n'
MORTAL = '[[methods]]\nmethod = "mortal"\n'


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Suite]:
    def make(rows: str, seeds: int = 1) -> Suite:
        path = tmp_path / "mine.toml"
        path.write_text(f'datasets = "toy"\nselect = "last"\nseeds = {seeds}\n{rows}', "utf-8")
        return find_suite(path)

    return make


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin for other processes, whose method dies if the folder that is returned has ``lives/<any>``."""
    path, world = tmp_path / "path", tmp_path / "world"
    (world / "lives").mkdir(parents=True)
    (path / "zslbench_mortal").mkdir(parents=True)
    (path / "zslbench_mortal" / "__init__.py").write_text(PLUGIN, "utf-8")
    (path / "zslbench_mortal" / "model.py").write_text(MODEL, "utf-8")
    info = path / "zslbench_mortal-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zslbench-mortal\nVersion: 1\n", "utf-8")
    (info / "entry_points.txt").write_text("[zslbench]\nmortal = zslbench_mortal\n", "utf-8")
    given = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{path}{os.pathsep}{given}" if given else str(path))
    monkeypatch.setenv("MORTAL_WORLD", str(world))
    return world


def command(suite: Suite, store: Path, *more: str) -> subprocess.Popen[str]:
    """``zslbench bench`` with two workers."""
    path = suite.where.removeprefix("suite ")
    words = [sys.executable, "-m", "zslbench", "bench", path, "--store", str(store), "--threads", "1"]
    return subprocess.Popen(
        [*words, "--workers", "2", "--format", "csv", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def figures(store: Path) -> dict[str, Any]:
    """By run: its metrics and the digests of its networks."""
    return {
        one.info.id: (one.metrics, one.table("networks").to_dict("list")) for one in Store(store).records()
    }


def wait_for_training(store: Path) -> Any:
    """The state of a group that trains."""
    for _ in range(1200):
        for submission in submissions(Store(store)):
            for state in submission.states().values():
                if state.state == "running" and state.epoch:
                    return state
        time.sleep(0.1)
    raise AssertionError("nothing was trained in two minutes")


@pytest.mark.slow
def test_the_pool_ends_as_the_loop_does(suite: Any, tmp_path: Path) -> None:
    mine = suite(TRAINED + CLOSED, seeds=2)
    zslbench.bench(mine, threads=1, store=tmp_path / "loop")
    found = zslbench.bench(mine, threads=1, store=tmp_path / "pool", workers=2)
    assert len(found.records) == 4
    assert figures(tmp_path / "pool") == figures(tmp_path / "loop")
    assert submissions(Store(tmp_path / "pool")) == []  # nothing is left of one without failures


@pytest.mark.slow
def test_stopped_killed_and_resumed(suite: Any, tmp_path: Path) -> None:
    mine, store = suite(TRAINED.replace("= 4", "= 60"), seeds=2), tmp_path / "store"
    stopped = command(mine, store)
    wait_for_training(store)
    stopped.send_signal(signal.SIGINT)
    _, said = stopped.communicate(timeout=120)
    assert stopped.returncode == 130, said
    assert said.splitlines()[-1].startswith("Error: stopped after 0 of 2 runs")
    begun = Store(store).unfinished()
    assert begun
    assert not any(one.running for one in begun)
    assert {one.state for one in submissions(Store(store))[0].states().values()} == {"stopped"}

    again = command(mine, store)
    os.kill(wait_for_training(store).pid, signal.SIGKILL)
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert "another one resumes it" in said
    assert all(one.info.resumed for one in Store(store).records() if one.info.id in {it.id for it in begun})
    zslbench.bench(mine, threads=1, store=tmp_path / "loop")
    assert figures(store) == figures(tmp_path / "loop")


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(suite: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"
    parent = command(suite(TRAINED.replace("= 4", "= 100000")), store)
    worker = wait_for_training(store).pid
    parent.kill()
    parent.communicate()
    for _ in range(600):
        if submissions(Store(store))[0].states()[0].state == "stopped":
            break
        time.sleep(0.1)
    assert submissions(Store(store))[0].states()[0].pid == worker
    assert [one.running for one in Store(store).unfinished()] == [False]


@pytest.mark.slow
@pytest.mark.parametrize("lives", [1, 2])
def test_a_worker_that_dies_is_replaced_once(suite: Any, mortal: Path, tmp_path: Path, lives: int) -> None:
    for number in range(lives):
        (mortal / "lives" / str(number)).touch()
    mine, store = suite(MORTAL + CLOSED), tmp_path / "store"
    process = command(mine, store, "--workers", "1")
    _, said = process.communicate(timeout=300)
    assert "another one resumes it" in said
    found = {one.info.method for one in Store(store).records()}
    if lives == 1:
        assert process.returncode == 0, said
        assert found == {"mortal", "eszsl"}
        return
    assert process.returncode == 1
    assert found == {"eszsl"}
    failed = [line for line in said.splitlines() if line.startswith("failed: mortal on toy, last, seed 0")]
    assert "killed by signal 9" in failed[0]
    assert "it was told to die" in failed[0]  # from its log
    (submission,) = submissions(Store(store))
    assert submission.logs.is_dir()
    process = command(mine, store)  # the machine may be to blame, so the next command tries again
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said


@pytest.mark.slow
def test_workers_that_cannot_begin_end_the_command(
    suite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "zslbench.experiment.suites.submission.Submission.command",
        lambda self, log=None: [sys.executable, "-c", "raise SystemExit('no such library')"],
    )
    with pytest.raises(ZslbenchError, match="exit code 1 before its first run: no such library"):
        zslbench.bench(suite(CLOSED), threads=1, store=tmp_path / "store", workers=2)


def test_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "visible_gpus", lambda: ("5", "7"))
    chosen = LocalPool(RunOptions(gpus="1,0"))
    assert (chosen.gpus, chosen.count, chosen.worker_options().device) == (("7", "5"), 2, "cuda")
    assert LocalPool(RunOptions(gpus="0", workers=3)).count == 3
    assert EveryGpu(RunOptions(executor="gpus")).gpus == ("5", "7")
    for wrong in ("", "0,0", "a", "0,", "2", "-1"):
        with pytest.raises(SettingsError, match="--gpus"):
            LocalPool(RunOptions(gpus=wrong))
    with pytest.raises(SettingsError, match="--device cpu"):
        LocalPool(RunOptions(gpus="0", device="cpu"))
    monkeypatch.setattr(pool, "visible_gpus", lambda: ())
    with pytest.raises(SettingsError, match="torch finds no GPU"):
        EveryGpu(RunOptions())
    with pytest.raises(SettingsError, match="torch finds no GPU"):
        LocalPool(RunOptions(gpus="0"))


def test_gpus_that_the_environment_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert pool.visible_gpus() == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-aa")
    assert pool.visible_gpus() == ("3", "GPU-aa")


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8), raising=False)
    assert LocalPool(RunOptions(workers=3)).worker_options().threads == 2
    assert LocalPool(RunOptions(workers=20)).worker_options().threads == 1
    assert LocalPool(RunOptions(workers=3, threads=5)).worker_options().threads == 5
