"""What training sees: no test image or label, and unseen classes' semantics only where the paper says so."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from zslbench import pipeline
from zslbench.data.load import load_dataset
from zslbench.data.regions import ArrayRegions
from zslbench.protocol.selection import Selection
from zslbench.recipe import resolve
from zslbench.registry import registry
from zslbench.training.loop import Training
from zslbench.training.streams import Streams

SCEN_ALONE = {"generator.lambda_s": 0.0, "generator.lambda_u": 0.0}
BATCHES = {"embedding.stage1_iterations": 3, "embedding.stage2_iterations": 3, "dataset.classes": 14}


@pytest.fixture(scope="module")
def outcome(small_settings):
    """Runs a recipe of sc-egg on toy, after a change of the data set; nothing is stored."""

    made = {}

    def run(mode, change=None, settings=(), **options):
        key = (mode, change, str(settings), str(options))
        if key not in made:
            made[key] = fitted(mode, change or (lambda dataset: dataset), settings, **options)
        return made[key]

    def fitted(mode, change, settings, **options):
        given = {"method": "sc-egg", **options}
        small = small_settings(**given)
        small |= {name: value for name, value in BATCHES.items() if name in small} | dict(settings)
        recipe = resolve(registry(), "toy", settings=small, epochs=1, **given)
        data = load_dataset(recipe.parts["dataset"], root=None, features=None, semantics=None)
        return pipeline.run(recipe, change(data), Selection(mode, 1), Training(Streams(7)))

    return run


def spoilt(dataset):
    """The same training images; test regions and features are noise, test labels shuffled in their side."""
    random = np.random.default_rng(123)
    split, labels, features = dataset.split, dataset.labels.copy(), dataset.features.copy()
    regions = dataset.regions[np.arange(len(labels))]
    for rows in (split.test_seen, split.test_unseen):
        labels[rows] = random.permutation(labels[rows])
        features[rows] = 50 * random.normal(size=features[rows].shape)
        regions[rows] = 50 * random.normal(size=regions[rows].shape)
    assert (labels != dataset.labels).any()
    assert (regions[split.trainval] == dataset.regions[split.trainval]).all()
    return replace(dataset, labels=labels, features=features, regions=ArrayRegions(regions))


def hashes(outcome, side="final"):
    """sha256 of every network, by part and net."""
    networks = outcome.networks if side == "final" else outcome.validation_networks
    return {
        f"{part}/{net}/{name}": hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()
        for part, nets in networks.items()
        for net, tensors in nets.items()
        for name, tensor in tensors.items()
    }


@pytest.mark.parametrize("options", [{}, {"reading": "authors"}, {"variant": "baseline"}], ids=str)
def test_training_and_choices_do_not_depend_on_test_images(outcome, options):
    """With ``val``, which in the end fits as ``last`` does."""
    honest, noise = outcome("val", **options), outcome("val", spoilt, **options)
    for side in ("final", "validation"):
        assert hashes(honest, side) == hashes(noise, side) != {}
    assert repr(honest.epochs) == repr(noise.epochs)  # the figures of validation among them
    assert repr(honest.candidates) == repr(noise.candidates)
    for key in ("epochs", "offset", "val_h"):
        assert honest.metrics.get(key) == noise.metrics.get(key)
    assert not np.array_equal(honest.evaluation.gzsl, noise.evaluation.gzsl)


# --- semantics of unseen classes -----------------------------------------------------------------


def other_unseen_classes(dataset):
    """The unseen classes are described otherwise."""
    semantics = dataset.semantics.copy()
    unseen = np.unique(dataset.labels[dataset.split.test_unseen])
    semantics[unseen] = semantics[unseen][:, ::-1]
    return replace(dataset, semantics=semantics)


def changed(outcome, side="final", **options):
    """Nets that depend on the unseen classes' semantics."""
    mode = "last" if side == "final" else "val"
    one, other = (hashes(outcome(mode, c, **options), side) for c in (None, other_unseen_classes))
    return {"/".join(name.split("/")[:2]) for name in one if one[name] != other[name]}


def test_validation_never_sees_the_real_unseen_classes(outcome):
    assert changed(outcome, "validation") == set()


def test_over_all_classes_stage_1_sees_them(outcome):
    """Eqs. (3), (6): the printed sums run over seen and unseen classes, so LEN depends on their semantics."""
    found = changed(outcome, settings=SCEN_ALONE)
    assert {"embedding/attention", "embedding/projection"} <= found
    # Eq. (7) needs no semantics, but LEN's attention has changed.
    assert "embedding/cls_g" in found


def test_over_the_seen_classes_only_l_scr_guidance_and_synthesis_see_them(outcome):
    """In the code's reading: p_l of the regressor's targets (8), eq. (15), and ĝ_u of the classifiers."""
    options = {"reading": "authors"}
    classifiers = {"gzsl/softmax", "czsl/softmax"}
    without_guidance = changed(outcome, settings=SCEN_ALONE, **options)
    assert without_guidance == {"embedding/regressor"} | classifiers
    guided = changed(outcome, **options)
    assert guided >= without_guidance | {"generator/generator"}
    assert not {name for name in guided if name.startswith("embedding/")} - {"embedding/regressor"}


def test_without_scen_they_matter_to_synthesis_alone(outcome):
    assert changed(outcome, variant="baseline") == {"gzsl/softmax", "czsl/softmax"}
