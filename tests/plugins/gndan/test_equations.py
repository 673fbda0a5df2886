"""GNDAN's two branches against plain NumPy in float64, written from the released forward pass, region by
region and attribute by attribute; the losses from their description, since no training code was published."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import agree, gradient_of, numerical_gradient, tensors

from zslbench.plugin import Batch, ClassSpace, TrainView
from zslbench_gndan.embedding import GNDAN, graph_attention
from zslbench_gndan.settings import GNDANSettings

B, R, DV, A, WORDS, K, WIDTH = 2, 3, 4, 3, 2, 2, 4
SEEN, UNSEEN = [0, 2, 3], [1, 4]
LABELS = np.array([3, 0])


def length(x):
    return np.sqrt((x * x).sum())


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def parts_branch(weight, bias, linear, r, threshold):
    """RAN without dropout: attribute scores (B, A). ``linear`` (A, K * DV), parts side by side."""
    found = np.zeros((len(r), A))
    for b in range(len(r)):
        masks = np.array([[sigmoid(weight[k] @ region + bias[k]) for region in r[b]] for k in range(K)])
        pooled = []
        for k in range(K):
            kept = masks[k] if masks[k].max() >= threshold * masks.max() else np.zeros(R)
            pooled.append(np.max([kept[n] * r[b, n] for n in range(R)], axis=0))
        found[b] = linear @ np.concatenate(pooled)
    return found


def attended(v, w_2, r):
    """h (B, A, DV): each attribute's attention over unit regions."""
    h = np.zeros((len(r), A, DV))
    for b in range(len(r)):
        f = np.array([region / length(region) for region in r[b]])
        for i in range(A):
            h[b, i] = softmax(np.array([v[i] @ w_2 @ region for region in f])) @ f
    return h


def graph_layer(x, heads):
    """One layer on a complete graph with self-loops, before its ReLU: x (A, in) -> (A, heads * out).

    Args:
        heads: (weight (out, in), source (out,), target (out,), bias (out,)) of each head.
    """
    outs = []
    for weight, source, target, bias in heads:
        mapped = np.array([weight @ node for node in x])
        out = np.zeros_like(mapped)
        for i in range(len(x)):
            logits = np.array([source @ mapped[j] + target @ mapped[i] for j in range(len(x))])
            out[i] = softmax(np.where(logits > 0, logits, 0.2 * logits)) @ mapped + bias
        outs.append(out)
    return np.concatenate(outs, axis=1)


def heads_of(net, layer, heads):
    """The weights of each head, stacked in the layer's tensors."""
    out = WIDTH // heads
    for head in range(heads):
        rows = slice(head * out, (head + 1) * out)
        yield (
            net[f"{layer}.weight"][rows],
            net[f"{layer}.source"][head],
            net[f"{layer}.target"][head],
            net[f"{layer}.bias"][rows],
        )


def graph_branch(nets, r, layers, heads, unit_vectors):
    """RGAT: attribute scores (B, A)."""
    v, net = nets["vectors"]["v"], nets["graph"]
    if unit_vectors:
        v = np.array([row / length(row) for row in v])
    found = np.zeros((len(r), A))
    for b, x in enumerate(attended(v, nets["attention"]["w_2"], r)):
        kept = [x]
        for layer in range(layers):
            x = np.maximum(graph_layer(x, list(heads_of(net, f"layer{layer}", heads))), 0)
            kept.append(x)
        joined = np.concatenate(kept, axis=1)
        for i in range(A):
            merged = np.maximum(net["merge.weight"] @ joined[i] + net["merge.bias"], 0)
            found[b, i] = v[i] @ nets["projection"]["w_1"] @ merged
    return found


def region_branch(nets, r, threshold):
    masks = nets["masks"]
    return parts_branch(masks["mask.weight"], masks["mask.bias"], nets["regions"]["weight"], r, threshold)


def networks(rng, layers, heads):
    graph = {"merge.weight": rng.normal(size=(DV, DV + layers * WIDTH)), "merge.bias": rng.normal(size=DV)}
    for layer in range(layers):
        graph |= {
            f"layer{layer}.weight": rng.normal(size=(WIDTH, WIDTH if layer else DV)),
            f"layer{layer}.bias": rng.normal(size=WIDTH),
            f"layer{layer}.source": rng.normal(size=(heads, WIDTH // heads)),
            f"layer{layer}.target": rng.normal(size=(heads, WIDTH // heads)),
        }
    return {
        "vectors": {"v": rng.normal(size=(A, WORDS))},
        "projection": {"w_1": rng.normal(size=(WORDS, DV))},
        "attention": {"w_2": 2 * rng.normal(size=(WORDS, DV))},
        "graph": graph,
        "masks": {"mask.weight": rng.normal(size=(K, DV)), "mask.bias": rng.normal(size=K)},
        "regions": {"weight": rng.normal(size=(A, K * DV))},
    }


def gndan(semantics, **settings):
    space = ClassSpace(
        tuple("abcde"),
        torch.tensor(semantics),
        torch.tensor(SEEN),
        torch.tensor(UNSEEN),
        attribute_vectors=torch.rand(A, WORDS).double(),
    )
    return GNDAN(GNDANSettings(parts=K, graph_width=WIDTH, **settings), space)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("layers", "heads", "threshold"), [(2, 1, 0.0), (1, 2, 0.6), (2, 4, 1.0)])
def test_both_branches(rng, layers, heads, threshold, normalize):
    nets, r = networks(rng, layers, heads), rng.normal(size=(B, R, DV))
    part = gndan(
        rng.random((5, A)),
        graph_layers=layers,
        graph_heads=heads,
        threshold=threshold,
        normalize_vectors=normalize,
    )
    regions, graph = region_branch(nets, r, threshold), graph_branch(nets, r, layers, heads, normalize)
    agree(part.region_scores(tensors(nets), torch.tensor(r)), regions)
    agree(part.graph_scores(tensors(nets), torch.tensor(r)), graph)
    agree(part.embed(tensors(nets), torch.tensor(r)), np.concatenate([regions, graph], axis=1))


def test_graph_attention_by_hand():
    """Two nodes with one number each, W = 1: node j has the logit ln 3 · x_j, whoever looks."""
    net = {
        "one.weight": [[1.0]],
        "one.bias": [10.0],
        "one.source": [[np.log(3)]],
        "one.target": [[0.0]],
    }
    x = torch.tensor([[[0.0], [1.0]]]).double()
    found = graph_attention({key: torch.tensor(value).double() for key, value in net.items()}, "one", x)
    agree(found, [[[10.75], [10.75]]])  # e^0 : e^ln 3


def loss_by_hand(nets, r, semantics, s, kept):
    """Cross-entropies and self-calibrations of both branches, added. ``kept``: RAN's dropout factors."""
    scores = [
        region_branch(nets, r, s["threshold"]) * kept,
        graph_branch(nets, r, s["graph_layers"], s["graph_heads"], unit_vectors=False),
    ]
    classes = calibration = 0.0
    for e in scores:
        c = np.array([[a / length(a) @ row for a in semantics] for row in e])
        classes += np.mean([np.log(np.exp(row).sum()) - row[y] for row, y in zip(c, LABELS, strict=True)])
        c[:, UNSEEN] += s["offset"]
        mass = [softmax(row)[UNSEEN].sum() for row in c]
        calibration -= np.log(np.mean(mass))
    return classes + s["lambda_cal"] * calibration, classes, calibration


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_loss_and_gradient(rng, dropout):
    s = {"threshold": 0.6, "graph_layers": 2, "graph_heads": 2, "offset": 1.5, "lambda_cal": 0.3}
    nets, r, semantics = networks(rng, 2, 2), rng.normal(size=(B, R, DV)), rng.random((5, A))
    part, labels = gndan(semantics, dropout=dropout, **s), torch.tensor(LABELS)
    view = TrainView(torch.rand(B, 2).double(), labels, regions=torch.tensor(r))
    ((step,),) = part.fit(view).passes
    u = np.array([[0.1, 0.5, 0.9], [0.39, 0.41, 0.7]])
    noise = {name: torch.tensor(u) for name in step.noise}
    assert len(noise) == (dropout > 0)
    dropped = u < dropout
    kept = np.where(dropped, 0, 1 / (1 - dropout))
    batch = Batch(torch.tensor(r), labels, torch.tensor(semantics)[labels])
    found = step.losses(tensors(nets), batch, noise)
    total, classes, calibration = loss_by_hand(nets, r, semantics, s, kept)
    agree(found.total, total)
    agree(found.log["regions"] + found.log["graph"], classes)
    agree(found.log["calibration"], calibration)
    actual = gradient_of(lambda nets: step.losses(nets, batch, noise).total, nets, tuple(nets))
    expected = numerical_gradient(
        lambda nets: loss_by_hand(nets, r, semantics, s, kept)[0], nets, tuple(nets)
    )
    agree(actual, expected, 1e-7)
    assert set(step.updates) == set(nets)
