"""Presets of SC-EGG against what is printed and released, typed from the description of both."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench.plugin.presets import preset_names, read_preset

PRESETS = "zslbench_sc_egg.presets"
NAMES = ("cub", "sun", "awa2")

# Section 4 of the paper, for all data sets alike.
PRINTED = {
    "embedding.reading": "paper",
    "embedding.stage1.optimizer": "adam",
    "embedding.stage2.optimizer": "adam",
    "embedding.stage1.lr": 1e-4,
    "embedding.stage2.lr": 1e-4,
    "embedding.stage1.batch_size": 64,
    "embedding.stage2.batch_size": 64,
    "embedding.stage1.epochs": 20,
    "embedding.stage2.epochs": 20,
    "embedding.stage1.lambda_l": 1.0,
    "embedding.stage1.lambda_g": 1.0,
    "embedding.stage1.classes": "all",  # eqs. (6), (7)
    "generator.reading": "paper",
    "generator.epochs": 200,
    "generator.lr": 1e-4,
    "generator.batch_size": 64,
    "generator.lambda_w": 10.0,
    "generator.lambda_r": 0.01,
    "generator.lambda_s": 0.1,
    "generator.lambda_u": 0.1,
    "generator.adaptive_penalty": False,
    "generator.reconstruction_norm": "l1",  # eq. (12)
}
# TF-VAEGAN's scripts, which the paper refers to for everything else; one column per data set.
RELEASED = {
    "generator.per_class": (300, 400, 1800),
    "generator.a1": (1, 0.1, 0.01),
    "generator.a2": (1, 0.01, 0.01),
    "generator.feedback_lr": (1e-5, 1e-4, 1e-4),
    "generator.decoder_lr": (1e-4, 1e-4, 1e-4),
    "generator.freeze_decoder": (False, False, True),
    "classifier.lr": (1e-3, 5e-4, 1e-3),
    "classifier.batch_size": (300, 400, 1800),
}
COMMON = {
    "generator.encoded_noise": True,
    "generator.critic_steps": 5,
    "generator.lambda_gp": 10,
    "generator.hidden": 4096,
    "generator.latent": None,  # the number of attributes
    "generator.feedback_loops": 2,
    "generator.beta1": 0.5,
    "generator.decoder": True,
    "generator.feedback": True,
    "generator.transform": True,
    "classifier.epochs": 25,
    "classifier.beta1": 0.5,
}
# wandb_config/config_sun.yaml, section 7 of the description.
SUN_AUTHORS = {
    "embedding.reading": "authors",
    "embedding.stage1.batch_size": 64,
    "embedding.stage2.batch_size": 64,
    "embedding.stage1.lr": 1e-4,
    "embedding.stage2.lr": 1e-4,
    "embedding.stage1.lambda_l": 1.0,
    "embedding.stage1.lambda_g": 1.0,
    "generator.batch_size": 64,
    "generator.hidden": 4096,
    "generator.latent": 102,
    "generator.epochs": 50,
    "generator.critic_steps": 5,
    "generator.lambda_gp": 10,
    "generator.lr": 1e-3,
    "generator.feedback_lr": 1e-4,
    "generator.decoder_lr": 1e-4,
    "generator.beta1": 0.5,
    "generator.per_class": 400,
    "generator.lambda_w": 1.0,
    "generator.a1": 0.0,
    "generator.a2": 0.0,
    "generator.lambda_r": 0.01,
    "generator.feedback_loops": 2,
    "generator.freeze_decoder": False,
    "generator.encoded_noise": True,
    "generator.lambda_s": 1.0,
    "generator.lambda_u": 0.001,
    "generator.decoder": True,
    "generator.feedback": True,
    "classifier.lr": 5e-4,
    "classifier.epochs": 25,
    "classifier.batch_size": 400,
}


def resolved(name, **options):
    recipe = resolve(registry(), name, method="sc-egg", **options)
    values = {
        f"{kind}.{key}": value for kind, part in recipe.parts.items() for key, value in part.values().items()
    }
    return recipe.preset, values


@pytest.mark.parametrize("name", NAMES)
def test_the_paper_is_what_is_printed_and_for_the_rest_tf_vaegans(name):
    preset, found = resolved(name)
    assert preset == name
    expected = PRINTED | COMMON | {key: values[NAMES.index(name)] for key, values in RELEASED.items()}
    assert {key: found[key] for key in expected} == expected


def test_the_paper_is_the_default_reading():
    for name in NAMES:
        assert resolved(name) == resolved(name, reading="paper")


def test_sun_in_the_authors_configuration():
    preset, found = resolved("sun", reading="authors")
    assert preset == "sun-authors"
    assert {key: found[key] for key in SUN_AUTHORS} == SUN_AUTHORS


@pytest.mark.parametrize("name", ["cub", "awa2"])
def test_the_authors_reading_of_other_data_sets_takes_their_presets(name):
    """The code covers SUN alone; stage 3 is then TF-VAEGAN's, with the paper's weights."""
    preset, found = resolved(name, reading="authors")
    assert preset == name
    stage3 = {key: values[NAMES.index(name)] for key, values in RELEASED.items()}
    assert {key: found[key] for key in stage3} == stage3
    assert (found["generator.lambda_s"], found["generator.lambda_u"]) == (0.1, 0.1)


@pytest.mark.parametrize("name", ["awa1", "apy", "flo"])
def test_a_data_set_without_numbers_gets_no_preset_that_passes_for_a_choice(name):
    assert resolved(name)[0] is None


@pytest.mark.parametrize(
    "name", sorted({"cub", "sun", "awa2", "toy", "sun-authors"} | set(preset_names(PRESETS)))
)
def test_every_number_says_where_it_comes_from(name):
    """Beside it, or for the whole file in its first lines."""
    assert read_preset(PRESETS, name).settings
    text = (resources.files(PRESETS) / f"{name}.toml").read_text("utf-8")
    head = text[: text.index("[")]
    for line in text.splitlines():
        if re.match(r"\w+ = ", line):
            assert "#" in line or re.search(r"\bOurs\b", head), line
