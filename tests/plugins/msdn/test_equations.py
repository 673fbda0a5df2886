"""MSDN's two sub-nets, loss and gradients against plain NumPy in float64, written from the paper's and the
released code's description, region by region and attribute by attribute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import agree, gradient_of, numerical_gradient, tensors

from zslbench.plugin import Batch, ClassSpace
from zslbench_msdn.embedding import MSDN, divergence
from zslbench_msdn.settings import MSDNSettings

B, R, DV, A, WORDS = 2, 3, 4, 3, 2
SEEN, UNSEEN = [0, 2, 3], [1, 4]
LABELS = np.array([3, 0])
NETS = ("vectors", "attribute_to_visual", "visual_to_attribute")


@pytest.fixture
def rng():
    return np.random.default_rng(6)


def msdn(semantics, **settings):
    space = ClassSpace(
        tuple("abcde"),
        torch.tensor(semantics),
        torch.tensor(SEEN),
        torch.tensor(UNSEEN),
        attribute_vectors=torch.rand(A, WORDS).double(),
    )
    return MSDN(MSDNSettings(**settings), space)


def networks(rng):
    return {
        "vectors": {"v": rng.normal(size=(A, WORDS))},
        "attribute_to_visual": {"w_1": rng.normal(size=(WORDS, DV)), "w_2": 2 * rng.normal(size=(WORDS, DV))},
        "visual_to_attribute": {"w_1": rng.normal(size=(DV, WORDS)), "w_2": 2 * rng.normal(size=(WORDS, DV))},
    }


def length(x):
    return np.sqrt((x * x).sum())


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def heads(nets, r):
    """β (B, R, A), ψ (B, A) and Ψ (B, A)."""
    v, first, second = nets["vectors"]["v"], nets["attribute_to_visual"], nets["visual_to_attribute"]
    beta, psi, other = np.zeros((len(r), R, A)), np.zeros((len(r), A)), np.zeros((len(r), A))
    for b in range(len(r)):
        f = [region / length(region) for region in r[b]]
        for i in range(A):
            beta[b, :, i] = softmax(np.array([v[i] @ first["w_2"] @ region for region in f]))
            psi[b, i] = (
                v[i] @ first["w_1"] @ sum(w * region for w, region in zip(beta[b, :, i], f, strict=True))
            )
        for region in f:
            among = softmax(np.array([v[i] @ second["w_2"] @ region for i in range(A)]))
            other[b] += [among[i] * (region @ second["w_1"] @ v[i]) for i in range(A)]
    return beta, psi, other


def class_scores(semantics, e):
    return np.array([[a / length(a) @ row for a in semantics] for row in e])


def jensen_shannon(p, q):
    m = (p + q) / 2
    return ((p * np.log(p / m)).sum() + (q * np.log(q / m)).sum()) / 2


def by_hand(nets, r, semantics, lambda_cal, lambda_distill, offset):
    """The loss and its three parts without weights."""
    margins = np.array([offset / 2 if c in UNSEEN else -offset / 2 for c in range(len(semantics))])
    s = [class_scores(semantics, e) for e in heads(nets, r)[1:]]
    classes = sum(
        np.mean([np.log(np.exp(row).sum()) - row[y] for row, y in zip(one, LABELS, strict=True)]) for one in s
    )
    p = [np.array([softmax(row + margins) for row in one]) for one in s]
    calibration = -sum(np.log(one[:, UNSEEN].sum(axis=1).mean()) for one in p)
    distillation = 0.0
    for b in range(len(r)):
        d = s[0][b] - s[1][b]
        distillation += (np.abs(d) ** 3).sum() / length(d) + jensen_shannon(p[0][b], p[1][b])
    distillation /= len(r)
    total = classes + lambda_cal * calibration + lambda_distill * distillation
    return total, {"classes": classes, "calibration": calibration, "distillation": distillation}


def batch(r, semantics):
    labels = torch.tensor(LABELS)
    return Batch(torch.tensor(r), labels, torch.tensor(semantics)[labels])


def test_both_sub_nets(rng):
    nets, r = networks(rng), rng.normal(size=(B, R, DV))
    part, (beta, psi, other) = msdn(rng.random((5, A))), heads(nets, r)
    found_beta, found = part.attribute_to_visual(tensors(nets), torch.tensor(r))
    agree(found_beta, beta)
    agree(found, psi)
    agree(part.visual_to_attribute(tensors(nets), torch.tensor(r)), other)
    agree(part.embed(tensors(nets), torch.tensor(r)), np.concatenate([psi, other], axis=1))


def test_visual_to_attribute_by_hand():
    """Two words, two attributes along them: the first region votes 3 : 1 for the first, the second is
    undecided."""
    nets = tensors(
        {
            "vectors": {"v": np.eye(2)},
            "attribute_to_visual": {"w_1": np.zeros((2, 2)), "w_2": np.zeros((2, 2))},
            "visual_to_attribute": {
                "w_1": np.array([[4.0, 8.0], [2.0, 6.0]]),
                "w_2": np.array([[np.log(3), 0.0], [0.0, 0.0]]),
            },
        }
    )
    space = ClassSpace(
        ("a", "b"),
        torch.eye(2).double(),
        torch.tensor([0]),
        torch.tensor([1]),
        attribute_vectors=torch.eye(2).double(),
    )
    regions = torch.tensor([[[2.0, 0.0], [0.0, 9.0]]]).double()
    found = MSDN(MSDNSettings(), space).visual_to_attribute(nets, regions)
    agree(found, [[0.75 * 4 + 0.5 * 2, 0.25 * 8 + 0.5 * 6]])


@pytest.mark.parametrize(
    ("lambda_cal", "lambda_distill", "offset"), [(0.1, 1e-3, 2.0), (0.7, 0.9, 3.0), (0.0, 1.0, 2.0)]
)
def test_loss_and_gradient(rng, lambda_cal, lambda_distill, offset):
    nets, r, semantics = networks(rng), rng.normal(size=(B, R, DV)), rng.random((5, A))
    part = msdn(semantics, lambda_cal=lambda_cal, lambda_distill=lambda_distill, offset=offset)
    hand = lambda nets: by_hand(nets, r, semantics, lambda_cal, lambda_distill, offset)  # noqa: E731
    found, (total, parts) = part.losses(tensors(nets), batch(r, semantics), {}), hand(nets)
    agree(found.total, total)
    for name, value in parts.items():
        agree(found.log[name], value)
    agree(part.distillation(*part.heads(tensors(nets), torch.tensor(r))), parts["distillation"])
    actual = gradient_of(lambda nets: part.losses(nets, batch(r, semantics), {}).total, nets, NETS)
    agree(actual, numerical_gradient(lambda nets: hand(nets)[0], nets, NETS), 1e-7)


def test_divergence(rng):
    s, other = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    expected = np.mean([jensen_shannon(softmax(p), softmax(q)) for p, q in zip(s, other, strict=True)])
    agree(divergence(torch.tensor(s), torch.tensor(other)), expected)
    agree(divergence(torch.tensor(s), torch.tensor(s) + 3), 0.0)
    certain = torch.tensor([[60.0, 0.0]]).double()
    agree(divergence(certain, certain.flip(1)), np.log(2))


def test_equal_heads_have_a_distillation_of_zero_with_a_finite_gradient(rng):
    """As at the start, where W_2 and both of the second sub-net's maps can be 0: ‖d‖ divides by 0 there."""
    part, psi = msdn(rng.random((5, A))), torch.tensor(rng.normal(size=(B, A)))
    value, gradient = torch.func.grad_and_value(lambda e: part.distillation(e, psi))(psi.clone())[::-1]
    agree(value, 0.0)
    assert bool(torch.isfinite(gradient).all())
