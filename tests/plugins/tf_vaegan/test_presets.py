"""Presets and defaults against the released settings, typed from their description."""

from __future__ import annotations

import pytest

from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry

# One column per data set, as TF-VAEGAN's scripts for them say.
NAMES = ("cub", "sun", "awa2", "flo")
RELEASED = {
    "generator.epochs": (300, 400, 120, 500),
    "generator.per_class": (300, 400, 1800, 1200),
    "generator.lr": (1e-4, 1e-3, 1e-5, 1e-4),
    "classifier.lr": (1e-3, 5e-4, 1e-3, 1e-3),
    "generator.lambda_w": (10, 1, 10, 10),
    "generator.lambda_r": (0.01, 0.01, 0.1, 0.01),
    "generator.a1": (1, 0.1, 0.01, 0.5),
    "generator.a2": (1, 0.01, 0.01, 0.5),
    "generator.feedback_lr": (1e-5, 1e-4, 1e-4, 1e-5),
    "generator.decoder_lr": (1e-4, 1e-4, 1e-4, 1e-4),
    "generator.encoded_noise": (True, True, True, False),
    "generator.freeze_decoder": (False, False, True, False),
    "classifier.batch_size": (300, 400, 1800, 1200),
}
COMMON = {
    "generator.batch_size": 64,
    "generator.critic_steps": 5,
    "generator.lambda_gp": 10,
    "generator.adaptive_penalty": True,
    "generator.reconstruction_norm": "weighted",
    "generator.hidden": 4096,
    "generator.latent": None,  # the number of attributes
    "generator.feedback_loops": 2,
    "generator.beta1": 0.5,
    "generator.decoder": True,
    "generator.feedback": True,
    "generator.transform": True,
    "embedding.normalize": "minmax",
    "generator.penalty_bounds": None,
    "classifier.epochs": 25,
    "classifier.beta1": 0.5,
    "classifier.czsl_epochs": None,  # as for GZSL
    "classifier.czsl_batch_size": None,
    "classifier.czsl_lr": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_says_what_the_released_script_says(name):
    recipe = resolve(registry(), name, method="tf-vaegan")
    assert recipe.preset == name
    expected = COMMON | {key: values[NAMES.index(name)] for key, values in RELEASED.items()}
    found = {
        f"{kind}.{key}": value for kind, part in recipe.parts.items() for key, value in part.values().items()
    }
    assert found.pop("dataset.seed", None) is None
    assert found == expected  # every setting of every component is in the table


def test_adam_is_used_with_the_released_decays():
    import torch

    from zslbench.plugin.views import ClassSpace
    from zslbench_tf_vaegan.generator import TFVAEGAN

    space = ClassSpace(("a",), torch.rand(1, 7), torch.tensor([0]), torch.arange(0))
    rules = TFVAEGAN(
        resolve(registry(), "sun", method="tf-vaegan").parts["generator"].settings, space
    ).optimizers()
    assert {name: (rule.kind, rule.lr, rule.betas) for name, rule in rules.items()} == {
        "encoder": ("adam", 1e-3, (0.9, 0.999)),
        "generator": ("adam", 1e-3, (0.5, 0.999)),
        "critic": ("adam", 1e-3, (0.5, 0.999)),
        "decoder": ("adam", 1e-4, (0.5, 0.999)),
        "feedback": ("adam", 1e-4, (0.5, 0.999)),
    }


def test_awa1_and_apy_get_no_preset_that_passes_for_a_choice():
    for name in ("awa1", "apy"):
        assert resolve(registry(), name, method="tf-vaegan").preset is None
