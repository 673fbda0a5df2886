"""TCN's similarities, losses and gradients against plain NumPy in float64, written from its description."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import affine, agree, gradient_of, random_net, tensors
from complex_step import complex_gradient, relu, sigmoid

from zslbench.plugin import Batch, ClassSpace
from zslbench_tcn.settings import TCNSettings
from zslbench_tcn.similarity import similarities
from zslbench_tcn.tcn import TCN

B, D, A, H = 5, 4, 6, 3
SEEN, UNSEEN = [1, 2, 4, 6], [0, 3, 5]
LABELS = [4, 1, 6, 6, 2]


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def semantics(rng):
    return rng.uniform(size=(7, A))


@pytest.fixture
def nets(rng):
    return {
        "semantic": random_net(rng, hidden=(H, A), out=(D, H)),
        "relation": random_net(rng, hidden=(H, D), out=(1, H)),
    }


def tcn(semantics, **settings):
    space = ClassSpace(tuple("abcdefg"), torch.tensor(semantics), torch.tensor(SEEN), torch.tensor(UNSEEN))
    return TCN(TCNSettings(hidden=H, **settings), space)


def leaky(x):
    return np.where(np.real(x) > 0, x, 0.01 * x)


def prototypes(net, a):
    return leaky(affine(net, "out", leaky(affine(net, "hidden", a))))


def relation(net, x, prototype):
    """r(x, c) before the sigmoid."""
    return affine(net, "out", relu(affine(net, "hidden", x * prototype)))[:, 0]


def ridge(seen, unseen, strength, least):
    """Each seen class by the unseen ones: one regression over the attributes, with an intercept."""
    rows = []
    centred = np.array([u - u.mean() for u in unseen])
    for target in seen:
        normal = centred @ centred.T + strength * np.eye(len(unseen))
        found = np.linalg.inv(normal) @ centred @ (target - target.mean())
        kept = np.where(found < least, 0, found)
        rows.append(kept / kept.sum() if kept.sum() else kept)
    return np.array(rows)


@pytest.mark.parametrize(("strength", "least"), [(1.0, 1e-3), (0.01, 0.1)])
def test_similarities(semantics, strength, least):
    found = similarities(torch.tensor(semantics[SEEN]), torch.tensor(semantics[UNSEEN]), strength, least)
    expected = ridge(semantics[SEEN], semantics[UNSEEN], strength, least)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_similarities_by_hand():
    """Two orthogonal unseen classes. A seen class that is one of them is like that one alone; one that is a
    sum with weights 1 and 3 is like both in that proportion; the opposite of one is like none."""
    one, other = [1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]
    seen = torch.tensor([one, [1.0, -1.0, 3.0, -3.0], [-1.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    found = similarities(seen, torch.tensor([one, other], dtype=torch.float64), 1.0, 1e-3)
    np.testing.assert_allclose(found, [[1, 0], [0.25, 0.75], [0, 0]], atol=1e-12)


def test_targets(semantics):
    found = tcn(semantics).targets.numpy()
    expected = np.zeros((7, len(SEEN) + len(UNSEEN)))
    expected[SEEN, range(len(SEEN))] = 1
    expected[SEEN, len(SEEN) :] = ridge(semantics[SEEN], semantics[UNSEEN], 1.0, 1e-3)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def losses(nets, x, semantics, alpha):
    """BCE of r over the seen classes with one-hot labels, and over the unseen ones with S_y."""
    s = ridge(semantics[SEEN], semantics[UNSEEN], 1.0, 1e-3)
    phi = prototypes(nets["semantic"], semantics)
    parts = []
    for classes, target in (
        (SEEN, lambda label, place: float(label == SEEN[place])),
        (UNSEEN, lambda label, place: s[SEEN.index(label), place]),
    ):
        terms = []
        for place, c in enumerate(classes):
            p = sigmoid(relation(nets["relation"], x, phi[c]))
            for i, label in enumerate(LABELS):
                t = target(label, place)
                terms.append(-(t * np.log(p[i]) + (1 - t) * np.log(1 - p[i])))
        parts.append(sum(terms) / len(terms))
    return parts[0] + alpha * parts[1], *parts


@pytest.mark.parametrize("alpha", [0.01, 0.7])
def test_losses_and_gradients(rng, nets, semantics, alpha):
    x, component = rng.normal(size=(B, D)), tcn(semantics, alpha=alpha)
    batch = Batch(torch.tensor(x), torch.tensor(LABELS), torch.tensor(semantics[LABELS]))
    total, seen, unseen = losses(nets, x, semantics, alpha)
    found = component.losses(tensors(nets), batch, {})
    agree(found.total, total)
    agree(found.log["discriminative"], seen)
    agree(found.log["transfer"], unseen)
    of = ("semantic", "relation")
    expected = complex_gradient(lambda n: losses(n, x, semantics, alpha)[0], nets, of)
    agree(gradient_of(lambda n: component.losses(n, batch, {}).total, nets, of), expected)


def test_scores_of_every_class(rng, nets, semantics):
    x, component = rng.normal(size=(B, D)), tcn(semantics)
    phi = prototypes(nets["semantic"], semantics)
    agree(component.prototypes(tensors(nets), torch.tensor(semantics)), phi)
    expected = np.stack([relation(nets["relation"], x, one) for one in phi], axis=1)
    agree(component.scores(tensors(nets), torch.tensor(x)), expected)
