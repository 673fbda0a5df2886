"""TCN as a method: it learns, and its preset and defaults are the released script's."""

from __future__ import annotations

import pytest
import torch

import zslbench
from zslbench.experiment.recipe import resolve
from zslbench.plugin import ClassSpace, Streams, TrainView
from zslbench.plugin.discovery import registry
from zslbench_tcn.settings import TCNSettings
from zslbench_tcn.similarity import similarities
from zslbench_tcn.tcn import TCN

RELEASED = {
    "epochs": 50,
    "iterations": 1000,
    "batch_size": 32,
    "lr": 1e-5,
    "alpha": 0.01,
    "ridge": 1,
    "min_similarity": 1e-3,
    "hidden": 1024,
}


@pytest.mark.slow
def test_it_learns_on_the_toy_data_set(tmp_path):
    """Five unseen classes: chance is 20 % Acc."""
    options = {"select": "last", "epochs": 5, "every": 5, "store": tmp_path, "device": "cpu", "threads": 1}
    settings = {"classifier.hidden": 32, "classifier.lr": 5e-3}
    metrics = zslbench.run("tcn", dataset="toy", settings=settings, **options).records[0].metrics
    assert metrics["acc"] > 0.4
    assert metrics["s"] > 0.2


@pytest.mark.parametrize("dataset", ["cub", "sun", "awa1", "awa2", "apy"])
def test_presets_and_defaults_are_the_released_values(dataset):
    parts = resolve(registry(), dataset, method="tcn").parts
    assert dict(parts["classifier"].values()) == RELEASED == TCNSettings().model_dump()
    assert parts["embedding"].values()["normalize"] == "none"


def test_initial_weights_have_xaviers_spread():
    space = ClassSpace(("a", "b"), torch.rand(2, 50), torch.tensor([0]), torch.tensor([1]))
    program = TCN(TCNSettings(hidden=150), space).fit(TrainView(torch.rand(4, 250), torch.zeros(4).long()))
    nets = program.initial(Streams(0))
    for net, layer, inputs, outputs in (
        ("semantic", "hidden", 50, 150),
        ("semantic", "out", 150, 250),
        ("relation", "hidden", 250, 150),
    ):
        weight = nets[net][f"{layer}.weight"]
        assert weight.shape == (outputs, inputs)
        assert float(weight.std()) == pytest.approx((2 / (inputs + outputs)) ** 0.5, rel=0.05)
        assert not nets[net][f"{layer}.bias"].any()
    rule = program.optimizers["relation"]
    assert (rule.kind, rule.lr, rule.betas) == ("adam", 1e-5, (0.5, 0.9))


def test_a_class_that_resembles_nothing_has_no_targets():
    """Without a division by zero, which the released code has."""
    unseen = torch.tensor([[1.0, -1.0, 0.0]])
    s = similarities(torch.tensor([[2.0, -2.0, 0.0], [-1.0, 1.0, 0.0]]), unseen, 1.0, 1e-3)
    assert s.tolist() == [[1.0], [0.0]]
