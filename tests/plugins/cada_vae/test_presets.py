"""Presets and defaults of CADA-VAE and HSVA against the released settings, typed from their description."""

from __future__ import annotations

import pytest

from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry

COMMON = {
    "embedding.normalize": "minmax",
    "generator.batch_size": 50,
    "generator.lr": 1.5e-4,
    "generator.beta": 0.25,
    "generator.gamma": 2.37,
    "generator.gamma_epochs": [21, 75],
    "generator.shared_noise": True,
    "generator.per_class": 400,
    "generator.real_per_class": 200,
    "classifier.batch_size": 32,
    "classifier.lr": 1e-3,
    "classifier.beta1": 0.5,
    "classifier.czsl_batch_size": None,  # as for GZSL
    "classifier.czsl_lr": None,
}
CADA_VAE = COMMON | {
    "generator.epochs": 100,
    "generator.latent": 64,
    "generator.visual_hidden": [1560, 1660],
    "generator.semantic_hidden": [1450, 665],
    "generator.beta_epochs": [0, 93],
    "generator.delta": 8.13,
    "generator.delta_epochs": [6, 22],
    "generator.sigma_exponent": 1.0,
    "generator.both_orders": False,
    "generator.czsl_per_class": 200,
}
HSVA = COMMON | {
    "generator.epochs": 500,
    "generator.beta_epochs": [0, 90],
    "generator.delta": 8.0,
    "generator.delta_epochs": [0, 25],
    "generator.sigma_exponent": 0.1,
    "generator.hidden": 4096,
    "generator.structure": 2048,
    "generator.classifier_hidden": 512,
    "generator.classifier_lr": 1e-3,
    "generator.directions": 128,
    "generator.minimise_steps": 2,
    "generator.structure_adaptation": True,
    "generator.distance": True,
    "generator.coral": True,
    "generator.unseen_prior": "uniform",
}
# Epochs of the GZSL and of the CZSL classifier; for HSVA also the CZSL samples per class, and the size of z.
CADA_VAE_EPOCHS = {"cub": (23, 22), "sun": (21, 30), "awa1": (33, 25), "awa2": (29, 39)}
HSVA_SETTINGS = {
    "cub": (23, 22, 400, 64),
    "sun": (21, 30, 200, 128),
    "awa1": (33, 25, 800, 64),
    "awa2": (50, 39, 200, 64),
    "apy": (23, 22, 200, 64),
    "flo": (23, 22, 200, 64),
}


def settings_of(method, dataset, **options):
    recipe = resolve(registry(), dataset, method=method, **options)
    assert recipe.preset == dataset
    values = {
        f"{kind}.{key}": value for kind, part in recipe.parts.items() for key, value in part.values().items()
    }
    values.pop("dataset.seed", None)
    return values


@pytest.mark.parametrize("name", CADA_VAE_EPOCHS)
def test_cada_vae(name):
    gzsl, czsl = CADA_VAE_EPOCHS[name]
    expected = CADA_VAE | {"classifier.epochs": gzsl, "classifier.czsl_epochs": czsl}
    assert settings_of("cada-vae", name) == expected  # every setting of every component is in the table


@pytest.mark.parametrize("name", HSVA_SETTINGS)
def test_hsva(name):
    gzsl, czsl, per_class, latent = HSVA_SETTINGS[name]
    expected = HSVA | {
        "classifier.epochs": gzsl,
        "classifier.czsl_epochs": czsl,
        "generator.czsl_per_class": per_class,
        "generator.latent": latent,
    }
    assert settings_of("hsva", name) == expected


def test_the_printed_reading_of_cada_vae_draws_from_the_gaussian():
    printed = settings_of("cada-vae", "cub", reading="paper")
    different = {key: value for key, value in printed.items() if settings_of("cada-vae", "cub")[key] != value}
    assert different == {
        "generator.sigma_exponent": 0.5,
        "generator.shared_noise": False,
        "generator.both_orders": True,
    }
