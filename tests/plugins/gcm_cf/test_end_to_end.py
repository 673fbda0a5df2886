"""GCM-CF as a method: its presets, its marks, and its parts in other compositions."""

from __future__ import annotations

import pytest
from small import TF_VAEGAN

import zslbench
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench.report.one_run import explain_run

SMALL = {key: value for key, value in TF_VAEGAN.items() if key != "classifier.epochs"} | {
    "classifier.decision.per_class": 3,
    "classifier.decision.epochs": 1,
    "classifier.decision.images_at_once": 20,
    "classifier.decision.sub_sample": 3,
    "classifier.seen.epochs": 1,
}
NAMES = ("cub", "sun", "awa2")
# As the authors' scripts say; one column per data set.
RELEASED = {
    "generator.epochs": (300, 200, 160),
    "generator.lr": (1e-4, 1e-3, 1e-5),
    "generator.beta": (6, 4, 6),
    "generator.warm_up": (80, 80, 40),
    "generator.lambda_w": (10, 1, 10),
    "generator.lambda_r": (0.01, 0.01, 0.1),
    "generator.a1": (1, 0.1, 0.01),
    "generator.a2": (1, 0.01, 0.01),
    "generator.feedback_lr": (1e-5, 1e-4, 1e-4),
    "generator.freeze_decoder": (False, False, True),
    "generator.per_class": (200, 400, 100),
    "classifier.decision.mode": ("exact",) * 3,
    "classifier.decision.per_class": (300, 400, 1800),
    "classifier.decision.epochs": (5, 6, 2),
    "classifier.decision.batch_size": (300, 400, 1800),
    "classifier.decision.lr": (1e-3, 5e-4, 1e-3),
    "classifier.seen.epochs": (15, 20, 15),
    "classifier.seen.lr": (1e-3, 5e-4, 1e-3),
    "classifier.unseen.epochs": (9, 2, 2),
    "classifier.unseen.batch_size": (500, 1400, 300),
    "classifier.unseen.lr": (5e-4, 1e-3, 2e-3),
    "classifier.unseen.beta1": (0.5, 0.9, 0.9),
}
COMMON = {
    "generator.contrastive_weight": 1,
    "generator.temperature": 500,
    "generator.negatives": 30,
    "generator.target_noise": 0.2,
    "generator.encoded_noise": True,
    "generator.critic_steps": 5,
    "generator.batch_size": 64,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_says_what_the_released_script_says(name):
    recipe = resolve(registry(), name, method="gcm-cf")
    found = {
        f"{kind}.{key}": value for kind, part in recipe.parts.items() for key, value in part.values().items()
    }
    expected = COMMON | {key: values[NAMES.index(name)] for key, values in RELEASED.items()}
    assert recipe.preset == name
    assert {key: found[key] for key in expected} == expected


def small(store, method=None, settings=(), **options):
    """A run of a second."""
    options = {"epochs": 1, "select": "last", "store": store, "device": "cpu", "threads": 1} | options
    settings = {key: value for key, value in (SMALL | dict(settings)).items() if value is not None}
    return zslbench.run(method, dataset="toy", settings=settings, **options).records[0]


def test_a_sub_sampled_run_says_so(tmp_path):
    record = small(tmp_path, "gcm-cf", reading="sub-sampled")
    assert record.info.reading == "sub-sampled"
    ((name, text),) = explain_run(record, registry())
    assert name == "decision"
    assert "sub-sampled: each image's classifier saw 3 real features" in text


@pytest.mark.parametrize(
    ("generator", "mode"), [("tf-vaegan", "sub-sampled"), ("f-vaegan-d2", "exact"), ("free", "shared")]
)
def test_the_decision_follows_other_generators(tmp_path, generator, mode):
    record = small(
        tmp_path,
        embedding="identity",
        generator=generator,
        classifier="gcm-cf",
        settings={"classifier.decision.mode": mode},
    )
    assert 0 <= record.metrics["h"] <= 1
    assert 0 <= record.metrics["acc"] <= 1


def test_the_generator_works_with_another_classifier(tmp_path):
    others = {key: None for key in SMALL if key.startswith("classifier")}
    record = small(tmp_path, embedding="identity", generator="gcm-cf", classifier="softmax", settings=others)
    logged = set(record.table("epochs").columns)
    assert {"generator_contrastive", "generator_beta", "generator_vae"} <= logged
