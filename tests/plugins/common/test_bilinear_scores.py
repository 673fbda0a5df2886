"""The bilinear classifier: its scores and loss by loops, and a map that it can learn exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zslbench.plugin import Batch, ClassSpace, Streams, TrainView
from zslbench.training import Training, complete
from zslbench_common.bilinear_scores import BilinearScores
from zslbench_common.settings import BilinearScoresSettings

SEEN, UNSEEN, D, A = [0, 2, 3], [1, 4], 6, 4


def bilinear(a, **settings):
    space = ClassSpace(tuple("abcde"), torch.as_tensor(a), torch.tensor(SEEN), torch.tensor(UNSEEN))
    return BilinearScores(BilinearScoresSettings(**settings), space)


@pytest.mark.parametrize("scaling", ["raw", "unit"])
def test_scores_and_loss_by_loops(scaling):
    random = np.random.default_rng(0)
    a, w, x = random.normal(size=(5, A)), random.normal(size=(D, A)), random.normal(size=(3, D))
    labels = [3, 0, 2]
    z = [row / (math.sqrt(row @ row) if scaling == "unit" else 1) for row in a]
    scores = [[float(image @ w @ one) for one in z] for image in x]
    part = bilinear(a, semantics=scaling, offset=0.5)
    nets = {"bilinear": {"w": torch.tensor(w)}}
    favoured = [[s + 0.5 * (c in UNSEEN) for c, s in enumerate(row)] for row in scores]
    np.testing.assert_allclose(part.scores(nets, torch.tensor(x)), favoured, rtol=1e-12)
    expected = sum(
        math.log(sum(math.exp(row[c]) for c in SEEN)) - row[label]
        for row, label in zip(scores, labels, strict=True)
    )
    found = part.losses(nets, Batch(torch.tensor(x), torch.tensor(labels), torch.tensor(a[labels])), {})
    assert float(found.total) == pytest.approx(expected / 3, rel=1e-12)


def test_it_recognises_classes_that_it_never_saw():
    """Features that show the attributes: what it learns of each attribute carries over to unseen classes."""
    semantics = torch.tensor(
        [[1.0, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 1, 0, 1]], dtype=torch.float32
    )
    mixing = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(0)))[0][:A]
    labels = torch.tensor(SEEN).repeat(20)
    part = bilinear(semantics, epochs=60, batch_size=30, lr=0.02, weight_decay=1e-3)
    view = TrainView(semantics[labels] @ mixing, labels)
    nets = complete(part.fit(view), semantics, Training(Streams(0))).networks
    found = part.scores(nets, semantics @ mixing)
    assert found[SEEN].argmax(dim=1).tolist() == SEEN
    assert found[UNSEEN][:, UNSEEN].argmax(dim=1).tolist() == [0, 1]
