"""The permutation test of accuracies on random classes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zslbench_audit import probes
from zslbench_audit.probes import beats_chance


def accuracy(predicted, classes):
    """Mean per-class accuracy, the long way."""
    return float(np.mean([np.mean(predicted[classes == one] == one) for one in np.unique(classes)]))


def test_predictions_that_know_the_classes_beat_chance():
    random = np.random.default_rng(0)
    classes = random.choice([2, 5, 9], size=60, p=[0.6, 0.3, 0.1])
    assert beats_chance(1.0, random.permutation(classes), classes)  # a figure that was merely claimed
    half = np.where(random.random(60) < 0.8, classes, random.permutation(classes))
    assert beats_chance(accuracy(half, classes), half, classes)


@pytest.mark.parametrize("predict", [lambda r, c: r.choice([2, 5, 9], 60), lambda r, c: np.full(60, 5)])
def test_others_never_do(predict):
    for seed in range(50):
        random = np.random.default_rng(seed)
        classes = random.choice([2, 5, 9], size=60, p=[0.6, 0.3, 0.1])
        predicted = predict(random, classes)
        assert not beats_chance(accuracy(predicted, classes), predicted, classes)


def test_the_best_of_all_permutations_is_no_proof(monkeypatch):
    """Of 4 images of 2 classes, 1 in 6 permutations gets all right: too many for any proof."""
    assert not beats_chance(1.0, np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))
    monkeypatch.setattr(probes, "PERMUTATIONS", 1000)
    ten = np.repeat([0, 1], 5)  # 1 in 252
    assert not beats_chance(1.0, ten, ten)
    assert beats_chance(1.1, ten, ten)


def test_a_missing_figure_is_none():
    assert not beats_chance(math.nan, np.zeros(3, int), np.zeros(3, int))
    assert not beats_chance(0.0, np.zeros(3, int), np.ones(3, int))
