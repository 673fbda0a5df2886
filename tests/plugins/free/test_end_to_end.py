"""FREE as a method: its presets and readings, and what the classifier sees."""

from __future__ import annotations

import pytest
import torch
from small import TF_VAEGAN

import zslbench
from zslbench.experiment.recipe import resolve
from zslbench.plugin import ClassSpace, Streams
from zslbench.plugin.discovery import registry
from zslbench_free.generator import FREE
from zslbench_free.settings import FREESettings

NAMES = ("cub", "sun", "flo", "awa2", "awa1")
# As the authors' scripts say; one column per data set.
RELEASED = {
    "generator.epochs": (501, 601, 501, 401, 301),
    "generator.batch_size": (64, 512, 256, 64, 64),
    "generator.lr": (1e-4, 2e-4, 1e-4, 1e-5, 1e-5),
    "generator.per_class": (700, 300, 2400, 4600, 4600),
    "generator.margin": (200, 120, 200, 50, 50),
    "generator.gamma": (0.8, 0.8, 0.8, 0.5, 0.1),
    "generator.semantic_weight": (0.001, 0.1, 0.001, 0.001, 0.001),
    "generator.critic_steps": (1, 1, 5, 1, 1),
    "generator.lambda_w": (10, 1, 10, 10, 10),
    "generator.negative": ("random", "random", "random", "nearest", "nearest"),
    "generator.freeze_refiner": (False, False, False, True, True),
    "generator.encoded_noise": (True, True, False, True, True),
    "classifier.lr": (1e-3, 5e-4, 1e-3, 1e-3, 1e-3),
    "classifier.batch_size": (700, 300, 2400, 4600, 4600),
}
COMMON = {
    "generator.refiner_lr": 1e-4,
    "generator.samc_weight": 0.5,
    "generator.lambda_gp": 10,
    "generator.hidden": 4096,
    "generator.latent": None,
    "generator.passes": 2,
    "classifier.epochs": 25,
    "embedding.normalize": "minmax",
}
READINGS = {"paper": ("mean", False, "l1"), "authors": ("draw", True, "weighted")}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reading", READINGS)
def test_a_preset_says_what_the_released_script_says(name, reading):
    recipe = resolve(registry(), name, method="free", reading=reading)
    found = {
        f"{kind}.{key}": value for kind, part in recipe.parts.items() for key, value in part.values().items()
    }
    expected = COMMON | {key: values[NAMES.index(name)] for key, values in RELEASED.items()}
    of_reading = zip(("code", "own_class", "reconstruction_norm"), READINGS[reading], strict=True)
    expected |= {f"generator.{key}": value for key, value in of_reading}
    assert recipe.preset == name
    assert {key: found[key] for key in expected} == expected


def test_the_readings_differ_in_what_the_classifier_sees(tmp_path):
    settings = TF_VAEGAN | {"generator.critic_steps": 1}
    options = {
        "dataset": "toy",
        "epochs": 1,
        "select": "last",
        "store": tmp_path,
        "device": "cpu",
        "threads": 1,
    }

    def weights(reading):
        record = zslbench.run("free", settings=settings, reading=reading, **options).records[0]
        assert {"refiner_samc", "refiner_semantic", "generator_semantic"} <= set(
            record.table("epochs").columns
        )
        networks = record.table("networks").set_index("tensor")
        # 12 channels, a hidden layer of 16, 10 attributes
        assert networks["shape"]["gzsl/softmax/out.weight"] == f"10x{12 + 16 + 10}"
        return networks

    assert not weights("paper").equals(weights("authors"))


def part(**settings):
    space = ClassSpace(tuple("abc"), torch.rand(3, 4), torch.tensor([0, 2]), torch.tensor([1]))
    made = FREE(FREESettings(hidden=8, **settings), space)
    return made, made.initial(Streams(0), d=5)


def test_without_noise_the_code_is_the_mean_and_with_it_a_draw():
    g, noise = torch.rand(6, 5), {"code": torch.randn(6, 4)}
    made, nets = part()
    assert made.transform_noise == {}
    assert not made.draws_at_test
    mean = made.transform(nets, g, {})
    made, nets = part(code="draw")
    assert {*made.transform_noise} == {"code"}
    assert made.draws_at_test
    drawn = made.transform(nets, g, noise)
    assert torch.equal(drawn[:, :13], mean[:, :13])  # x and the hidden layer
    assert (drawn[:, 13:] != mean[:, 13:]).all()
    assert torch.equal(made.transform(nets, g, {}), mean)


def test_the_other_class_is_the_own_one_only_where_the_settings_say_so():
    for own_class, offsets in ((False, [1]), (True, [0, 1])):
        made, _ = part(own_class=own_class)
        refiner = made.steps()[0]
        assert refiner.noise["offset"].values.tolist() == offsets
    made, _ = part(negative="nearest")
    assert "offset" not in made.steps()[0].noise
