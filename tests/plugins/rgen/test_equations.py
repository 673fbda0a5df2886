"""RGEN's graph and losses on frozen regions against plain NumPy in float64, from our reading as described."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import agree, gradient_of, numerical_gradient, tensors

from zslbench.plugin import Batch, ClassSpace
from zslbench_rgen.rgen import RGENFrozen, balance_loss, region_graph, transfer_loss
from zslbench_rgen.settings import RGENSettings

B, R, D, K, A, H = 3, 4, 5, 3, 2, 2
SEMANTICS = np.random.default_rng(7).uniform(0.2, 1, size=(5, A))
UNIT = SEMANTICS / np.sqrt((SEMANTICS**2).sum(axis=1, keepdims=True))
SEEN, UNSEEN = [0, 1, 3], [2, 4]
SPACE = ClassSpace(tuple("abcde"), torch.tensor(SEMANTICS), torch.tensor(SEEN), torch.tensor(UNSEEN))
LABELS = np.array([3, 0, 1])


def graph_by_hand(f):
    """Cosines of the parts' features, without negative ones, rows summing to 1."""
    adjacency = np.zeros((len(f), K, K))
    for b, parts in enumerate(f):
        for i in range(K):
            for j in range(K):
                lengths = np.linalg.norm(parts[i]) * np.linalg.norm(parts[j])
                adjacency[b, i, j] = max(parts[i] @ parts[j] / lengths, 0) if lengths else 0
            total = adjacency[b, i].sum()
            adjacency[b, i] /= total or 1
    return adjacency


def transfer_by_hand(s, similarity):
    terms = []
    for row, targets in zip(s, similarity, strict=True):
        for c, target in zip(UNSEEN, targets, strict=True):
            p = 1 / (1 + np.exp(-row[c]))
            terms.append(-target * np.log(p) - (1 - target) * np.log(1 - p))
    return np.mean(terms)


def balance_by_hand(s):
    return np.mean([(max(row[SEEN]) - max(row[UNSEEN])) ** 2 for row in s])


def test_graph_joins_parts_that_look_alike():
    f = np.random.default_rng(0).normal(size=(B, K, D))
    f[1, 2] = 0  # a dropped part
    found = region_graph(torch.tensor(f))
    agree(found, graph_by_hand(f))
    assert not found[1, 2].any()
    two = region_graph(torch.tensor([[[3.0, 0.0], [4.0, 3.0]]]))  # cosine 0.8
    torch.testing.assert_close(two, torch.tensor([[[1, 0.8], [0.8, 1]]]) / 1.8)


def test_transfer_and_balance():
    rng = np.random.default_rng(1)
    s, similarity = rng.normal(size=(B, 5)), rng.dirichlet([1, 1], size=B)
    found = transfer_loss(torch.tensor(s), torch.tensor(similarity), torch.tensor(UNSEEN))
    agree(found, transfer_by_hand(s, similarity))
    agree(balance_loss(torch.tensor(s), torch.tensor(SEEN), torch.tensor(UNSEEN)), balance_by_hand(s))
    by_hand = balance_loss(torch.tensor([[5.0, 1.0, 2.0]]), torch.tensor([0, 1]), torch.tensor([2]))
    assert float(by_hand) == 9


def networks(rng):
    return {
        "masks": {"mask.weight": rng.normal(size=(K, D)), "mask.bias": rng.normal(size=K)},
        "first": {"weight": rng.normal(size=(A, K * D))},
        "graph": {"first": rng.normal(size=(D, H)), "second": rng.normal(size=(H, H))},
        "second": {"weight": rng.normal(size=(A, K * H))},
    }


def streams_by_hand(nets, r):
    """Attribute scores of the parts, and of the parts after two graph convolutions."""
    first, second = np.zeros((B, A)), np.zeros((B, A))
    masks = 1 / (1 + np.exp(-(r @ nets["masks"]["mask.weight"].T + nets["masks"]["mask.bias"])))
    for b in range(B):
        parts = np.stack([(masks[b, :, k, None] * r[b]).max(axis=0) for k in range(K)])
        first[b] = nets["first"]["weight"] @ parts.reshape(-1)
        adjacency = graph_by_hand(parts[None])[0]
        x = np.maximum(adjacency @ parts @ nets["graph"]["first"], 0)
        x = np.maximum(adjacency @ x @ nets["graph"]["second"], 0)
        second[b] = nets["second"]["weight"] @ x.reshape(-1)
    return first, second


@pytest.mark.parametrize(("transfer", "balance"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.2), (0.3, 0.2)])
def test_loss_and_gradient(transfer, balance):
    """The mean over both streams of cross-entropy over the seen classes, transfer and balance."""
    rng = np.random.default_rng(2)
    nets, r = networks(rng), rng.uniform(size=(B, R, D))
    given = {"transfer_weight": transfer, "balance_weight": balance, "hidden": H, "parts": K}
    method = RGENFrozen(RGENSettings(threshold=0.0, dropout=0.0, **given), SPACE)
    batch = Batch(torch.tensor(r), torch.tensor(LABELS), torch.tensor(SEMANTICS[LABELS]))
    similarity = method.similarity.numpy()[LABELS]
    assert similarity.shape == (B, len(UNSEEN))

    def by_hand(nets):
        total = 0.0
        for e in streams_by_hand(nets, r):
            s = e @ UNIT.T
            seen = s[:, SEEN] - np.log(np.exp(s[:, SEEN]).sum(axis=1, keepdims=True))
            total -= np.mean([row[SEEN.index(label)] for row, label in zip(seen, LABELS, strict=True)])
            total += transfer * transfer_by_hand(s, similarity) + balance * balance_by_hand(s)
        return total / 2

    found = method.streams(tensors(nets), torch.tensor(r))
    for name, expected in zip(("first", "second"), streams_by_hand(nets, r), strict=True):
        agree(found[name], expected)
    agree(method.losses(tensors(nets), batch, {}).total, by_hand(nets))
    gradient = gradient_of(lambda one: method.losses(one, batch, {}).total, nets, tuple(nets))
    agree(gradient, numerical_gradient(by_hand, nets, tuple(nets)), 1e-6)
