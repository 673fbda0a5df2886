"""Statistics of synthetic features, against computations by hand; no other number depends on them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from zslbench.evaluation.folds import Fold, HeldOut
from zslbench.experiment import Quiet, fitting
from zslbench.experiment.inputs import ClassifierInputs
from zslbench.experiment.samples import CLASSES, sample_statistics, statistics
from zslbench.plugin import ClassSpace, Streams, TrainView

REAL = torch.tensor([[0.0, 0.0], [2.0, 0.0], [10.0, 0.0], [10.0, 2.0]])
"""Two classes with means (1, 0) and (10, 1), all at distance 1 from their mean: the unit is 1."""
LABELS = torch.tensor([0, 0, 1, 1])


def test_a_case_by_hand():
    first = [[1.0, 3.0], [1.0, -3.0]]  # mean (1, 0), both at distance 3, both nearest to their class
    second = [[2.0, 1.0], [2.0, 1.0]]  # mean (2, 1): at one point, 8 from the real mean, nearest to the first
    found = statistics(torch.tensor([first, second]), REAL, LABELS)
    assert found["mean"] == pytest.approx((1 + 3 + 1 - 3 + 2 + 1 + 2 + 1) / 8)
    assert found["real_mean"] == pytest.approx(24 / 8)
    assert found["spread"] == pytest.approx(math.sqrt((9 + 9 + 0 + 0) / 4))
    assert found["collapsed"] == 0.5
    assert found["distance"] == pytest.approx((0 + 8) / 2)
    assert found["purity"] == 0.5


def test_real_features_themselves_look_real():
    found = statistics(REAL.view(2, 2, 2), REAL, LABELS)
    assert (found["spread"], found["collapsed"], found["distance"], found["purity"]) == (1, 0, 0, 1)
    assert found["mean"] == found["real_mean"]
    # One image of each class has no spread, to which anything could be compared.
    lonely = statistics(torch.zeros(2, 3, 2), REAL[::2], torch.tensor([0, 1]))
    assert all(math.isnan(lonely[name]) for name in ("spread", "collapsed", "distance"))
    assert lonely["purity"] == 0.5


def test_by_brute_force():
    random = np.random.default_rng(0)
    real, labels = random.normal(size=(40, 5)), np.repeat(np.arange(4), 10)
    fake = random.normal(size=(4, 6, 5)).round(1)
    fake[1, 3] = fake[1, 0] + 1e-9
    means = np.stack([real[labels == one].mean(axis=0) for one in range(4)])
    unit = np.sqrt(np.mean([np.sum((x - means[c]) ** 2) for x, c in zip(real, labels, strict=True)]))
    pure, same, spread = [], [], []
    for c in range(4):
        for i in range(6):
            x = fake[c, i]
            pure.append(min(range(4), key=lambda k: np.linalg.norm(x - means[k])) == c)
            others = [np.linalg.norm(x - fake[c, j]) for j in range(6) if j != i]
            same.append(min(others) <= 0.01 * unit)
            spread.append(np.sum((x - fake[c].mean(axis=0)) ** 2))
    found = statistics(torch.from_numpy(fake), torch.from_numpy(real), torch.from_numpy(labels))
    assert found["purity"] == pytest.approx(np.mean(pure))
    assert found["collapsed"] == pytest.approx(np.mean(same)) == 2 / 24
    assert found["spread"] == pytest.approx(np.sqrt(np.mean(spread)) / unit)
    apart = np.linalg.norm(fake.mean(axis=1) - means, axis=1)
    assert found["distance"] == pytest.approx(apart.mean() / unit)


def without_images(fold):
    sides = (fold.test_seen, fold.test_unseen)
    seen, unseen = (
        replace(one, features=one.features[:0], labels=one.labels[:0], rows=one.rows[:0]) for one in sides
    )
    return replace(fold, test_seen=seen, test_unseen=unseen)


def test_no_other_number_depends_on_them_and_no_test_image_is_read(run, small, monkeypatch):
    folds = []

    def watching(inputs, view, fold):
        folds.append(fold.name)
        if fold.name == "final":  # without test images it gives the same
            fold = without_images(fold)
        return sample_statistics(inputs, view, fold)

    monkeypatch.setattr(fitting, "sample_statistics", watching)
    settings = {name: one for name, one in small.items() if name != "epochs"}
    plain = run("tf-vaegan", dataset="toy", settings=settings, epochs=3, keep_weights=True)
    debugged = run(
        "tf-vaegan",
        dataset="toy",
        settings=settings,
        epochs=3,
        keep_weights=True,
        debug_samples=True,
        force=True,
    )
    assert set(folds) == {"validation", "final"}
    assert plain.info.id == debugged.info.id
    assert plain.metrics == debugged.metrics
    one, other = plain.networks(), debugged.networks()
    assert all(torch.equal(one[name], other[name]) for name in one | other)
    table = debugged.table("epochs")
    named = [name for name in table.columns if name.startswith("samples_")]
    assert len(named) == 12
    left = table.drop(columns=named)
    assert left.equals(plain.table("epochs")[left.columns])
    rows = table[table["stage"] == "validation/generator"]
    assert rows[named].notna().all().all()
    final = table[table["stage"] == "final/generator"]
    assert final[[name for name in named if "unseen" not in name]].notna().all().all()
    assert final[[name for name in named if "unseen" in name]].isna().all().all()
    assert (rows["samples_seen_purity"].between(0, 1)).all()


def test_a_run_that_was_stored_without_them_says_so(run, small):
    class Display(Quiet):
        def say(self, text):
            said.append(text)

    said = []
    run("scripted", select="last")
    run("scripted", select="last", debug_samples=True, display=Display())
    assert any("without statistics of samples" in text and "--force" in text for text in said)


def test_of_many_classes_some_are_looked_at(monkeypatch):
    chosen = []

    def compared(self, g, semantics, count):
        chosen.append(semantics[:, 0].tolist())
        return g, torch.zeros(len(semantics), count, g.shape[1])

    monkeypatch.setattr(ClassifierInputs, "compared", compared)
    labels = torch.arange(300).repeat(2)
    view = TrainView(torch.randn(600, 3), labels)
    names, none = tuple(map(str, range(300))), torch.arange(0)
    space = ClassSpace(names, torch.arange(300.0)[:, None], torch.arange(300), none)
    side = HeldOut(torch.zeros(0, 3), none.numpy(), none.numpy(), torch.device("cpu"))
    sample_statistics(ClassifierInputs(None, {}, Streams(0)), view, Fold("final", view, space, side, side))
    assert len(chosen[0]) == CLASSES
    assert (chosen[0][0], chosen[0][-1]) == (0, 299)
