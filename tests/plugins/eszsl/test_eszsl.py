"""ESZSL against its formula, computed in NumPy by explicit inverses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zslbench.plugin.views import ClassSpace, TrainView
from zslbench_eszsl.eszsl import ESZSL
from zslbench_eszsl.settings import ESZSLSettings

CLASSES, A, D, N = 7, 5, 6, 40
SEEN = np.array([0, 2, 3, 6])
UNSEEN = np.array([1, 4, 5])


def by_formula(x, labels, semantics, gamma, lam, coding):
    """W = (XᵀX + γI)⁻¹ Xᵀ Y S (SᵀS + λI)⁻¹ over the classes that have images, S with rows of unit length."""
    s = np.array([row / np.sqrt(row @ row) for row in semantics])
    y = np.full((len(labels), len(SEEN)), -1.0 if coding == "pm1" else 0.0)
    for image, label in enumerate(labels):
        y[image, list(SEEN).index(label)] = 1.0
    left = np.linalg.inv(x.T @ x + gamma * np.eye(D))
    right = np.linalg.inv(s[SEEN].T @ s[SEEN] + lam * np.eye(A))
    return left @ x.T @ y @ s[SEEN] @ right, s


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("coding", ["pm1", "01"])
@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.1), (0.01, 100.0), (30.0, 0.01)])
def test_weights_and_scores(seed, coding, gamma, lam):
    random = np.random.default_rng(seed)
    features = random.normal(size=(N, D)).astype(np.float32)
    labels = random.permutation(np.resize(SEEN, N))
    semantics = random.normal(size=(CLASSES, A)).astype(np.float32)
    space = ClassSpace(
        tuple("abcdefg"), torch.from_numpy(semantics), torch.from_numpy(SEEN), torch.from_numpy(UNSEEN)
    )
    part = ESZSL(ESZSLSettings(gamma=gamma, lam=lam, coding=coding), space)
    nets = part.fit(TrainView(torch.from_numpy(features), torch.from_numpy(labels)))
    w, s = by_formula(features.astype(np.float64), labels, semantics.astype(np.float64), gamma, lam, coding)
    np.testing.assert_allclose(nets["eszsl"]["W"], w, rtol=1e-8, atol=1e-10)
    test = random.normal(size=(9, D)).astype(np.float32)
    scores = part.scores(nets, torch.from_numpy(test))
    assert scores.shape == (9, CLASSES)
    np.testing.assert_allclose(scores, test.astype(np.float64) @ w @ s.T, rtol=1e-7, atol=1e-9)


def test_it_needs_no_examples_of_unseen_classes():
    assert not ESZSL.needs_examples
