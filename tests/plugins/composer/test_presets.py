"""Composer's presets against the authors' notebooks, and what each of its phases trains."""

from __future__ import annotations

import pytest
import torch

from zslbench.experiment.recipe import resolve
from zslbench.plugin import ClassSpace, TrainView
from zslbench.plugin.discovery import registry
from zslbench_composer.composer import Composer
from zslbench_composer.settings import ComposerSettings

# Iterations of both phases, momentum of phase 1, k, T, n_comp, normalize_V, and images of a balanced batch.
NOTEBOOKS = {
    "cub": (2000, 4000, 0.9, 5, 5, 50, False, 50),
    "sun": (2000, 4000, 0.9, 5, 5, 50, False, 50),
    "awa2": (2000, 1000, 0.0, 5, 10, 50, True, 40),
}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_preset_says_what_the_notebook_says(name):
    recipe = resolve(registry(), name, method="composer")
    assert recipe.preset == name
    e, c = recipe.parts["embedding"].settings, recipe.parts["classifier"].settings
    one, two = e.phase1, e.phase2
    found = (one.epochs * one.iterations, two.epochs * two.iterations, one.momentum, two.support)
    found += (two.temperature, two.candidates, e.normalize_vectors, one.batch_size)
    assert found == NOTEBOOKS[name]
    assert (two.momentum, two.batch_size, two.composed_weight) == (0, one.batch_size, 1)
    assert {one.lr, two.lr, one.weight_decay, two.weight_decay} == {1e-4}
    assert (e.offset, c.offset) == (2, None)  # the classifier's is the embedding's
    assert e.keep_negatives == (name != "awa2")


def test_phase_2_keeps_the_attention_of_phase_1():
    space = ClassSpace(
        ("a", "b", "c"),
        torch.rand(3, 4),
        torch.tensor([0, 2]),
        torch.tensor([1]),
        attribute_vectors=torch.rand(4, 3),
    )
    view = TrainView(torch.rand(6, 2), torch.tensor([0, 2] * 3), regions=torch.rand(6, 4, 2))
    stages = Composer(ComposerSettings(), space).fit(view)
    first = next(stages)
    assert set(first.optimizers) == {"vectors", "projection", "attention"}
    assert not first.paced
    nets = {net: {"x": torch.rand(1)} for net in first.optimizers}
    second = stages.send(nets)
    assert set(second.optimizers) == {"vectors", "projection"}
    assert second.paced and second.frozen == {"attention": nets["attention"]}
    assert second.passes[0][0].noise["targets"].values.tolist() == [1]
