"""Same seed, same bits; the process's global random state is nobody's business."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

TABLES = ("networks", "epochs", "candidates", "predictions", "classes", "curve")


def facts(record):
    metrics = {name: repr(value) for name, value in record.metrics.items()}
    return metrics, {name: record.table(name).to_csv(index=False) for name in TABLES}


def test_forced_runs_of_one_seed_are_the_same_and_of_another_are_not(run, small):
    def once(seed):
        return run("tf-vaegan", dataset="toy", seed=seed, settings=small, epochs=2, every=1, force=True)

    first = once(0)
    before = facts(first)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    random.seed(99)
    second = once(0)
    assert second.info.id == first.info.id
    assert facts(second) == before
    other = once(1)
    assert other.info.id != first.info.id
    digests = [
        set(one.table("networks").query("tensor.str.endswith('.weight')")["sha256"])
        for one in (second, other)
    ]
    assert not digests[0] & digests[1]
    assert facts(other)[1]["predictions"] != before[1]["predictions"]


def test_a_finished_run_is_found_and_not_computed_again(run, monkeypatch):
    first = run("scripted", select="last")
    monkeypatch.setattr("zslbench.experiment.pipeline.run", None)
    assert run("scripted", select="last").finished == first.finished


@pytest.mark.slow
def test_global_random_state_is_left_alone_by_plugins_that_draw_from_it(tmp_path):
    """Whether the run ends well or not, and whatever the selection."""
    command = [sys.executable, str(Path(__file__).with_name("restless_process.py")), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ends = ["finished"] * 6 + ["failed"] * 2
    assert done.stdout.splitlines() == [*ends, "check torch numpy random"]


def test_a_real_method_draws_from_no_global_generator(run, small, monkeypatch):
    """Nothing that a run needs comes from the global generators, not even inside the put-back region."""

    def forbidden(*_, **__):
        raise AssertionError("drew from a global generator")

    plain = {name: getattr(torch, name) for name in ("randn", "rand", "randint", "randperm")}
    for name, function in plain.items():

        def own(*arguments, _function=function, **options):
            assert options.get("generator") is not None, "drew from the global generator"
            return _function(*arguments, **options)

        monkeypatch.setattr(torch, name, own)
    for name in ("random", "randint", "shuffle", "uniform"):
        monkeypatch.setattr(random, name, forbidden)
    for name in ("rand", "randn", "permutation", "normal", "uniform", "random"):
        monkeypatch.setattr(np.random, name, forbidden)
    assert run("tf-vaegan", dataset="toy", settings=small, epochs=1).metrics["epochs"] == 1


def test_classifiers_share_no_stages_with_others_whose_stages_have_the_same_key(run):
    found = {}
    for classifier in ("one-in-stage", "two-in-stage"):
        parts = {"embedding": "as-is", "generator": "still", "classifier": classifier}
        record = run(**parts, select="last", keep_weights=True)
        found[classifier] = record.networks()["gzsl/state/t"].item()
    assert found == {"one-in-stage": 3, "two-in-stage": 6}


def test_derived_tensors_of_a_generator_depend_on_what_its_embedding_made(run):
    parts = {"embedding": "identity", "generator": "largest-in-stage", "classifier": "one-in-stage"}
    found = {}
    for normalize in ("none", "l2"):
        settings = {"embedding.normalize": normalize}
        record = run(**parts, settings=settings, select="last", keep_weights=True)
        found[normalize] = record.networks()["generator/largest/g"].item()
    assert found["l2"] <= 1 < found["none"]
