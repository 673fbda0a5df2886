"""Scores of attribute scores against class semantics, computed image by image and class by class."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zslbench.errors import ZslbenchError
from zslbench.plugin import ClassSpace, TrainView
from zslbench_common.attribute_scores import AttributeScores, self_calibration
from zslbench_common.settings import AttributeScoresSettings

SEMANTICS = np.random.default_rng(0).normal(size=(5, 4))
UNSEEN = [1, 4]
SPACE = ClassSpace(tuple("abcde"), torch.tensor(SEMANTICS), torch.tensor([0, 2, 3]), torch.tensor(UNSEEN))


def scores(features, space=SPACE, **settings):
    part = AttributeScores(AttributeScoresSettings(**settings), space)
    x = torch.as_tensor(features, dtype=torch.float64)
    return part.scores(part.fit(TrainView(x, torch.zeros(len(x), dtype=torch.int64))), x).numpy()


def expected(features, heads, similarity, scale, softmax, offset):
    def length(v):
        return math.sqrt(sum(one * one for one in v))

    found = np.zeros((len(features), 5))
    for i, row in enumerate(features):
        for h, weight in enumerate(heads):
            e = row[4 * h : 4 * h + 4]
            fits = [sum(x * y for x, y in zip(e, a, strict=True)) for a in SEMANTICS]
            if similarity == "cosine":
                fits = [fit / length(e) / length(a) for fit, a in zip(fits, SEMANTICS, strict=True)]
            fits = [scale * fit for fit in fits]
            if softmax:
                fits = [math.exp(fit) / sum(map(math.exp, fits)) for fit in fits]
            found[i] += [weight * fit for fit in fits]
        for c in UNSEEN:
            found[i, c] += offset
    return found


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize(("heads", "scale", "offset"), [((1.0,), 1.0, 0.0), ((0.9, 0.1), 3.0, 2.0)])
def test_scores_by_definition(similarity, softmax, heads, scale, offset):
    features = np.random.default_rng(1).normal(size=(6, 4 * len(heads)))
    given = {"similarity": similarity, "softmax": softmax, "scale": scale, "offset": offset}
    np.testing.assert_allclose(
        scores(features, head_weights=heads, **given),
        expected(features, heads, **given),
        rtol=1e-12,
        atol=1e-12,
    )


def test_by_hand():
    space = ClassSpace(
        ("x", "y"), torch.tensor([[3.0, 4.0], [-1.0, 0.0]]).double(), torch.tensor([0]), torch.tensor([1])
    )
    assert scores([[1.0, 2.0]], space).tolist() == [[11.0, -1.0]]
    assert scores([[1.0, 2.0]], space, semantics="unit").tolist() == [[pytest.approx(2.2), -1.0]]
    assert scores([[1.0, 2.0]], space, offset=0.5).tolist() == [[11.0, -0.5]]
    assert scores([[0.0, 0.0]], space, similarity="cosine").tolist() == [[0.0, 0.0]]


def test_features_of_another_width_are_refused():
    with pytest.raises(ZslbenchError, match="7 wide"):
        scores(np.ones((2, 7)))
    with pytest.raises(ZslbenchError, match="4 wide"):
        scores(np.ones((2, 4)), head_weights=(0.5, 0.5))


def test_self_calibration_is_the_mean_probability_of_unseen_classes():
    scores = np.random.default_rng(2).normal(size=(7, 5))
    mass = [sum(math.exp(row[c]) for c in UNSEEN) / sum(map(math.exp, row)) for row in scores]
    found = self_calibration(torch.tensor(scores), torch.tensor(UNSEEN))
    assert float(found) == pytest.approx(-math.log(sum(mass) / 7), rel=1e-12)
    assert float(self_calibration(torch.zeros(3, 4).double(), torch.tensor([2]))) == pytest.approx(
        math.log(4)
    )
    far = self_calibration(torch.tensor([[800.0, -800.0]]), torch.tensor([1]))  # no overflow
    assert float(far) == pytest.approx(1600)
