"""AREN on frozen regions against plain NumPy in float64, from the released code's description: masks with
adaptive thresholding, masked max-pooling, bilinear pooling, and their cross-entropies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import agree, gradient_of, numerical_gradient, tensors

from zslbench.plugin import Batch, ClassSpace
from zslbench_aren.aren import ARENFrozen
from zslbench_aren.parts import dropout, part_features, part_masks
from zslbench_aren.settings import ARENSettings

B, R, D, K, A, M = 3, 4, 5, 3, 2, 2
SEMANTICS = np.random.default_rng(7).uniform(0.2, 1, size=(4, A))
SPACE = ClassSpace(tuple("abcd"), torch.tensor(SEMANTICS), torch.tensor([0, 1, 3]), torch.tensor([2]))
LABELS = np.array([3, 0, 1])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def masks_by_hand(net, r, threshold):
    masks = np.zeros((B, R, K))
    for b in range(B):
        for k in range(K):
            for i in range(R):
                masks[b, i, k] = sigmoid(sum(net["mask.weight"][k] * r[b, i]) + net["mask.bias"][k])
        highest = masks[b].max()
        for k in range(K):
            if masks[b, :, k].max() < threshold * highest:
                masks[b, :, k] = 0
    return masks


def streams_by_hand(nets, r, threshold):
    """First- and second-order attribute scores, without dropout."""
    masks = masks_by_hand(nets["masks"], r, threshold)
    first, second = np.zeros((B, A)), np.zeros((B, A))
    for b in range(B):
        parts = [(masks[b, :, k, None] * r[b]).max(axis=0) for k in range(K)]
        first[b] = nets["first"]["weight"] @ np.concatenate(parts)
        maps = r[b] @ nets["compress"]["map.weight"].T + nets["compress"]["map.bias"]  # (R, m)
        bilinear = [maps.T @ (masks[b, :, k, None] * r[b]) / R for k in range(K)]  # (m, D)
        second[b] = nets["second"]["weight"] @ np.max(bilinear, axis=0).reshape(-1)
    return first, second


def ce_by_hand(e, labels):
    """Over the seen classes, semantics of unit length."""
    z = SEMANTICS / np.sqrt((SEMANTICS**2).sum(axis=1, keepdims=True))
    total = 0.0
    for row, label in zip(e, labels, strict=True):
        logits = {c: row @ z[c] for c in (0, 1, 3)}
        total += np.log(sum(np.exp(one) for one in logits.values())) - logits[label]
    return total / len(e)


def networks(rng):
    return {
        "masks": {"mask.weight": rng.normal(size=(K, D)), "mask.bias": rng.normal(size=K)},
        "first": {"weight": rng.normal(size=(A, K * D))},
        "compress": {"map.weight": rng.normal(size=(M, D)), "map.bias": rng.normal(size=M)},
        "second": {"weight": rng.normal(size=(A, M * D))},
    }


@pytest.mark.parametrize("threshold", [0.0, 0.8])
def test_masks_and_parts(threshold):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        net, r = networks(rng)["masks"], rng.uniform(size=(B, R, D))
        masks = part_masks(tensors(net), torch.tensor(r), threshold)
        expected = masks_by_hand(net, r, threshold)
        agree(masks, expected)
        parts = [[(expected[b, :, k, None] * r[b]).max(axis=0) for k in range(K)] for b in range(B)]
        agree(part_features(masks, torch.tensor(r)), np.array(parts))
    dropped = (expected == 0).all(axis=1)
    assert dropped.any() == bool(threshold)  # the case is one where thresholding matters


def test_masks_by_hand():
    """Two parts whose peaks are σ(0) = 1/2 and σ(ln 9) = 9/10: below 5/9 of the higher none is dropped."""
    net = {"mask.weight": torch.tensor([[0.0], [1.0]]), "mask.bias": torch.zeros(2)}
    r = torch.tensor([[[0.0], [np.log(9)]]], dtype=torch.float32)
    kept = part_masks(net, r, 0.55)
    torch.testing.assert_close(kept, torch.tensor([[[0.5, 0.5], [0.5, 0.9]]]))
    torch.testing.assert_close(part_masks(net, r, 0.56)[0, :, 0], torch.zeros(2))


def test_dropout_keeps_the_mean():
    noise = torch.linspace(0, 1, 1001)[:-1][None]
    found = dropout(torch.ones_like(noise), noise, 0.4)
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.6])
    assert float(found.mean()) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_streams_scores_losses_and_gradients(weight):
    rng = np.random.default_rng(11)
    nets, r = networks(rng), rng.uniform(size=(B, R, D))
    settings = ARENSettings(parts=K, threshold=0.8, dropout=0.0, compressed=M, second_order_weight=weight)
    method = ARENFrozen(settings, SPACE)
    if not weight:
        nets = {name: nets[name] for name in ("masks", "first")}
    batch = Batch(torch.tensor(r), torch.tensor(LABELS), torch.tensor(SEMANTICS[LABELS]))
    full = {**networks(np.random.default_rng(11)), **nets}

    def by_hand(nets):
        first, second = streams_by_hand({**full, **nets}, r, 0.8)
        total = ce_by_hand(first, LABELS) + weight * ce_by_hand(second, LABELS)
        return total / (1 + weight), (first + weight * second) / (1 + weight)

    total, e = by_hand(nets)
    agree(method.losses(tensors(nets), batch, {}).total, total)
    agree(method.embed(tensors(nets), torch.tensor(r)), e)
    found = gradient_of(lambda given: method.losses(given, batch, {}).total, nets, tuple(nets))
    agree(found, numerical_gradient(lambda given: by_hand(given)[0], nets, tuple(nets)), 1e-6)


def test_dropout_acts_on_each_stream():
    rng = np.random.default_rng(3)
    nets, r = networks(rng), rng.uniform(size=(B, R, D))
    settings = ARENSettings(parts=K, threshold=0.0, dropout=0.4, compressed=M, second_order_weight=1.0)
    noise = {name: rng.uniform(size=(B, A)) for name in ("first", "second")}
    first, second = streams_by_hand(nets, r, 0.0)
    kept = [np.where(noise[n] >= 0.4, e / 0.6, 0) for n, e in (("first", first), ("second", second))]
    batch = Batch(torch.tensor(r), torch.tensor(LABELS), torch.tensor(SEMANTICS[LABELS]))
    found = ARENFrozen(settings, SPACE).losses(tensors(nets), batch, tensors(noise))
    agree(found.total, (ce_by_hand(kept[0], LABELS) + ce_by_hand(kept[1], LABELS)) / 2)
    agree(found.log["first"], ce_by_hand(kept[0], LABELS))
