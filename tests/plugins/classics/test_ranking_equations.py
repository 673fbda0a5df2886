"""DeViSE's, SJE's and ALE's rivals, losses and gradients against loops in NumPy, from their description."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import agree, gradient_of, tensors

from zslbench.errors import ZslbenchError
from zslbench.plugin import Batch, ClassSpace, TrainView
from zslbench_classics import ranking
from zslbench_classics.settings import ALESettings, DeViSESettings, SJESettings

B, D, A = 7, 5, 4
SEEN, UNSEEN = [1, 2, 4, 5, 7], [0, 3, 6]  # neither are the first ids
M = len(SEEN)
LABELS = [4, 1, 7, 7, 2, 5, 1]
OWN = torch.tensor([[c == label for c in SEEN] for label in LABELS])


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def signatures(rng):
    """s_c before scaling, with lengths far from 1."""
    return rng.normal(size=(8, A)) * rng.uniform(0.5, 3, size=(8, 1))


@pytest.fixture
def case(rng):
    return rng.normal(size=(B, D)), {"compatibility": {"W": rng.normal(size=(D, A))}}


def make(which, signatures, seen=SEEN, **settings):
    component, model = {
        "devise": (ranking.DeViSE, DeViSESettings),
        "sje": (ranking.SJE, SJESettings),
        "ale": (ranking.ALE, ALESettings),
    }[which]
    ids = torch.tensor(seen), torch.tensor(UNSEEN)
    return component(model(**settings), ClassSpace(tuple("abcdefgh"), torch.tensor(signatures), *ids))


def unit(rows):
    return np.array([row / np.sqrt((row**2).sum()) for row in rows])


def margins(projected, signatures, label, margin):
    """margin + F(x, c) − F(x, y) of every seen class; the own class has none."""
    s = unit(signatures)
    return [-np.inf if c == label else margin + projected @ s[c] - projected @ s[label] for c in SEEN]


def most_violating(projected, signatures, label, margin, standardize):
    if standardize:
        projected = (projected - projected.mean()) / projected.std()
    found = margins(projected, signatures, label, margin)
    best = int(np.argmax(found))
    return (best, 1.0) if found[best] > 0 else (None, 0.0)


def first_violating(projected, signatures, label, margin, order):
    found = margins(projected, signatures, label, margin)
    for position in order:
        if found[position] > 0:
            return position, 1.0
    return None, 0.0


def warp(projected, signatures, label, margin, draws):
    """Draws other classes until one violates the margin; how many it took suggests its rank."""
    found = margins(projected, signatures, label, margin)
    others = [position for position, c in enumerate(SEEN) if c != label]
    for trial, u in enumerate(draws, start=1):
        position = others[int(np.floor(u * len(others)))]
        if found[position] > 0:
            return position, sum(1 / j for j in range(1, (M - 1) // trial + 1))
    return None, 0.0


def rivals(which, projections, signatures, margin, noise, standardize):
    """For each image the rival's position among the seen classes and its weight."""
    made = []
    for i, (projected, label) in enumerate(zip(projections, LABELS, strict=True)):
        given = projected, signatures, label, margin
        if which == "sje":
            made.append(most_violating(*given, standardize))
        elif which == "ale":
            made.append(warp(*given, noise["draws"][i]))
        else:
            made.append(first_violating(*given, np.argsort(noise["order"][i]) if noise else range(M)))
    return made


CASES = [
    ("sje", {"standardize": False}),
    ("sje", {"standardize": True}),
    ("devise", {"order": "random"}),
    ("devise", {"order": "ids"}),
    ("ale", {}),
]


# Margins at which all, some and few images have a rival.
@pytest.mark.parametrize("margin", [20.0, 0.5, 1e-9])
@pytest.mark.parametrize(("which", "settings"), CASES)
def test_losses_and_their_gradient(which, settings, margin, rng, signatures, case):
    x, nets = case
    noise = {}
    if which == "ale":
        noise = {"draws": rng.uniform(size=(B, M - 1))}
    elif settings.get("order") == "random":
        noise = {"order": rng.uniform(size=(B, M))}
    component = make(which, signatures, margin=margin, **settings)
    w, s = nets["compatibility"]["W"], unit(signatures)
    expected = rivals(which, x @ w, signatures, margin, noise, settings.get("standardize", False))

    rival = component.rivals(torch.tensor(x @ w), OWN, tensors(noise))
    np.testing.assert_allclose(rival.weights, [weight for _, weight in expected], rtol=1e-6)
    for i, (position, _) in enumerate(expected):
        assert position is None or int(rival.classes[i]) == position

    loss, gradient = 0.0, np.zeros((D, A))
    for i, (position, weight) in enumerate(expected):
        if position is not None:
            difference = s[SEEN[position]] - s[LABELS[i]]
            loss += weight * (margin + x[i] @ w @ difference)
            gradient += weight * np.outer(x[i], difference)
    batch = Batch(torch.tensor(x), torch.tensor(LABELS), torch.tensor(signatures[LABELS]))
    found = component.losses(tensors(nets), batch, tensors(noise))
    agree(found.total, loss)
    agree(
        gradient_of(lambda n: component.losses(n, batch, tensors(noise)).total, nets, ("compatibility",)),
        {"compatibility": {"W": gradient}},
    )
    share = np.mean([weight > 0 for _, weight in expected])
    assert float(found.log["violating"]) == pytest.approx(share)
    assert share == 1 if margin == 20.0 else share > 0


def test_violations_leave_out_the_own_class(signatures, case):
    x, nets = case
    projected = x @ nets["compatibility"]["W"]
    found = make("sje", signatures, margin=0.7).violations(torch.tensor(projected), OWN)
    expected = [margins(row, signatures, label, 0.7) for row, label in zip(projected, LABELS, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("which", ["devise", "sje", "ale"])
def test_scores_are_products_with_the_classes_of_unit_length(which, signatures, case):
    x, nets = case
    found = make(which, signatures).scores(tensors(nets), torch.tensor(x))
    agree(found, x @ nets["compatibility"]["W"] @ unit(signatures).T)


def test_warps_weight_by_hand():
    """Four other classes, of which the third alone violates: found at trial 3 it has rank ⌊4/3⌋ = 1 and
    weight 1; found at once, rank 4 and weight 1 + 1/2 + 1/3 + 1/4."""
    signatures = np.zeros((8, 3))
    signatures[:, 2] = 1.0  # all but two classes are orthogonal to x
    signatures[1] = [1.0, 0.0, 0.0]  # y: F = 1
    signatures[5] = [0.8, 0.6, 0.0]  # a rival: F = 0.8
    component = make("ale", signatures, margin=0.5)
    own = torch.tensor([[c == 1 for c in SEEN]] * 3)
    projected = torch.tensor([[1.0, 0.0, 0.0]] * 3, dtype=torch.float64)
    # The others are classes 2, 4, 5 and 7: a draw of 0.6 is class 5.
    draws = [[0.1, 0.3, 0.6, 0.6], [0.6, 0.1, 0.1, 0.1], [0.1, 0.3, 0.8, 0.9]]
    rival = component.rivals(projected, own, {"draws": torch.tensor(draws, dtype=torch.float64)})
    assert rival.weights.tolist() == pytest.approx([1.0, 25 / 12, 0.0])
    assert rival.classes[:2].tolist() == [SEEN.index(5)] * 2


@pytest.mark.parametrize("which", ["devise", "sje", "ale"])
def test_a_single_seen_class_has_no_rival(which, signatures):
    view = TrainView(torch.ones(3, D), torch.ones(3, dtype=torch.int64))
    with pytest.raises(ZslbenchError, match=f"{which}: there is one seen class"):
        make(which, signatures, seen=[1]).fit(view)
