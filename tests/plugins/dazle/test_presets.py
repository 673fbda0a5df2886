"""Presets of DAZLE, MSDN and GNDAN against the authors' notebooks, scripts and configurations, and agreement
between what an embedding learns with and what its classifier scores with."""

from __future__ import annotations

import pytest
import torch

import zslbench
from zslbench.errors import SettingsError
from zslbench.experiment.recipe import resolve
from zslbench.plugin import ClassSpace, Streams, TrainView
from zslbench.plugin.discovery import registry
from zslbench_dazle.embedding import DAZLE
from zslbench_dazle.settings import DAZLESettings
from zslbench_gndan.settings import GNDANSettings

# nepoches, is_balance, momentum, lambda_, uniform_att_2 is off, normalize_V; att < 0 is set to 0.
DAZLE_NOTEBOOKS = {
    "cub": (20, False, 0.9, 0.1, True, False, False),
    "sun": (100, True, 0.9, 0.1, False, False, False),
    "awa2": (20, True, 0.0, 0.1, True, True, True),
}
# nepoches, is_balance, momentum, lambda_, weight of the distillation, normalize_V, att < 0 is 0; w1 and w2.
MSDN_SCRIPTS = {
    "cub": (30, False, 0.9, 0.1, 1e-3, False, False, (0.9, 0.1)),
    "sun": (70, True, 0.9, 1e-4, 1e-2, False, False, (0.7, 0.3)),
    "awa2": (50, True, 0.0, 0.12, 1e-7, True, True, (1.0, 0.0)),
}
# AREN_parts, AREN_map_threshold, GAT_layer_num, GAT_heads, normalize_V; coef_ran and coef_rgat.
GNDAN_CONFIGURATIONS = {
    "cub": (10, 0.0, 2, 1, False, (0.5, 0.5)),
    "sun": (10, 0.0, 2, 1, False, (0.5, 0.5)),
    "awa2": (6, 0.6, 1, 8, True, (0.8, 0.2)),
}
CASES = [("dazle", name) for name in DAZLE_NOTEBOOKS] + [("msdn", name) for name in MSDN_SCRIPTS]


def settings_of(method, name):
    recipe = resolve(registry(), name, method=method)
    assert recipe.preset == name
    return recipe.parts["embedding"].settings, recipe.parts["classifier"].settings


@pytest.mark.parametrize(("method", "name"), CASES)
def test_released_training(method, name):
    e, c = settings_of(method, name)
    expected = (DAZLE_NOTEBOOKS if method == "dazle" else MSDN_SCRIPTS)[name]
    assert (e.epochs, e.sampler == "balanced", e.momentum, e.lambda_cal) == expected[:4]
    assert (e.batch_size, e.lr, e.weight_decay) == (50, 1e-4, 1e-4)
    own = e.attribute_attention if method == "dazle" else e.lambda_distill
    assert (own, e.normalize_vectors, not e.keep_negatives) == expected[4:7]
    assert c.head_weights == (expected[7] if method == "msdn" else (1.0,))


@pytest.mark.parametrize("name", GNDAN_CONFIGURATIONS)
def test_released_networks_of_gndan(name):
    e, c = settings_of("gndan", name)
    found = (e.parts, e.threshold, e.graph_layers, e.graph_heads, e.normalize_vectors, c.head_weights)
    assert found == GNDAN_CONFIGURATIONS[name]
    assert (e.graph_width, e.dropout) == (256, 0.4)


@pytest.mark.parametrize("method", ["dazle", "msdn", "gndan"])
@pytest.mark.parametrize("name", ["cub", "sun", "awa2", "toy"])
def test_the_classifier_scores_as_the_embedding_learned(method, name):
    e, c = settings_of(method, name)
    assert (c.offset, c.semantics, c.similarity) == (None, "unit", "dot")  # None: the embedding's
    assert e.offset == 2  # +1 for unseen and −1 for seen classes


def test_the_program_is_rmsprop_from_uniform_attention():
    space = ClassSpace(
        ("a", "b"), torch.rand(2, 3), torch.tensor([0]), torch.tensor([1]), tuple("xyz"), torch.randn(3, 4)
    )
    view = TrainView(torch.rand(5, 6), torch.zeros(5, dtype=torch.int64), torch.rand(5, 2, 6))
    program = DAZLE(DAZLESettings(), space).fit(view)
    rules = {*program.optimizers.values()}
    assert {(one.kind, one.lr, one.weight_decay, one.momentum) for one in rules} == {
        ("rmsprop", 1e-4, 1e-4, 0.9)
    }
    nets = program.initial(Streams(0))
    assert set(nets) == set(program.optimizers) == set(program.passes[0][0].updates)
    assert not nets["attention"]["w_2"].any()
    torch.testing.assert_close(nets["vectors"]["v"].norm(dim=1), torch.ones(3))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dazle", "msdn", "gndan"])
def test_it_learns_on_the_toy_data_set(method, tmp_path):
    """Five unseen classes: chance is 20 % Acc."""
    options = {"select": "last", "store": tmp_path, "device": "cpu", "threads": 1, "epochs": 4}
    metrics = zslbench.run(method, dataset="toy", **options).records[0].metrics
    assert metrics["acc"] > 0.5
    assert metrics["h"] > 0.3


def test_heads_that_do_not_divide_the_graph_are_refused():
    with pytest.raises(ValueError, match="graph_heads"):
        GNDANSettings(graph_width=10, graph_heads=3)
    with pytest.raises(SettingsError, match="graph_heads"):
        zslbench.run("gndan", dataset="toy", settings={"embedding.graph_heads": 7})
