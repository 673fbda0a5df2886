"""APN's presets and readings against what the authors' scripts say, and the faults of its settings."""

from __future__ import annotations

import pytest
import torch

from zslbench.errors import ZslbenchError
from zslbench.experiment.recipe import resolve
from zslbench.plugin import ClassSpace, TrainView
from zslbench.plugin.discovery import registry
from zslbench_apn.apn import APNFrozen
from zslbench_apn.settings import APNSettings

# Of script/*_GZSL.sh: --attri, --l_xe, --l_attri, --regular, --l_regular, --cpt, --calibrated_stacking.
SCRIPTS = {
    "cub": (1e-2, 1, 1e-1, 5e-5, 4e-2, 1e-9, 0.7),
    "sun": (1e-4, 1, 5e-2, 1e-3, 5e-3, 2e-7, 0.4),
    "awa2": (0, 0, 0, 0.0005, 0.5e-6, 0, 0.7),  # without --use_group, --cpt is not used
}
POOLS = {"cub": "max", "sun": "average", "awa2": "average"}  # --avg_pool


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("reading", ["authors", "paper"])
def test_a_preset_says_what_the_script_says(name, reading):
    recipe = resolve(registry(), name, method="apn-frozen", reading=reading)
    assert recipe.preset == name
    e, c = recipe.parts["embedding"].settings, recipe.parts["classifier"].settings
    images = 64  # the code adds the compactness loss up over the batch
    assert (
        e.base_regression_weight,
        e.local_class_weight,
        e.regression_weight,
        e.base_decorrelation_weight,
        e.decorrelation_weight,
        pytest.approx(e.compactness_weight / images),
        c.offset,
    ) == SCRIPTS[name]
    assert e.reading == reading
    assert e.pool == (POOLS[name] if reading == "authors" else "average")
    assert c.softmax and c.semantics == "raw"


def test_the_fine_tuned_form_trains_as_the_script_says():
    frozen, tuned = (
        resolve(registry(), "cub", method=name).parts["embedding"].settings for name in ("apn-frozen", "apn")
    )
    assert tuned.model_dump(exclude={"backbone"}) == frozen.model_dump()
    backbone = tuned.backbone
    assert backbone.lr == backbone.head_lr == 1e-6  # --classifier_lr
    assert backbone.head_epochs == 1 + 5  # epochs up to --pretrain_epoch
    assert (backbone.augment, backbone.image_size, backbone.crop) == (False, 256, 224)


NAMES = ("has_bill_color::red", "has_leg_color::red", "has_shape::long-legged-like")


def space(names=NAMES):
    return ClassSpace(("a", "b"), torch.rand(2, 3), torch.tensor([1]), torch.tensor([0]), names)


def test_a_group_is_the_attributes_whose_names_begin_so():
    made = APNFrozen(APNSettings(groups=(("has_leg",), ("has_bill", "has_shape"))), space())
    assert made.groups.tolist() == [[0, 1, 0], [1, 0, 1]]
    assert APNFrozen(APNSettings(), space(None)).groups.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("names", [NAMES, None])
def test_a_group_without_attributes_is_refused(names):
    with pytest.raises(ZslbenchError, match="has_wing"):
        _ = APNFrozen(APNSettings(groups=(("has_wing",),)), space(names)).groups


def test_regions_that_are_no_square_have_no_compactness():
    view = TrainView(torch.rand(4, 2), torch.ones(4, dtype=torch.long), regions=torch.rand(4, 6, 2))
    with pytest.raises(ZslbenchError, match="6 regions"):
        APNFrozen(APNSettings(), space()).fit(view)
    APNFrozen(APNSettings(compactness_weight=0.0), space()).fit(view)
