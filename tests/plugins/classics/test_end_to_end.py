"""The classical methods as methods: they learn, train as published, and their presets are the source's
tables."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

import zslbench
from zslbench.experiment.recipe import resolve
from zslbench.plugin import ClassSpace, Streams, TrainView
from zslbench.plugin.discovery import registry
from zslbench_classics.dap import DAP
from zslbench_classics.ranking import ALE, SJE, DeViSE
from zslbench_classics.sae import SAE
from zslbench_classics.settings import (
    ALESettings,
    DAPSettings,
    DeViSESettings,
    SAESettings,
    SJESettings,
)

# Learning rate, margin (None: not in the table) and scaling of features, from the tables in methods.md.
RANKING = {
    "ale": {
        "cub": (0.3, None, "l2"),
        "sun": (0.1, None, "l2"),
        "awa1": (0.01, None, "l2"),
        "awa2": (0.01, None, "l2"),
        "apy": (0.04, None, "l2"),
    },
    "devise": {
        "cub": (1, 1, "l2"),
        "sun": (0.01, 3, "none"),
        "awa1": (0.01, 200, "standard"),
        "awa2": (0.001, 150, "standard"),
        "apy": (1, 1, "l2"),
    },
    "sje": {
        "cub": (0.1, 4, "standard"),
        "sun": (1, 2, "standard"),
        "awa1": (1, 2.5, "l2"),
        "awa2": (1, 2.5, "l2"),
        "apy": (0.01, 1.5, "none"),
    },
}
SAE_LAMBDA = {
    "cub": (80, 0.2),
    "sun": (0.32, 0.08),
    "awa1": (3.2, 0.8),
    "awa2": (0.8, 0.2),
    "apy": (0.16, 2.56),
}
UNSEEN = 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("ale", {"epochs": 5, "every": 5}),
        ("devise", {"epochs": 5, "every": 5}),
        ("sje", {"epochs": 5, "every": 5}),
        ("sae", {"variant": "features"}),
        ("dap", {}),
    ],
)
def test_it_learns_on_the_toy_data_set(tmp_path, method, options):
    """Chance is 20 % Acc."""
    metrics = (
        zslbench.run(method, dataset="toy", select="last", store=tmp_path, device="cpu", threads=1, **options)
        .records[0]
        .metrics
    )
    assert metrics["acc"] > 2 / UNSEEN
    assert metrics["s"] > 0.2


def settings_of(method, dataset, **options):
    recipe = resolve(registry(), dataset, method=method, **options)
    return {
        f"{kind}.{key}": value for kind, part in recipe.parts.items() for key, value in part.values().items()
    }


@pytest.mark.parametrize("method", RANKING)
def test_presets_of_ranking_methods(method):
    for dataset, (lr, margin, normalize) in RANKING[method].items():
        found = settings_of(method, dataset)
        assert found["classifier.lr"] == lr
        assert found["classifier.margin"] == (margin or 1)
        assert found["embedding.normalize"] == normalize
        assert (found["classifier.epochs"], found["classifier.batch_size"]) == (100, 1)


def test_presets_of_sae_in_both_directions():
    for dataset, (semantics, features) in SAE_LAMBDA.items():
        assert settings_of("sae", dataset)["classifier.lam"] == semantics
        found = settings_of("sae", dataset, preset=f"{dataset}-features", variant="features")
        assert (found["classifier.lam"], found["classifier.compare"]) == (features, "features")


SPACE = ClassSpace(
    ("a", "b", "c", "d"),
    torch.tensor([[3.0, 0, 0], [0, 2, 0], [0, 0, 1], [1, 1, 0]]),
    torch.tensor([0, 1, 2]),
    torch.tensor([3]),
)
VIEW = TrainView(torch.rand(30, 6), torch.arange(30) % 3)


@pytest.mark.parametrize(
    ("model", "settings"), [(ALE, ALESettings()), (DeViSE, DeViSESettings()), (SJE, SJESettings())]
)
def test_weights_start_positive_with_rows_of_unit_length(model, settings):
    program = model(settings, SPACE).fit(VIEW)
    w = program.initial(Streams(0))["compatibility"]["W"]
    assert w.shape == (6, 3)
    assert bool((w >= 0).all())
    torch.testing.assert_close((w**2).sum(dim=1), torch.ones(6))
    rule = program.optimizers["compatibility"]
    assert (rule.kind, rule.lr, rule.momentum, program.batch_size) == ("sgd", 0.01, 0.0, 1)


def test_sae_maps_classes_to_their_means_where_it_can():
    """With λ near 0 and one direction per class, Wᵀ a(c) points to the class's images."""
    labels = torch.arange(30) % 3
    x = torch.eye(6)[labels] + 0.01 * torch.rand(30, 6)
    part = SAE(SAESettings(lam=1e-6, compare="features"), SPACE)
    nets = part.fit(TrainView(x, labels))
    assert torch.equal(part.scores(nets, x)[:, :3].argmax(dim=1), labels)


def test_dap_leaves_out_what_seen_classes_share_and_prefers_present_attributes():
    semantics = torch.tensor([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])  # the third: both seen classes have it
    space = ClassSpace(("a", "b", "c"), semantics, torch.tensor([0, 1]), torch.tensor([2]))
    labels = torch.arange(20) % 2
    x = torch.eye(2)[labels]
    part = DAP(DAPSettings(c=10.0), space)
    nets = part.fit(TrainView(x, labels))
    assert nets["attributes"]["learnt"].tolist() == [True, True, False]
    scores = part.scores(nets, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert scores[:, :2].argmax(dim=1).tolist() == [0, 1]
    np.testing.assert_allclose(scores[0, :2], scores[1, :2].flip(0), atol=1e-5)  # by symmetry


def test_dap_tells_when_it_has_not_converged(caplog):
    with caplog.at_level(logging.WARNING, "zslbench"):
        DAP(DAPSettings(iterations=1), SPACE).fit(VIEW)
    assert "1 iterations" in caplog.text
