"""Every probe catches the methods that leak what it looks for, and no others."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from zslbench.errors import PluginError
from zslbench.evaluation import folds
from zslbench_audit import PROBES
from zslbench_audit.runs import ProbeRuns

# What each method leaks, and the probes that must catch it: no others may.
LEAKS = {
    "honest": set(),
    # It sees all test images, so it is fitted otherwise when they change, or when there are fewer.
    "transductive": {"images", "rows"},
    "cached": {"images"},
    "collapsed": {"images"},
    # Class counts: other labels have other counts, and so has a part of the images.
    "counting": {"labels", "rows"},
    "knowing": {"labels"},
    "searching": {"labels"},
    # Their figures are perfect, also on random classes, and their scores are random.
    "flattering": {"figures", "labels"},
    "praising": {"figures", "labels"},
    "dividing": {"figures", "labels"},
    "equating": {"figures", "labels"},
    "batch-norm": {"rows"},
    # What it steers is fitted in the end with another setting.
    "steering": {"images", "selection"},
    "dicing": {"globals"},
    "numpy-dicing": {"globals", "rows"},
    "widening": {"globals"},
    # Nothing repeats, so nothing can be shown of it.
    "clocked": {"images", "labels", "rows", "globals", "seed"},
    "stubborn": {"seed"},
    "scaling": {"arrays"},
    "marking": {"arrays"},
    "vandal": {"arrays"},
    "spoiling": {"arrays"},
    "overwriting": {"arrays"},
    # Draws for test images are the core's, and each image's own.
    "drawing": set(),
    "mixing": {"rows"},
    # It may fail because it looks at what it must not see.
    "failing": {"images", "selection"},
}


# Each has a relative that the same probes catch.
SLOW = {
    "knowing", "searching", "praising", "dividing", "equating", "batch-norm", "numpy-dicing", "widening",
    "marking", "vandal", "spoiling", "overwriting", "mixing",
}  # fmt: skip


@pytest.mark.parametrize(
    "method", [pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else []) for one in LEAKS]
)
def test_each_leak_is_caught_by_the_probes_that_look_for_it(audited, method):
    found = audited(method)
    assert [one.name for one in found.probes] == list(PROBES)
    assert set(found.failed) == LEAKS[method], [(one.name, one.detail) for one in found.probes]
    assert found.passed == (not LEAKS[method])


@pytest.mark.parametrize(
    ("reading", "declared"),
    [("paper", set()), ("features", {"images", "rows"}), ("prior", {"labels", "rows"})],
)
def test_a_transductive_reading_leaks_what_it_declares_and_nothing_else(audited, reading, declared):
    found = audited("told", reading=reading)
    assert set(found.failed) == declared, [(one.name, one.detail) for one in found.probes]
    said = {one.name for one in found.probes if one.detail.startswith("As its reading declares (test ")}
    assert said == declared
    assert found.passed == (not declared)


def test_scores_that_no_image_changes_are_not_called_stored(audited):
    detail = {method: audited(method).probes for method in ("collapsed", "cached")}
    said = {
        method: next(one.detail for one in probes if one.name == "images")
        for method, probes in detail.items()
    }
    assert "stored" in said["cached"] and "stored" not in said["collapsed"]


def test_what_was_replaced_is_said_with_both_figures(audited):
    found = {one.name: one for one in audited("flattering").probes}
    reported = re.findall(r"(\w+) 100\.0 \(it is ([0-9.]+)\)", found["figures"].detail)
    assert {"Acc", "U", "S", "H"} <= {name for name, _ in reported}
    assert all(float(figure) < 60 for _, figure in reported)
    assert "100000 permutations" in found["labels"].detail


def test_a_method_that_finds_the_given_classes_does_not_find_the_true_ones(audited, monkeypatch):
    honest, searching = [], []
    truth = ProbeRuns.against_truth
    for name, found in (("honest", honest), ("searching", searching)):
        monkeypatch.setattr(
            "zslbench_audit.audit.PROBES", {"look": (lambda runs, found=found: found.append(runs) or "", "")}
        )
        monkeypatch.setattr(ProbeRuns, "against_truth", truth)
        audited(name)
    accuracies = [truth(runs, runs.run()).acc for runs in (*honest, *searching)]
    assert searching[0].run().evaluation.acc == 1.0  # on the false classes, which it was given
    assert accuracies[1] < 0.6 < accuracies[0]


def test_a_process_that_ends_is_an_error_and_later_a_failed_probe(audited):
    with pytest.raises(PluginError, match="crashed"):
        audited("crashing")
    found = audited("crashing-on-noise")
    assert "images" in found.failed
    assert "figures" not in found.failed


def test_every_probe_has_a_leak_that_it_catches():
    assert set().union(*(found for method, found in LEAKS.items() if method not in SLOW)) == set(PROBES)


GENERATOR = {
    "generator.hidden": 16,
    "generator.batch_size": 64,
    "generator.per_class": 5,
    "generator.critic_steps": 1,
}
SC_EGG = {
    "dataset.grid": 2,
    "embedding.stage1.iterations": 2,
    "embedding.stage1.batch_size": 16,
    "embedding.stage2.iterations": 2,
    "embedding.stage2.batch_size": 16,
}


@pytest.mark.slow
def test_tf_vaegan_passes(audited):
    found = audited("tf-vaegan", variant="no-feedback", settings=GENERATOR)
    assert (found.failed, found.variant) == ((), "no-feedback")


@pytest.mark.slow
def test_sc_egg_passes(audited):
    found = audited("sc-egg", reading="authors", epochs=1, settings=GENERATOR | SC_EGG)
    assert (found.failed, found.reading) == ((), "authors")


def test_a_composition_by_hand_can_be_audited(audited):
    found = audited(embedding="identity", classifier="eszsl")
    assert found.passed
    assert found.method == "identity+none+eszsl"


def test_selection_on_test_images_is_caught(audited):
    """The positive control: what published codes do."""
    found = audited("eszsl", select="oracle", settings={"classifier.gamma": 1.0, "classifier.coding": "pm1"})
    assert {"images", "labels", "rows", "selection"} <= set(found.failed)
    assert not {"globals", "seed", "arrays"} & set(found.failed)


def test_a_core_that_leaks_is_caught(audited, monkeypatch):
    """Were a fold to hand out the data set's own memory, the audit would say so."""
    honest = folds.final_fold

    def careless(dataset, *arguments, **options):
        fold = honest(dataset, *arguments, **options)
        return replace(fold, space=replace(fold.space, semantics=torch.from_numpy(dataset.semantics)))

    monkeypatch.setattr("zslbench_audit.sharing.final_fold", careless)
    found = {one.name: one for one in audited("honest").probes}
    assert not found["arrays"].passed
    assert "memory" in found["arrays"].detail


def test_a_scaler_fitted_on_everything_is_caught(audited, monkeypatch):
    """Leak L6, made by the core: features scaled by what all images hold."""
    honest = folds.final_fold

    def scaled(dataset, *arguments, **options):
        return honest(
            replace(dataset, features=dataset.features / dataset.features.max()), *arguments, **options
        )

    monkeypatch.setattr("zslbench.experiment.pipeline.final_fold", scaled)
    assert "images" in audited("honest").failed


def test_selecting_on_the_final_fold_is_caught(audited, monkeypatch):
    """Leaks L1 and L4, made by the core: what ``val`` chooses is chosen on test images."""
    monkeypatch.setattr("zslbench.experiment.pipeline.validation_fold", folds.final_fold)
    found = audited("eszsl", settings={"classifier.gamma": 1.0, "classifier.coding": "pm1"})
    assert {"images", "labels", "rows", "selection"} <= set(found.failed)


def test_details_name_what_differed(audited):
    found = {one.name: one for one in audited("counting").probes}
    assert "prior/counts" in found["labels"].detail
    assert "final gzsl" in found["labels"].detail
    failing = {one.name: one for one in audited("failing").probes}
    assert "ValueError: these are no features" in failing["images"].detail


def test_probes_restore_the_process(audited):
    before = (torch.get_default_dtype(), os.getcwd(), torch.get_rng_state())  # noqa: PTH109
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    audited("widening"), audited("dicing"), audited("numpy-dicing")
    assert torch.get_default_dtype() == before[0] == torch.float32  # whatever ran before in this process
    assert os.getcwd() == before[1]  # noqa: PTH109
    assert torch.equal(torch.get_rng_state(), before[2])
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_labels_probe_reports_that_figures_fall_to_chance(audited):
    found = {one.name: one for one in audited("honest", settings={"dataset.images_per_class": 40}).probes}
    acc, chance, true = map(float, re.findall(r"[0-9]+\.[0-9]", found["labels"].detail))
    assert chance == 33.3
    assert true > 50
    assert abs(acc - 100 / 3) < 15  # 120 images of 3 classes: a standard deviation of 4.5


def test_the_same_run_is_computed_once(monkeypatch, audited):
    runs = []
    compute = ProbeRuns.compute
    monkeypatch.setattr(
        ProbeRuns, "compute", lambda self, *arguments: runs.append(1) or compute(self, *arguments)
    )
    audited("honest")
    assert len(runs) == 7  # plain, noise, labels, rows, other chance, again, other seed


def test_schedules_are_cut_short_but_not_what_the_user_sets(audited, monkeypatch):
    """Every ``epochs`` and ``iterations``; the probes themselves take no part here."""
    monkeypatch.setattr("zslbench_audit.audit.PROBES", {})
    monkeypatch.setattr(ProbeRuns, "run", lambda self: None)
    of = audited("sc-egg", reading="authors", settings={"embedding.stage2.epochs": 7}).settings
    assert (of["embedding"]["stage1.epochs"], of["embedding"]["stage2.epochs"]) == (2, 7)
    assert (of["embedding"]["stage1.iterations"], of["embedding"]["stage2.iterations"]) == (10, 10)
    assert (of["generator"]["epochs"], of["classifier"]["epochs"]) == (2, 2)
