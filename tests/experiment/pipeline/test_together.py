"""Seeds that are trained together: found, killed and resumed as others are, with the same bits."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zslbench.store.store import Store

pytestmark = pytest.mark.slow

SAME = ("id", "metrics", "notes", "networks", "epochs", "candidates", "predictions", "classes", "curve")
STAGES = ["validation/generator", "validation/gzsl", "final/generator", "final/gzsl", "final/czsl"]


@pytest.fixture(scope="module")
def options(small) -> Callable[..., dict[str, Any]]:
    """Arguments of ``zslbench.run`` for three seeds as one group, with every kind of stage."""

    def make(store: Path, select: str = "val", **more: Any) -> dict[str, Any]:
        return {
            "method": "tf-vaegan",
            "dataset": "toy",
            "seeds": [0, 1, 2],
            "replicas": 3,
            "epochs": 2,
            "every": 1,
            "settings": small,
            "select": select,
            "device": "cpu",
            "threads": 1,
            "store": str(store),
        } | more

    return make


@pytest.fixture(scope="module")
def whole(job, options, tmp_path_factory) -> Callable[..., dict[str, Any]]:
    """The uninterrupted runs of a selection."""
    done: dict[str, dict[str, Any]] = {}

    def one(select: str = "val") -> dict[str, Any]:
        if select not in done:
            done[select] = job(options=options(tmp_path_factory.mktemp(select), select))
            assert done[select]["code"] == 0
            assert not any(run["resumed"] for run in done[select]["all"])
        return done[select]

    return one


def facts(found: dict[str, Any]) -> list[dict[str, Any]]:
    assert found["code"] == 0
    return [{name: run[name] for name in SAME} for run in found["all"]]


def killed(job, given, at) -> None:
    assert job(options=given, at=at)["code"] == -signal.SIGKILL, at


def test_the_seeds_of_the_test_choose_schedules_of_different_length(whole):
    chosen = [run["metrics"]["epochs"] for run in whole()["all"]]
    assert set(chosen) == {"1", "2"}


def test_killed_once_in_every_stage_and_in_an_evaluation(job, options, whole, tmp_path):
    expected, given, chance = whole(), options(tmp_path), random.Random(5)
    assert set(expected["steps"]) == {*STAGES, "evaluations", "written"}
    killed(job, given, ["validation/generator", 4])
    for stage in ("evaluations", *STAGES):
        steps = expected["steps"][stage]
        # Not in the first third: there must be something to go on from; the first stage is half done already.
        first, last = (1, 6) if stage == STAGES[0] else (max(1, steps // 3), steps)
        killed(job, given, [stage, chance.randint(first, last)])
        left = Store(tmp_path).unfinished()
        assert sorted(one.info["seed"] for one in left) == [0, 1, 2]
        assert not any(one.running for one in left)
    found = job(options=given)
    assert facts(found) == facts(expected)
    assert all(run["resumed"] for run in found["all"])
    assert set(found["steps"]) == {"final/czsl", "written"}
    assert not Store(tmp_path).unfinished()


@pytest.mark.parametrize("chance", range(3))
def test_killed_anywhere(job, options, whole, tmp_path, chance):
    drawn = random.Random(chance)
    select = drawn.choice(["val", "oracle"])
    expected, given = whole(select), options(tmp_path, select)
    for _ in range(2):
        stage = drawn.choice([one for one in expected["steps"] if one != "written"])
        answer = job(options=given, at=[stage, drawn.randint(1, expected["steps"][stage])])
        assert answer["code"] in (0, -signal.SIGKILL)
    assert facts(job(options=given)) == facts(expected)


def test_killed_while_the_records_are_written(job, options, whole, tmp_path):
    """What is written is found; the others go on from what lies in the first one's workspace."""
    given = options(tmp_path)
    killed(job, given, ["written", 1])
    assert len(Store(tmp_path).records()) == 1
    found = job(options=given)
    assert facts(found) == facts(whole())
    assert [run["resumed"] for run in found["all"]] == [False, True, True]
    assert set(found["steps"]) == {"written"}
    assert not Store(tmp_path).unfinished()


def test_a_run_that_is_missing_from_a_finished_group_is_the_same_alone(job, options, whole, tmp_path):
    """It is computed at the same place among padding."""
    given = options(tmp_path)
    job(options=given)
    shutil.rmtree(tmp_path / "runs" / whole()["all"][1]["id"])
    again = job(options=given)
    assert facts(again) == facts(whole())
    assert again["steps"]["written"] == 1


@pytest.mark.parametrize(
    ("number", "at"), [(signal.SIGINT, ["validation/generator", 4]), (signal.SIGTERM, ["evaluations", 3])]
)
def test_stop_signals_leave_a_group_that_goes_on(job, options, whole, tmp_path, number, at):
    given = options(tmp_path / "store")
    command = ["run", "tf-vaegan", "--dataset", "toy", "--seeds", "3", "--epochs", "2", "--every", "1"]
    command += ["--threads", "1", "--device", "cpu", "--store", given["store"], "--replicas", "3"]
    for key, value in given["settings"].items():
        command += ["--set", f"{key}={value}"]
    log = tmp_path / "stderr"
    ended = job(command=command, at=at, signal=int(number), stderr=str(log))
    assert ended["code"] == 130
    text = log.read_text()
    assert "Traceback" not in text
    assert text.splitlines()[-1].startswith("Error: stopped on request")
    assert "seeds 0, 1, 2 together" in text
    left = Store(given["store"]).unfinished()
    assert sorted(one.info["seed"] for one in left) == [0, 1, 2]
    assert not any(one.running for one in left)
    found = job(options=given)
    assert facts(found) == facts(whole())
    assert all(run["resumed"] for run in found["all"])


def test_groups_of_other_members_do_not_mix_checkpoints(job, options, tmp_path):
    """They begin with the same seed and have as many members: one run holds the checkpoints of both."""
    one, other = options(tmp_path / "a", seeds=[0, 1]), options(tmp_path / "a", seeds=[0, 2])
    one["replicas"] = other["replicas"] = 2
    killed(job, one, ["final/generator", 5])
    found = job(options=other)
    alone = job(options=options(tmp_path / "b", seeds=[0, 2], replicas=2))
    assert facts(found) == facts(alone)
