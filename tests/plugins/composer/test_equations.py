"""Composer against plain NumPy and SciPy in float64: non-negative matching pursuit, composition, losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import agree, gradient_of, numerical_gradient, tensors
from scipy.optimize import nnls

from zslbench.plugin import Batch, ClassSpace
from zslbench_composer.composer import Composer
from zslbench_composer.matching_pursuit import non_negative, support
from zslbench_composer.settings import ComposerSettings

B, R, D, A, WORDS = 5, 3, 4, 3, 2
SEMANTICS = np.random.default_rng(3).uniform(0.1, 1, size=(6, A))
UNIT = SEMANTICS / np.sqrt((SEMANTICS**2).sum(axis=1, keepdims=True))
SEEN, UNSEEN = np.array([0, 2, 3, 5]), np.array([1, 4])
LABELS = np.array([0, 3, 5, 2, 3])
TARGETS = np.array([4, 1, 1, 4, 4])
OFFSET, K, T, N, WEIGHT = 2.0, 2, 5.0, 4, 0.7


def pursue(atoms, target, k):
    """Indices in the order of addition: the atom that fits the residual best, until k or a perfect fit."""
    active, residual = [], target
    size = np.linalg.norm(target)
    for _ in range(200):
        best = int(np.argmax(atoms @ residual))
        if atoms[best] @ residual < 1e-12 * size:
            break
        if best not in active:
            active.append(best)
        coefficients, _ = nnls(atoms[active].T, target)
        residual = target - coefficients @ atoms[active]
        if len(active) >= k or np.linalg.norm(residual) < 1e-3 * size:
            break
    return active


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_support_is_that_of_non_negative_matching_pursuit(k):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        atoms, targets = rng.uniform(size=(8, 6)), rng.uniform(size=(4, 6))
        found = support(torch.tensor(atoms), torch.tensor(targets), k)
        for b, target in enumerate(targets):
            chosen = found.atoms[b][found.used[b]].tolist()
            assert chosen == pursue(atoms, target, k)


def test_a_target_among_the_atoms_needs_no_other():
    atoms = np.eye(4)
    found = support(torch.tensor(atoms), torch.tensor(atoms[2:3]), 3)
    assert found.atoms[0][found.used[0]].tolist() == [2]


def test_coefficients_are_those_of_non_negative_least_squares():
    rng = np.random.default_rng(0)
    atoms, targets = rng.normal(size=(6, 4, 9)), rng.normal(size=(6, 9))  # four atoms for each target
    used = rng.uniform(size=(6, 4)) < 0.8
    gram, fits = atoms @ atoms.transpose(0, 2, 1), (atoms @ targets[..., None])[..., 0]
    found = non_negative(*(torch.tensor(one) for one in (gram, fits, used))).numpy()
    negative = 0
    for b in range(6):
        expected = np.zeros(4)
        if used[b].any():
            expected[used[b]] = nnls(atoms[b][used[b]].T, targets[b])[0]
        negative += int((expected[used[b]] == 0).sum())
        np.testing.assert_allclose(found[b], expected, atol=1e-8)
    assert negative  # constraints that bind


def composer(**settings):
    vectors = torch.tensor(np.random.default_rng(1).normal(size=(A, WORDS)))
    space = ClassSpace(
        tuple("abcdef"),
        torch.tensor(SEMANTICS),
        torch.tensor(SEEN),
        torch.tensor(UNSEEN),
        tuple("xyz"),
        vectors,
    )
    phase2 = {"support": K, "temperature": T, "candidates": N, "composed_weight": WEIGHT}
    return Composer(ComposerSettings(offset=OFFSET, phase2=phase2, **settings), space)


def networks(rng):
    return {
        "vectors": {"v": rng.normal(size=(A, WORDS))},
        "projection": {"w_1": rng.normal(size=(WORDS, D))},
        "attention": {"w_2": rng.normal(size=(WORDS, D))},
    }


def features(nets, r):
    """Attribute-based features h (b, A, D) of regions of unit length."""
    h = np.zeros((len(r), A, D))
    for b in range(len(r)):
        f = r[b] / np.sqrt((r[b] ** 2).sum(axis=1, keepdims=True))
        for a in range(A):
            weights = np.exp(f @ (nets["vectors"]["v"][a] @ nets["attention"]["w_2"]))
            h[b, a] = weights / weights.sum() @ f
    return h


def scores_of(nets, h, v=None):
    """e (b, A) and class scores with margin (b, C)."""
    v = nets["vectors"]["v"] if v is None else v
    e = np.einsum("aw,wd,bad->ba", v, nets["projection"]["w_1"], h)
    margin = np.isin(np.arange(6), UNSEEN) * OFFSET
    return e, e @ UNIT.T + margin


def log_softmax(row):
    return row - np.log(np.exp(row).sum())


def ce(scores, labels):
    return -np.mean([log_softmax(row)[label] for row, label in zip(scores, labels, strict=True)])


def composed_by_hand(nets, h, noise):
    """For each target: the image of the batch that gives each of its attributes."""
    chosen = np.zeros((len(TARGETS), A), dtype=int)
    for b, target in enumerate(TARGETS):
        active = pursue(UNIT[LABELS], UNIT[target], K)
        fit = np.exp(T * UNIT[LABELS[active]] @ UNIT[target])
        p = fit / fit.sum()
        best = -np.inf
        for n in range(N):
            picks = [int(np.searchsorted(np.cumsum(p), noise[b, n, a], side="right")) for a in range(A)]
            images = [active[one] for one in picks]
            mixed = np.stack([h[images[a], a] for a in range(A)])[None]
            value = log_softmax(scores_of(nets, mixed)[1][0])[target] + sum(np.log(p[one]) for one in picks)
            if value > best:
                best, chosen[b] = value, images
    return chosen


def case(seed=0):
    rng = np.random.default_rng(seed)
    nets, r, noise = networks(rng), rng.uniform(size=(B, R, D)), rng.uniform(size=(B, N, A))
    batch = Batch(torch.tensor(r), torch.tensor(LABELS), torch.tensor(SEMANTICS[LABELS]))
    return nets, r, noise, batch


def test_attention_scores_and_margin():
    nets, r, _, _ = case()
    method = composer()
    h = features(nets, r)
    e, scores = scores_of(nets, h)
    agree(method.embed(tensors(nets), torch.tensor(r)), e)
    agree(method.scores_with_margin(torch.tensor(e)), scores)
    agree(method.class_scores(torch.tensor(e)), e @ UNIT.T)
    alpha, values = method.attend(tensors(nets), torch.tensor(r))
    np.testing.assert_allclose(alpha.sum(dim=1), np.ones((B, A)), rtol=1e-12)
    np.testing.assert_allclose((alpha * values).sum(dim=1), e, rtol=1e-9)


def test_phase_1_is_cross_entropy_over_the_seen_classes():
    nets, r, _, batch = case(1)
    method = composer()

    def by_hand(nets):
        e, _ = scores_of(nets, features(nets, r))
        return ce((e @ UNIT.T)[:, SEEN], [list(SEEN).index(label) for label in LABELS])

    agree(method.seen_losses(tensors(nets), batch, {}).total, by_hand(nets))
    found = gradient_of(lambda one: method.seen_losses(one, batch, {}).total, nets, tuple(nets))
    agree(found, numerical_gradient(by_hand, nets, tuple(nets)), 1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_phase_2_composes_unseen_classes_and_learns_from_both(seed):
    nets, r, noise, batch = case(seed)
    method = composer()
    h = features(nets, r)
    chosen = composed_by_hand(nets, h, noise)
    given = {"targets": torch.tensor(TARGETS), "sources": torch.tensor(noise)}
    e = torch.tensor(scores_of(nets, h)[0])
    assert method.sources(e, batch.labels, given["targets"], given["sources"]).tolist() == chosen.tolist()

    def by_hand(nets):
        # The composition and its features are constants: h as it was; v and W_1 that read it are trained.
        mixed = np.stack([np.stack([h[image, a] for a, image in enumerate(row)]) for row in chosen])
        real = ce(scores_of(nets, features(nets, r))[1], LABELS)
        return real + WEIGHT * ce(scores_of(nets, mixed)[1], TARGETS)

    found = method.losses(tensors(nets), batch, given)
    agree(found.total, by_hand(nets))
    trained = ("vectors", "projection")
    gradient = gradient_of(lambda one: method.losses(one, batch, given).total, nets, trained)
    agree(gradient, numerical_gradient(by_hand, nets, trained), 1e-6)
