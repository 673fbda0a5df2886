"""The classifier ``attribute-scores`` and its functions against plain NumPy in float64, image by image and
class by class."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from by_hand import agree, gradient_of, numerical_gradient, tensors

from zslbench.plugin import Batch, ClassSpace, Streams, TrainView
from zslbench_common.attribute_attention import attend
from zslbench_common.attribute_scores import (
    AttributeScores,
    attribute_scores,
    class_semantics,
    favour_unseen,
    self_calibration,
)
from zslbench_common.bilinear_scores import BilinearScores
from zslbench_common.settings import AttributeScoresSettings, BilinearScoresSettings

N, A, C = 3, 4, 5
SEEN, UNSEEN = [0, 1, 4], [2, 3]


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def length(x):
    return np.sqrt((x * x).sum())


def scored(settings, semantics, e, embedding):
    space = ClassSpace(tuple("abcde"), torch.tensor(semantics), torch.tensor(SEEN), torch.tensor(UNSEEN))
    part = AttributeScores(AttributeScoresSettings(**settings), space)
    part.embedding = SimpleNamespace(settings=SimpleNamespace(**embedding))
    return part.scores({}, torch.tensor(e))


def by_hand(settings, semantics, e):
    """Scores up to one number per image, with the whole offset on the unseen classes."""
    heads = settings.get("head_weights", (1.0,))
    total = np.zeros((len(e), C))
    for number, weight in enumerate(heads):
        for i, image in enumerate(e):
            own = image[number * A : (number + 1) * A]
            s = np.zeros(C)
            for c, a in enumerate(semantics):
                if settings.get("keep_negatives", True) is False:
                    a = np.where(a < 0, 0, a)
                if settings.get("semantics") == "unit":
                    a = a / length(a)
                if settings.get("similarity") == "cosine":
                    s[c] = settings.get("scale", 1.0) * (own @ a) / (length(own) * length(a))
                else:
                    s[c] = settings.get("scale", 1.0) * (own @ a)
            if settings.get("softmax"):
                s = np.exp(s) / np.exp(s).sum()
            total[i] += weight * s
    total[:, UNSEEN] += settings.get("offset", 0.0)
    return total


@pytest.mark.parametrize("embedding", [{}, {"keep_negatives": False, "offset": 1.25}])
@pytest.mark.parametrize(
    "settings",
    [
        {"semantics": "raw"},
        {"semantics": "unit"},
        {"semantics": "raw", "similarity": "cosine", "scale": 7.0},
        {"semantics": "unit", "offset": 2.0},
        {"semantics": "unit", "offset": 0.0},
        {"semantics": "unit", "head_weights": (0.9, 0.1), "offset": 2.0},
        {"semantics": "raw", "softmax": True, "offset": 0.7},
        {
            "semantics": "unit",
            "head_weights": (0.25, 0.75),
            "softmax": True,
            "similarity": "cosine",
            "scale": 3.0,
        },
    ],
)
def test_scores(rng, settings, embedding):
    """Negative semantics and offset are the embedding's, unless the classifier has an offset of its own."""
    semantics, e = rng.normal(size=(C, A)), rng.normal(size=(N, A * len(settings.get("head_weights", (1,)))))
    semantics[:, 0] = np.abs(semantics[:, 0])  # no class without a positive attribute
    found, settings = scored(settings, semantics, e, embedding), embedding | settings
    expected = by_hand(settings, semantics, e)
    shift = found[:, :1] - torch.tensor(expected[:, :1])  # the same for all classes of an image
    agree(found - shift, expected)
    if not settings.get("offset"):
        agree(found, expected)


def test_a_hand_case():
    """Two images, two classes: e = (3, 4) points along a = (0.6, 0.8); the other class is at a right
    angle."""
    e, a = torch.tensor([[3.0, 4.0], [-8.0, 6.0]]).double(), torch.tensor([[6.0, 8.0], [-4.0, 3.0]]).double()
    agree(attribute_scores(e, a), [[50, 0], [0, 50]])
    agree(attribute_scores(e, a, similarity="cosine", scale=10.0), [[10, 0], [0, 10]])
    agree(attribute_scores(e, class_semantics(a, "unit")), [[5, 0], [0, 10]])
    agree(class_semantics(a, "raw", keep_negatives=False), [[6, 8], [0, 3]])


def test_the_offset_is_the_difference_between_unseen_and_seen(rng):
    s = rng.normal(size=(N, C))
    moved = (favour_unseen(torch.tensor(s), torch.tensor(UNSEEN), 1.5) - torch.tensor(s)).numpy()
    for image in moved:
        assert np.ptp(image[SEEN]) == pytest.approx(0, abs=1e-12)
        assert np.ptp(image[UNSEEN]) == pytest.approx(0, abs=1e-12)
        assert image[UNSEEN[0]] - image[SEEN[0]] == pytest.approx(1.5)


def test_self_calibration(rng):
    s = 3 * rng.normal(size=(N, C))
    p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
    agree(self_calibration(torch.tensor(s), torch.tensor(UNSEEN)), -np.log(p[:, UNSEEN].sum(axis=1).mean()))
    even = torch.zeros(2, C).double()
    agree(self_calibration(even, torch.tensor(UNSEEN)), np.log(C / len(UNSEEN)))


def test_attention_pools_each_value_with_the_same_weights(rng):
    r, queries = rng.normal(size=(N, 6, 2)), rng.normal(size=(A, 2))
    values = rng.normal(size=(2, A, 2))
    alpha, first, second = attend(*map(torch.tensor, (r, queries, *values)))
    for n in range(N):
        for i in range(A):
            weights = np.exp(r[n] @ queries[i])
            weights /= weights.sum()
            agree(alpha[n, :, i], weights)
            agree(first[n, i], weights @ (r[n] @ values[0, i]))
            agree(second[n, i], weights @ (r[n] @ values[1, i]))


def test_bilinear_scores_loss_and_gradient(rng):
    """Cross-entropy over the seen classes of xᵀ W a(c) / ‖a(c)‖; the offset is for scores alone."""
    semantics, x, labels = rng.normal(size=(C, A)), rng.normal(size=(N, 2)), np.array([4, 0, 1])
    space = ClassSpace(tuple("abcde"), torch.tensor(semantics), torch.tensor(SEEN), torch.tensor(UNSEEN))
    part = BilinearScores(BilinearScoresSettings(offset=3.0), space)
    program = part.fit(TrainView(torch.tensor(x), torch.tensor(labels)))
    ((net, (tensor,)),) = program.initial(Streams(0)).items()
    nets = {net: {tensor: rng.normal(size=(2, A))}}

    def scores(nets):
        return np.array([[row @ nets[net][tensor] @ a / length(a) for a in semantics] for row in x])

    def loss(nets):
        s = scores(nets)
        return np.mean([np.log(np.exp(row[SEEN]).sum()) - row[y] for row, y in zip(s, labels, strict=True)])

    ((step,),) = program.passes
    batch = Batch(torch.tensor(x), torch.tensor(labels), torch.tensor(semantics)[torch.tensor(labels)])
    agree(step.losses(tensors(nets), batch, {}).total, loss(nets))
    actual = gradient_of(lambda nets: step.losses(nets, batch, {}).total, nets, (net,))
    agree(actual, numerical_gradient(loss, nets, (net,)), 1e-7)
    found = part.scores(tensors(nets), torch.tensor(x)).numpy() - scores(nets)
    np.testing.assert_allclose(found[:, UNSEEN] - found[:, SEEN[:2]], 3.0, atol=1e-9)
