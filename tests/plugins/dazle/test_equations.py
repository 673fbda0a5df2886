"""DAZLE's attention, scores, loss and gradients against plain NumPy in float64, written from the paper's and
the released code's description, region by region and attribute by attribute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import agree, gradient_of, numerical_gradient, tensors

from zslbench.plugin import Batch, ClassSpace
from zslbench_dazle.embedding import DAZLE
from zslbench_dazle.settings import DAZLESettings

B, R, DV, A, WORDS = 2, 3, 4, 3, 2
SEEN, UNSEEN = [0, 2, 3], [1, 4]
LABELS = np.array([3, 0])
NETS = ("vectors", "projection", "attention", "weighting")


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def dazle(semantics, **settings):
    space = ClassSpace(
        tuple("abcde"),
        torch.tensor(semantics),
        torch.tensor(SEEN),
        torch.tensor(UNSEEN),
        attribute_vectors=torch.rand(A, WORDS).double(),
    )
    return DAZLE(DAZLESettings(**settings), space)


def networks(rng, weighting=True):
    nets = {
        "vectors": {"v": rng.normal(size=(A, WORDS))},
        "projection": {"w_1": rng.normal(size=(WORDS, DV))},
        "attention": {"w_2": 3 * rng.normal(size=(WORDS, DV))},
        "weighting": {"w_3": rng.normal(size=(WORDS, DV))},
    }
    return nets if weighting else {name: net for name, net in nets.items() if name != "weighting"}


def length(x):
    return np.sqrt((x * x).sum())


def attended(nets, r, unit_vectors=False):
    """α (B, R, A), e (B, A) and β (B, A)."""
    alpha, e, beta = np.zeros((len(r), R, A)), np.zeros((len(r), A)), np.ones((len(r), A))
    for b in range(len(r)):
        f = [region / length(region) for region in r[b]]
        for i in range(A):
            v = nets["vectors"]["v"][i]
            v = v / length(v) if unit_vectors else v
            weights = np.exp([v @ nets["attention"]["w_2"] @ region for region in f])
            alpha[b, :, i] = weights / weights.sum()
            h = sum(a * region for a, region in zip(alpha[b, :, i], f, strict=True))
            e[b, i] = v @ nets["projection"]["w_1"] @ h
            if "weighting" in nets:
                beta[b, i] = 1 / (1 + np.exp(-(v @ nets["weighting"]["w_3"] @ h)))
    return alpha, e, beta


def class_scores(semantics, attribute_scores):
    return np.array([[a / length(a) @ e for a in semantics] for e in attribute_scores])


def by_hand(nets, r, semantics, weight, offset, unit_vectors=False):
    """The loss, cross-entropy over all classes, and self-calibration with the margins."""
    _, e, beta = attended(nets, r, unit_vectors)
    s = class_scores(semantics, e * beta)
    classes = np.mean([np.log(np.exp(row).sum()) - row[y] for row, y in zip(s, LABELS, strict=True)])
    margins = np.array([offset / 2 if c in UNSEEN else -offset / 2 for c in range(len(semantics))])
    p = np.exp(s + margins) / np.exp(s + margins).sum(axis=1, keepdims=True)
    calibration = -np.log(p[:, UNSEEN].sum(axis=1).mean())
    return classes + weight * calibration, classes, calibration


def batch(r, semantics):
    labels = torch.tensor(LABELS)
    return Batch(torch.tensor(r), labels, torch.tensor(semantics)[labels])


def test_attention(rng):
    nets, r, semantics = networks(rng), rng.normal(size=(B, R, DV)), rng.random((5, A))
    alpha, e, beta = attended(nets, r)
    found = dazle(semantics).attend(tensors(nets), torch.tensor(r))
    for actual, expected in zip(found, (alpha, e, beta), strict=True):
        agree(actual, expected)
    embedded = dazle(semantics).embed(tensors(nets), torch.tensor(r))
    agree(embedded, e * beta)
    agree(dazle(semantics).class_scores(embedded), class_scores(semantics, e * beta))


def test_two_regions_by_hand():
    """One attribute of one word: v = 1, W_1 = (2, 0), W_2 = (ln 3, 0), W_3 = 0, regions along the two
    axes."""
    space = ClassSpace(
        ("a", "b"),
        torch.tensor([[3.0], [5.0]]).double(),
        torch.tensor([0]),
        torch.tensor([1]),
        attribute_vectors=torch.ones(1, 1).double(),
    )
    nets = tensors(
        {
            "vectors": {"v": np.ones((1, 1))},
            "projection": {"w_1": np.array([[2.0, 0.0]])},
            "attention": {"w_2": np.array([[np.log(3), 0.0]])},
            "weighting": {"w_3": np.zeros((1, 2))},
        }
    )
    regions = torch.tensor([[[7.0, 0.0], [0.0, 0.1]]]).double()  # of any length
    part = DAZLE(DAZLESettings(offset=2.0, lambda_cal=0.1), space)
    alpha, e, beta = part.attend(nets, regions)
    agree(alpha, [[[0.75], [0.25]]])  # e^ln 3 : e^0
    agree(e, [[1.5]])
    agree(beta, [[0.5]])
    # Both classes have a(c) / ‖a(c)‖ = 1 and so the score 0.75.
    found = part.losses(nets, Batch(regions, torch.tensor([0]), torch.tensor([[3.0]]).double()), {})
    agree(found.log["classes"], np.log(2))
    agree(found.log["calibration"], np.log(1 + np.exp(-2)))
    agree(found.total, np.log(2) + 0.1 * np.log(1 + np.exp(-2)))


@pytest.mark.parametrize(
    "settings",
    [{}, {"lambda_cal": 0.7, "offset": 3.0}, {"normalize_vectors": True}, {"attribute_attention": False}],
)
def test_loss_and_gradient(rng, settings):
    weighting = settings.get("attribute_attention", True)
    nets, r, semantics = networks(rng, weighting), rng.normal(size=(B, R, DV)), rng.random((5, A))
    part = dazle(semantics, **settings)
    weight, offset = settings.get("lambda_cal", 0.1), settings.get("offset", 2.0)
    hand = lambda nets: by_hand(  # noqa: E731
        nets, r, semantics, weight, offset, settings.get("normalize_vectors", False)
    )
    found = part.losses(tensors(nets), batch(r, semantics), {})
    total, classes, calibration = hand(nets)
    agree(found.total, total)
    agree(found.log["classes"], classes)
    agree(found.log["calibration"], calibration)
    of = NETS if weighting else NETS[:3]
    actual = gradient_of(lambda nets: part.losses(nets, batch(r, semantics), {}).total, nets, of)
    agree(actual, numerical_gradient(lambda nets: hand(nets)[0], nets, of), 1e-7)


def test_calibration_takes_the_logarithm_of_the_mean_over_the_batch(rng):
    """As the released code does, not the mean of the logarithms: the two differ on unlike images."""
    nets, r, semantics = networks(rng), rng.normal(size=(B, R, DV)), rng.normal(size=(5, A))
    part = dazle(semantics, lambda_cal=1.0)
    _, e, beta = attended(nets, r)
    s = 20 * class_scores(semantics, e * beta)
    nets["projection"]["w_1"] *= 20  # e is linear in it
    s[:, UNSEEN] += 2
    mass = (np.exp(s) / np.exp(s).sum(axis=1, keepdims=True))[:, UNSEEN].sum(axis=1)
    assert abs(np.log(mass.mean()) - np.log(mass).mean()) > 1e-3
    agree(part.losses(tensors(nets), batch(r, semantics), {}).log["calibration"], -np.log(mass.mean()))


def test_negative_semantics_become_zero_before_the_length_is_taken(rng):
    semantics = np.array([[3.0, -4.0, 4.0], [1.0, 2.0, 2.0], [-1.0, 0.0, 2.0], [1, 1, 1], [2, 3, 6]])
    e = torch.tensor(rng.normal(size=(B, A)))
    found = dazle(semantics, keep_negatives=False).class_scores(e)
    agree(found, class_scores(np.maximum(semantics, 0), e.numpy()))
    agree(found[:, 0], e.numpy() @ [0.6, 0, 0.8])
