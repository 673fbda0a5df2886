"""AREN's preset against the released defaults, and which networks its streams have."""

from __future__ import annotations

import pytest
import torch

from zslbench.experiment.recipe import resolve
from zslbench.plugin import ClassSpace, TrainView
from zslbench.plugin.discovery import registry
from zslbench_aren.aren import ARENFrozen
from zslbench_aren.settings import ARENSettings


def test_the_preset_for_cub_says_what_the_released_code_says():
    recipe = resolve(registry(), "cub", method="aren-frozen")
    s = recipe.parts["embedding"].settings
    assert (s.parts, s.threshold, s.dropout, s.compressed) == (10, 0.8, 0.4, 20)
    assert (s.lr, s.momentum, s.weight_decay, s.decay_every, s.epochs) == (1e-3, 0.9, 5e-4, 30, 100)
    assert recipe.parts["classifier"].settings.semantics == "unit"


def test_the_fine_tuned_form_crops_as_the_released_code():
    frozen, tuned = (
        resolve(registry(), "cub", method=name).parts["embedding"].settings
        for name in ("aren-frozen", "aren")
    )
    assert tuned.model_dump(exclude={"backbone"}) == frozen.model_dump()
    backbone = tuned.backbone
    assert (backbone.lr, backbone.norm, backbone.augment) == (1e-3, "trained", True)
    assert (backbone.area, backbone.ratio) == ((0.08, 1.0), (0.5, pytest.approx(4 / 3, abs=1e-4)))


@pytest.mark.parametrize(
    ("second", "nets"), [(1.0, {"masks", "first", "compress", "second"}), (0.0, {"masks", "first"})]
)
def test_a_stream_without_weight_has_no_networks(second, nets):
    space = ClassSpace(("a", "b"), torch.rand(2, 3), torch.tensor([0]), torch.tensor([1]))
    view = TrainView(torch.rand(4, 2), torch.zeros(4, dtype=torch.long), regions=torch.rand(4, 4, 5))
    program = ARENFrozen(ARENSettings(second_order_weight=second), space).fit(view)
    assert set(program.optimizers) == nets
