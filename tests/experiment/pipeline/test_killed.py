"""Runs that are killed or stopped in the middle of a training step end with the bits of one that was not."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zslbench.store.store import Store

pytestmark = pytest.mark.slow

Job = Callable[..., dict[str, Any]]
SAME = ("id", "metrics", "notes", "networks", "epochs", "candidates", "predictions", "classes", "curve")


@pytest.fixture(scope="module")
def options(small) -> Callable[..., dict[str, Any]]:
    """Arguments of ``zslbench.run`` for a run of a second with every kind of stage."""

    def make(store: Path, select: str) -> dict[str, Any]:
        return {
            "method": "tf-vaegan",
            "dataset": "toy",
            "seeds": [3],
            "epochs": 2,
            "every": 1,
            "settings": small,
            "select": select,
            "device": "cpu",
            "threads": 1,
            "store": str(store),
        }

    return make


@pytest.fixture(scope="module")
def whole(job, options, tmp_path_factory) -> Callable[[str], dict[str, Any]]:
    """The uninterrupted run of a selection."""
    done: dict[str, dict[str, Any]] = {}

    def one(select: str) -> dict[str, Any]:
        if select not in done:
            store = tmp_path_factory.mktemp(select)
            done[select] = job(options=options(store, select))
            assert done[select]["code"] == 0
            assert not done[select]["resumed"]
        return done[select]

    return one


def killed_everywhere(job, given, expected, stages) -> dict[str, Any]:
    """Kill the run once in every stage, at a step that only chance knows, then let it finish."""
    chance = random.Random(11)
    for stage in stages:
        steps = expected["steps"][stage]
        # Not in the first third: there must be something to go on from.
        at = chance.randint(max(1, steps // 3), steps)
        assert job(options=given, at=[stage, at])["code"] == -signal.SIGKILL, (stage, at)
        (left,) = Store(given["store"]).unfinished()
        assert not left.running
    return job(options=given)


def same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    assert {name: found[name] for name in SAME} == {name: expected[name] for name in SAME}
    return found["code"] == 0 and found["resumed"]


STAGES = ["validation/generator", "validation/gzsl", "final/generator", "final/gzsl", "final/czsl"]


def test_killed_once_in_every_stage(job, options, whole, tmp_path):
    expected = whole("val")
    assert set(expected["steps"]) == {*STAGES, "evaluations", "written"}
    found = killed_everywhere(job, options(tmp_path, "val"), expected, STAGES)
    assert same(found, expected)
    assert found["tensors"] > 20
    # Nothing was computed again but the last stage's rest.
    assert set(found["steps"]) == {"final/czsl", "written"}
    assert not Store(tmp_path).unfinished()


def test_an_oracle_run_killed_in_every_stage(job, options, whole, tmp_path):
    """Also where the best classifier epoch came before the kill."""
    expected = whole("oracle")
    stages = ["final/generator", "final/gzsl", "final/czsl"]
    assert set(expected["steps"]) == {*stages, "evaluations", "written"}
    found = killed_everywhere(job, options(tmp_path, "oracle"), expected, stages)
    assert same(found, expected)
    assert "final/generator" not in found["steps"]


def test_a_run_on_pictures_killed_in_every_stage(job, options, tmp_path):
    """Its backbone trains: random crops, batch statistics, and batches in two parts."""

    def given(store: str) -> dict[str, Any]:
        usual = options(tmp_path / store, "val")
        sizes = {name: one for name, one in usual["settings"].items() if name.startswith("dataset.")}
        backbone = {"augment": True, "norm": "trained", "head_epochs": 1, "accumulate": 2}
        settings = sizes | {f"embedding.backbone.{name}": one for name, one in backbone.items()}
        return usual | {"method": "aren", "settings": settings | {"embedding.batch_size": 16}}

    expected = job(options=given("whole"))
    stages = [f"{fold}/embedding/{part}" for fold in ("validation", "final") for part in ("head", "training")]
    assert set(expected["steps"]) == {*stages, "written"}
    found = killed_everywhere(job, given("killed"), expected, stages)
    assert same(found, expected)
    assert found["tensors"] > 20


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
)
def test_stop_signals_leave_a_run_that_goes_on(job, options, whole, tmp_path, number):
    expected, given = whole("val"), options(tmp_path / "store", "val")
    command = ["run", "tf-vaegan", "--dataset", "toy", "--seed", "3", "--epochs", "2", "--every", "1"]
    command += ["--threads", "1", "--device", "cpu", "--store", given["store"]]
    for key, value in given["settings"].items():
        command += ["--set", f"{key}={value}"]
    log = tmp_path / "stderr"
    ended = job(command=command, at=["validation/generator", 4], signal=int(number), stderr=str(log))
    assert ended["code"] == 130
    text = log.read_text()
    assert "Traceback" not in text
    errors = [line for line in text.splitlines() if line.startswith("Error")]
    assert len(errors) == 1 and errors[0].startswith("Error: stopped on request")
    assert text.splitlines()[-1] == errors[0]
    (left,) = Store(given["store"]).unfinished()
    assert left.info["method"] == "tf-vaegan"
    assert not left.running
    found = job(options=given)
    assert same(found, expected)


@pytest.mark.parametrize("wrong", ["soon", "-1", "nan", "inf"])
def test_checkpoint_seconds_that_are_no_number_are_one_line(wrong, monkeypatch, tmp_path, run):
    from zslbench.errors import SettingsError

    monkeypatch.setenv("ZSLBENCH_CHECKPOINT_SECONDS", wrong)
    with pytest.raises(SettingsError, match=f"ZSLBENCH_CHECKPOINT_SECONDS={wrong}: .*number"):
        run("scripted", select="last")
