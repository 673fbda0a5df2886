"""The central claim: no test image or test label reaches training or selection.

Test features become noise and test labels are shuffled within their side. With ``last`` and ``val`` every
artefact of training must stay the same to the last bit, while the test figures change.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zslbench.evaluation.selection import Selection
from zslbench.evaluation.splits import validation_split
from zslbench.experiment import pipeline
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.recipe import resolve
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.streams import Streams
from zslbench.training.loop import Training
from zslbench_audit.altered import with_noise, with_other_labels
from zslbench_audit.probes import choices, fitted, networks

TRAINED = {"embedding.normalize": "minmax"}


def spoilt(dataset: Dataset) -> Dataset:
    """The same training images; everything that is known of test images replaced."""
    return with_other_labels(with_noise(dataset, 123), 123)


METHODS = {
    "tf-vaegan": {"method": "tf-vaegan", "epochs": 2},
    "tf-vaegan f-vaegan": {"method": "tf-vaegan", "epochs": 2, "variant": "f-vaegan"},
    "drawing": {"method": "drawing", "epochs": 2},
    "eszsl": {"method": "eszsl"},
    "eszsl on minmax": {"method": "eszsl", "settings": TRAINED},
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("mode", ["last", "val"])
def test_training_and_choices_do_not_depend_on_test_images(known, small, name, mode):
    given = dict(METHODS[name])
    settings = {k: v for k, v in small.items() if k.startswith("dataset.") or given["method"] == "tf-vaegan"}
    given["settings"] = settings | given.get("settings", {})
    data = "toy"
    if name == "drawing":  # features that are made of semantics
        data, given["settings"] = "scripted", {"classifier.epochs": 2}
    recipe = resolve(known, data, **given)
    dataset = load_dataset(recipe.parts["dataset"])

    def outcome(of: Dataset) -> pipeline.Outcome:
        return pipeline.run(recipe, of, Selection(mode, 1), Training(Streams(7), keep_scores=True))

    honest, noise = outcome(dataset), outcome(spoilt(dataset))
    assert fitted(honest) == fitted(noise)
    sides = {name.partition(" ")[0] for name in networks(honest)}
    assert sides == ({"final"} if mode == "last" else {"final", "validation"})
    assert honest.evaluation.figures() != noise.evaluation.figures()
    assert not np.array_equal(honest.evaluation.scores["gzsl"], noise.evaluation.scores["gzsl"])
    if mode == "val":
        assert "validation's h" in choices(honest)
        assert len(honest.candidates) > (1 if given["method"] == "eszsl" else 0)


def test_the_spoilt_data_would_be_noticed(known, small):
    """The check itself: with ``oracle`` the choice does follow the test images."""
    recipe = resolve(known, "toy", method="tf-vaegan", epochs=3, settings=small)
    dataset = load_dataset(recipe.parts["dataset"])
    made = [
        pipeline.run(recipe, of, Selection("oracle", 1), Training(Streams(7), keep_scores=True))
        for of in (dataset, spoilt(dataset))
    ]
    assert repr(made[0].epochs) != repr(made[1].epochs)
    assert made[0].metrics != made[1].metrics


def test_the_validation_split_does_not_depend_on_test_images(known, small):
    recipe = resolve(known, "toy", method="eszsl")
    dataset = load_dataset(recipe.parts["dataset"])
    assert validation_split(dataset).fingerprint() == validation_split(spoilt(dataset)).fingerprint()


def test_the_order_of_test_rows_changes_no_figure(known, small):
    settings = {key: value for key, value in small.items() if key.startswith("dataset.")}
    recipe = resolve(known, "toy", method="eszsl", settings=settings)
    dataset = load_dataset(recipe.parts["dataset"])
    split = replace(
        dataset.split,
        test_seen=dataset.split.test_seen[::-1].copy(),
        test_unseen=dataset.split.test_unseen[::-1].copy(),
    )
    one, other = (
        pipeline.run(recipe, of, Selection("val"), Training(Streams(0)))
        for of in (dataset, replace(dataset, split=split))
    )
    assert fitted(one) == fitted(other)
    assert one.metrics == other.metrics
