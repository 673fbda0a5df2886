"""Presets and defaults against the published commands, typed from them and CE_GZSL.py's defaults."""

from __future__ import annotations

import shlex

import pytest

from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry

DEFAULTS = (
    "--ngh 4096 --nepoch 2000 --critic_iter 5 --lr 0.0001 --lr_decay_epoch 100 --lr_dec_rate 0.99 "
    "--lambda1 10 --classifier_lr 0.001 --beta1 0.5"
)
COMMANDS = {
    "cub": (
        "--syn_num 100 --batch_size 2048 --embedSize 2048 --outzSize 512 --nhF 2048 --ins_weight 0.001 "
        "--cls_weight 0.001 --ins_temp 0.1 --cls_temp 0.1"
    ),
    "awa2": (
        "--syn_num 2400 --batch_size 4096 --embedSize 2048 --outzSize 512 --nhF 2048 --ins_weight 0.001 "
        "--cls_weight 0.001 --cls_temp 1.0 --ins_temp 10.0 --lr_decay_epoch 10 --lr 1e-4 --nepoch 130"
    ),
    "sun": (
        "--syn_num 100 --batch_size 1024 --embedSize 2048 --outzSize 512 --nhF 1024 --ins_weight 0.01 "
        "--cls_weight 0.01 --ins_temp 0.1 --cls_temp 0.1 --lr_decay_epoch 100 --lr 5e-5 --nepoch 350"
    ),
}
NAMES = {
    "ngh": "generator.hidden",
    "nepoch": "generator.epochs",
    "critic_iter": "generator.critic_steps",
    "lr": "generator.lr",
    "lr_decay_epoch": "generator.lr_decay_every",
    "lr_dec_rate": "generator.lr_decay",
    "lambda1": "generator.penalty_weight",
    "classifier_lr": "classifier.lr",
    "beta1": "generator.beta1",
    "syn_num": "generator.per_class",
    "batch_size": "generator.batch_size",
    "embedSize": "generator.embedding",
    "outzSize": "generator.projection",
    "nhF": "generator.comparator",
    "ins_weight": "generator.instance_weight",
    "cls_weight": "generator.class_weight",
    "ins_temp": "generator.instance_temperature",
    "cls_temp": "generator.class_temperature",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_preset_says_what_the_published_command_says(name):
    words = shlex.split(f"{DEFAULTS} {COMMANDS[name]}")
    options = {word[2:]: float(value) for word, value in zip(words[::2], words[1::2], strict=True)}
    expected = {NAMES[option]: value for option, value in options.items()}
    expected |= {
        "generator.instance_level": True,
        "generator.class_level": True,
        "classifier.batch_size": options["syn_num"],
        "classifier.epochs": 25,
        "classifier.czsl_epochs": 100,
        "classifier.beta1": 0.5,
        "embedding.normalize": "minmax",
    }
    recipe = resolve(registry(), name, method="ce-gzsl")
    assert recipe.preset == name
    found = {
        f"{kind}.{key}": value for kind, part in recipe.parts.items() for key, value in part.values().items()
    }
    assert {key: found[key] for key in expected} == expected
    # What is left is as for GZSL, or follows the data: ε is as wide as the class semantics.
    assert all(value is None for key, value in found.items() if key not in expected and key != "dataset.seed")


def test_flo_awa1_and_apy_get_no_preset_that_passes_for_a_choice():
    for name in ("flo", "awa1", "apy"):
        assert resolve(registry(), name, method="ce-gzsl").preset is None
