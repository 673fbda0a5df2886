"""f-VAEGAN-D2 is TF-VAEGAN without what that one adds."""

from __future__ import annotations

import pytest

from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry


def test_two_epochs_are_one_epoch_of_the_variant_to_the_last_bit(small_run):
    variant = small_run(variant="f-vaegan", preset="cub", epochs=1)
    ours = small_run(method="f-vaegan-d2", preset="cub", epochs=2)
    for name in ("acc", "u", "s", "h"):
        assert ours.metrics[name] == variant.metrics[name]
    assert len(variant.table("networks")) > 10
    assert ours.table("networks").equals(variant.table("networks"))


@pytest.mark.parametrize("name", ["cub", "sun", "awa2", "flo"])
def test_presets_have_the_numbers_of_tf_vaegans_scripts_in_epochs_of_one_pass(name):
    ours, theirs = (resolve(registry(), name, method=one) for one in ("f-vaegan-d2", "tf-vaegan"))
    assert ours.preset == theirs.preset == name
    assert ours.parts["classifier"].values() == theirs.parts["classifier"].values()
    assert ours.parts["embedding"].values() == theirs.parts["embedding"].values()
    mine, others = ours.parts["generator"].values(), theirs.parts["generator"].values()
    passes = others["feedback_loops"]
    assert mine == {key: others[key] for key in mine} | {"epochs": others["epochs"] * passes}


def test_the_penalty_s_weight_adapts_unless_the_run_follows_the_paper():
    readings = {None: True, "code": True, "paper": False}
    found = {one: resolve(registry(), "toy", method="f-vaegan-d2", reading=one) for one in readings}
    assert {one: it.parts["generator"].settings.adaptive_penalty for one, it in found.items()} == readings
