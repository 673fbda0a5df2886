"""Norms of differences against loops and closed forms, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zslbench_common import norms

B, A = 3, 4


@pytest.fixture(params=range(2))
def rng(request):
    return np.random.default_rng(request.param)


def weighted_l1_by_loops(predicted, target):
    total = 0.0
    for p, t in zip(predicted, target, strict=True):
        d = [x - y for x, y in zip(p, t, strict=True)]
        length = math.sqrt(sum(x * x for x in d))
        total += sum(abs(x) ** 3 for x in d) / length
    return total / len(predicted)


def test_weighted_l1(rng):
    predicted, target = rng.normal(size=(2, B, A))
    loss = norms.weighted_l1(torch.tensor(predicted), torch.tensor(target))
    assert loss.shape == ()
    assert loss.item() == pytest.approx(weighted_l1_by_loops(predicted, target), rel=1e-12)


def test_weighted_l1_differentiates_through_its_weights(rng):
    predicted, target = rng.normal(size=(2, B, A))
    p = torch.tensor(predicted, requires_grad=True)
    norms.weighted_l1(p, torch.tensor(target)).backward()
    d = predicted - target
    length = np.sqrt((d**2).sum(axis=1, keepdims=True))
    cubes = (np.abs(d) ** 3).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        p.grad, (3 * d * np.abs(d) / length - cubes * d / length**3) / B, rtol=1e-12, atol=1e-12
    )


def test_l1(rng):
    predicted, target = rng.normal(size=(2, B, A))
    loss = norms.l1(torch.tensor(predicted), torch.tensor(target))
    rows = [
        sum(abs(x - y) for x, y in zip(p, t, strict=True)) for p, t in zip(predicted, target, strict=True)
    ]
    assert loss.item() == pytest.approx(sum(rows) / B, rel=1e-12)


def test_weighted_l1_of_one_dimension_is_the_squared_error():
    loss = norms.weighted_l1(torch.tensor([[3.0], [-1.0]]), torch.tensor([[1.0], [0.0]]))
    assert loss.item() == pytest.approx((4 + 1) / 2)


def test_weighted_l1_of_a_perfect_row_is_its_limit_zero():
    p = torch.tensor([[1.0, 2.0], [0.0, 3.0]], dtype=torch.float64, requires_grad=True)
    loss = norms.weighted_l1(p, torch.tensor([[1.0, 2.0], [0.0, 0.0]], dtype=torch.float64))
    loss.backward()
    assert loss.item() == pytest.approx(9 / 2)
    assert p.grad is not None
    assert p.grad.isfinite().all()


def test_weighted_l1_lifts_over_replicas(rng):
    predicted, target = (torch.tensor(x) for x in rng.normal(size=(2, 4, B, A)))
    lifted = torch.func.vmap(norms.weighted_l1)(predicted, target)
    plain = [norms.weighted_l1(p, t) for p, t in zip(predicted, target, strict=True)]
    torch.testing.assert_close(lifted, torch.stack(plain))
