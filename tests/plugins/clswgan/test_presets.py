"""Presets and defaults against the released scripts, typed from their description."""

from __future__ import annotations

import pytest

from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry

# Epochs, syn_num, lr, cls_weight, classifier_lr; then LisGAN's proto_param1, proto_param2 and ratio. For GZSL
# its code does not pass the commands' ratio on to the classifier, whose default is 0.6.
GZSL = {
    "cub": (56, 300, 1e-4, 0.01, 1e-3, 1e-2, 1e-3, 0.6),
    "flo": (80, 1200, 1e-4, 0.1, 1e-3, 1e-1, 3e-2, 0.6),
    "sun": (40, 400, 2e-4, 0.01, 1e-3, 3e-1, 3e-5, 0.6),
    "awa1": (30, 1800, 1e-5, 0.01, 1e-3, 1e-3, 3e-5, 0.6),
    "apy": (50, 1800, 1e-5, 0.01, 1e-3, 3e-1, 3e-4, 0.6),
}
CZSL = {
    "cub": (70, 300, 1e-4, 0.01, 1e-3, 1e-2, 1e-3, 0.6),
    "flo": (97, 300, 1e-4, 0.1, 1e-3, 1e-4, 1e-3, 0.6),
    "sun": (54, 100, 2e-4, 0.01, 5e-4, 3e-1, 3e-4, 0.5),
    "awa1": (30, 300, 1e-5, 0.01, 1e-3, 3e-2, 3e-5, 0.1),
    "apy": (40, 300, 1e-5, 0.01, 1e-3, 1.0, 3e-5, 0.7),
}
RELEASED = GZSL | {f"{name}-czsl": values for name, values in CZSL.items()}
CASES = [
    (method, preset)
    for method in ("f-clswgan", "lisgan")
    for preset in RELEASED
    if not (method == "f-clswgan" and preset.startswith("apy"))  # its authors have no script for it
]


@pytest.mark.parametrize(("method", "preset"), CASES)
def test_a_preset_says_what_the_released_script_says(method, preset):
    epochs, syn_num, lr, beta, classifier_lr, of_mean, of_sample, ratio = RELEASED[preset]
    lisgan = method == "lisgan"
    recipe = resolve(registry(), "cub", method=method, preset=preset)
    found = {kind: recipe.parts[kind].values() for kind in ("embedding", "generator", "classifier")}
    assert found["embedding"] == {"normalize": "minmax"}
    expected = {
        "epochs": epochs,
        "batch_size": 64,
        "hidden": 4096,
        "latent": None,
        "critic_steps": 5,
        "lr": lr,
        "beta1": 0.5,
        "lambda_gp": 10,
        "beta": beta,
        "per_class": syn_num,
        "czsl_per_class": None,
        "pretraining.epochs": 100 if lisgan else 50,
        "pretraining.batch_size": 100,
        "pretraining.lr": 1e-3,
    }
    if lisgan:
        expected |= {"clusters": 3, "class_fakes": 20, "lambda_mean": of_mean, "lambda_sample": of_sample}
    assert found["generator"] == expected
    classifier = {key: value for key, value in found["classifier"].items() if not key.startswith("czsl")}
    expected = {"epochs": 25, "batch_size": syn_num, "lr": classifier_lr, "beta1": 0.5}
    if lisgan:
        expected |= {
            "epochs": 50, "batch_size": 2 * syn_num, "refine": False, "ratio": ratio, "first_epochs": 50,
        }  # fmt: skip
    assert classifier == expected


@pytest.mark.parametrize("suffix", ["", "-czsl"])
@pytest.mark.parametrize("method", ["f-clswgan", "lisgan"])
def test_awa2_has_the_numbers_of_awa1(method, suffix):
    one, other = (
        resolve(registry(), "cub", method=method, preset=f"{name}{suffix}") for name in ("awa1", "awa2")
    )
    assert one.parts["generator"].values() == other.parts["generator"].values()
    assert one.parts["classifier"].values() == other.parts["classifier"].values()
