"""What training sees: no test image or label, and unseen classes' semantics only where the paper says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zslbench.evaluation.selection import Selection
from zslbench.experiment import pipeline
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench.plugin.streams import Streams
from zslbench.training.loop import Training
from zslbench_audit.altered import with_noise, with_other_labels
from zslbench_audit.probes import choices, networks

SCEN_ALONE = {"generator.lambda_s": 0.0, "generator.lambda_u": 0.0}
BATCHES = {"embedding.stage1.iterations": 3, "embedding.stage2.iterations": 3, "dataset.classes": 14}


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
        data = load_dataset(recipe.parts["dataset"])
        return pipeline.run(recipe, change(data), Selection(mode, 1), Training(Streams(7), keep_scores=True))

    return run


def spoilt(dataset):
    """The same training images; test regions and features are noise, test labels are others."""
    return with_other_labels(with_noise(dataset, 123), 123)


def hashes(outcome, side="final"):
    """sha256 of every network of one side, by part and net."""
    found = (name.partition(" ") for name in networks(outcome))
    return {path: networks(outcome)[f"{of} {path}"] for of, _, path in found if of == side}


@pytest.mark.parametrize("options", [{}, {"reading": "authors"}, {"variant": "baseline"}], ids=str)
def test_training_and_choices_do_not_depend_on_test_images(outcome, options):
    """With ``val``, which in the end fits as ``last`` does."""
    honest, noise = outcome("val", **options), outcome("val", spoilt, **options)
    for side in ("final", "validation"):
        assert hashes(honest, side) == hashes(noise, side) != {}
    assert choices(honest) == choices(noise)
    assert {"chosen epochs", "chosen offset", "validation's h"} <= choices(honest).keys()
    assert not np.array_equal(honest.evaluation.scores["gzsl"], noise.evaluation.scores["gzsl"])


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
