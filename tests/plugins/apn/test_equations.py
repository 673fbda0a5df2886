"""APN's losses on frozen regions against plain NumPy in float64, from the released code's description."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import agree, gradient_of, numerical_gradient, tensors

from zslbench.plugin import Batch, ClassSpace
from zslbench_apn.apn import (
    APNFrozen,
    compactness_loss,
    decorrelation_loss,
    regression_loss,
    squared_distances,
)
from zslbench_apn.settings import APNSettings

B, SIDE, D, A = 3, 2, 4, 3
R = SIDE * SIDE
SEMANTICS = np.random.default_rng(5).uniform(0.1, 1, size=(4, A))
SEEN = (0, 1, 3)
NAMES = ("wing red", "wing blue", "tail long")
SPACE = ClassSpace(
    tuple("abcd"), torch.tensor(SEMANTICS), torch.tensor(SEEN), torch.tensor([2]), attribute_names=NAMES
)
LABELS = np.array([3, 0, 1])
GROUPS = ((0, 1), (2,))  # as the names begin


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def class_by_hand(e, twice):
    total = 0.0
    for row, label in zip(e, LABELS, strict=True):
        p = np.array([row @ SEMANTICS[c] for c in SEEN])
        p = softmax(p) if twice else p
        total -= np.log(softmax(p)[SEEN.index(label)])
    return total / B


def lasso_by_hand(prototypes, block):
    total = 0.0
    for group in GROUPS:
        squares = [sum(prototypes[a, d] ** 2 for a in group) + 1e-8 for d in range(D)]
        total += np.sqrt(sum(squares)) if block else sum(np.sqrt(squares))
    return total


def compact_by_hand(maps, squash):
    """Each attribute's map, weighted by the squared distance of each cell from the map's peak."""
    total = 0.0
    for b in range(B):
        for a in range(A):
            peak = int(maps[b, :, a].argmax())
            for i in range(R):
                apart = (i // SIDE - peak // SIDE) ** 2 + (i % SIDE - peak % SIDE) ** 2
                value = 1 / (1 + np.exp(-maps[b, i, a])) if squash else maps[b, i, a]
                total += value * apart
    return total / B


def parts(nets, r, pool):
    base = np.einsum("brd,ad->bra", r, nets["base"]["prototypes"])
    maps = np.einsum("brd,ad->bra", r, nets["local"]["prototypes"])
    return (base.max(axis=1) if pool == "max" else base.mean(axis=1)), maps


def networks(rng):
    return {name: {"prototypes": rng.normal(size=(A, D))} for name in ("base", "local")}


def group_matrix():
    found = np.zeros((len(GROUPS), A))
    for row, group in enumerate(GROUPS):
        found[row, list(group)] = 1
    return torch.tensor(found)


@pytest.mark.parametrize("flag", [False, True])
def test_terms(flag):
    rng = np.random.default_rng(1)
    prototypes, maps = rng.normal(size=(A, D)), rng.normal(size=(B, R, A))
    found = decorrelation_loss(torch.tensor(prototypes), group_matrix(), block=flag)
    agree(found, lasso_by_hand(prototypes, flag))
    distances = squared_distances(R, torch.tensor(maps))
    agree(compactness_loss(torch.tensor(maps), distances, sigmoid=flag), compact_by_hand(maps, flag))
    e, a = rng.normal(size=(B, A)), SEMANTICS[LABELS]
    agree(regression_loss(torch.tensor(e), torch.tensor(a)), ((e - a) ** 2).mean())


def test_distances_by_hand():
    """On a 2 × 2 grid neighbours are 1 apart and opposite corners 2, squared."""
    expected = [[0, 1, 1, 2], [1, 0, 2, 1], [1, 2, 0, 1], [2, 1, 1, 0]]
    assert squared_distances(4, torch.zeros(1)).tolist() == expected


@pytest.mark.parametrize("pool", ["max", "average"])
@pytest.mark.parametrize("reading", ["authors", "paper"])
def test_scores(pool, reading):
    rng = np.random.default_rng(2)
    nets, r = networks(rng), rng.uniform(size=(B, R, D))
    method = APNFrozen(APNSettings(pool=pool, reading=reading, groups=(("wing",), ("tail",))), SPACE)
    e, maps = parts(nets, r, pool)
    agree(method.base_scores(tensors(nets), torch.tensor(r)), e)
    agree(method.similarity_maps(tensors(nets), torch.tensor(r)), maps)
    agree(method.class_loss(torch.tensor(e), torch.tensor(LABELS)), class_by_hand(e, reading == "authors"))
    torch.testing.assert_close(method.groups.double(), group_matrix())
    both = np.concatenate([e, maps.max(axis=1)], axis=1)  # two heads for the classifier
    agree(method.embed(tensors(nets), torch.tensor(r)), both)


WEIGHTS = {"regression_weight": 0.3, "decorrelation_weight": 0.02, "compactness_weight": 0.01}
EXTRA = {"base_regression_weight": 0.7, "base_decorrelation_weight": 0.05, "local_class_weight": 0.9}


@pytest.mark.parametrize("reading", ["authors", "paper"])
def test_loss_and_gradient(reading):
    """Losses of the base and the local scores; under ``paper`` the extra terms of the code weigh 0."""
    rng = np.random.default_rng(4)
    nets, r = networks(rng), rng.uniform(size=(B, R, D))
    authors = reading == "authors"
    given = WEIGHTS | (EXTRA if authors else dict.fromkeys(EXTRA, 0.0))
    method = APNFrozen(
        APNSettings(pool="max", reading=reading, groups=(("wing",), ("tail",)), **given), SPACE
    )
    batch = Batch(torch.tensor(r), torch.tensor(LABELS), torch.tensor(SEMANTICS[LABELS]))

    def by_hand(nets):
        e, maps = parts(nets, r, "max")
        local, a = maps.max(axis=1), SEMANTICS[LABELS]
        total = class_by_hand(e, authors) + given["regression_weight"] * ((local - a) ** 2).mean()
        total += given["decorrelation_weight"] * lasso_by_hand(nets["local"]["prototypes"], authors)
        total += given["compactness_weight"] * compact_by_hand(maps, authors)
        total += given["local_class_weight"] * class_by_hand(local, authors)
        total += given["base_regression_weight"] * ((e - a) ** 2).mean()
        return total + given["base_decorrelation_weight"] * lasso_by_hand(nets["base"]["prototypes"], authors)

    agree(method.losses(tensors(nets), batch, {}).total, by_hand(nets))
    found = gradient_of(lambda one: method.losses(one, batch, {}).total, nets, ("base", "local"))
    agree(found, numerical_gradient(by_hand, nets, ("base", "local")), 1e-6)
