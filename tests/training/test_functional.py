"""Layers and losses for steps: torch's values and gradients, also when lifted over replicas."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from zslbench.plugin import Streams
from zslbench.training import (
    binary_cross_entropy,
    cross_entropy,
    initial_xavier,
    mask_classes,
    mse,
    nll_loss,
    pick,
    pick_rows,
)


def test_xavier_fills_torchs_interval() -> None:
    theirs = torch.nn.init.xavier_uniform_(torch.empty(200, 300), gain=0.5)
    layer = initial_xavier(Streams(0), "net", "out", 300, 200, gain=0.5)
    for tensor in (theirs, layer["out.weight"]):
        assert tensor.abs().max() == pytest.approx(0.5 * (6 / 500) ** 0.5, rel=1e-3)
        assert tensor.std() == pytest.approx(0.5 * (2 / 500) ** 0.5, rel=0.02)
    assert layer["out.weight"].mean().abs() < 1e-3
    assert torch.equal(layer["out.bias"], torch.zeros(200))


def test_pick_rows_is_indexing_value_and_gradient() -> None:
    x, rows = torch.randn(5, 3).double(), torch.tensor([4, 0, 4, 2])
    weights = torch.randn(4, 3).double()
    assert torch.equal(pick_rows(x, rows), x[rows])
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    (pick_rows(one, rows) * weights).sum().backward()
    (other[rows] * weights).sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pick_is_gather_value_and_gradient(dtype: torch.dtype) -> None:
    scores = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    scores[0, 1], scores[1] = -torch.inf, 1e30
    labels, weights = torch.tensor([0, 4, 2, 2, 1, 3]), torch.arange(6).to(dtype)

    def by_gather(one: Tensor) -> Tensor:
        return (one.gather(1, labels[:, None])[:, 0] * weights).sum()

    def ours(one: Tensor) -> Tensor:
        return (pick(one, labels) * weights).sum()

    assert torch.equal(pick(scores, labels), scores[torch.arange(6), labels])
    assert torch.equal(torch.func.grad(ours)(scores), torch.func.grad(by_gather)(scores))
    many = torch.stack([scores, 2 * scores])
    assert torch.equal(torch.func.vmap(ours)(many), torch.stack([ours(one) for one in many]))


LABELS = torch.tensor([0, 3, 2, 2, 1, 3])
LOGITS = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
AMONG = torch.tensor([3, 0, 1, 2])
UNIT = LOGITS.sigmoid()
TARGETS = torch.rand(6, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
PAIRS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Tensor]] = {
    "cross_entropy": (
        lambda x: cross_entropy(x, LABELS),
        lambda x: functional.cross_entropy(x, LABELS),
        LOGITS,
    ),
    "cross_entropy-among": (
        lambda x: cross_entropy(x, LABELS, AMONG),
        lambda x: functional.cross_entropy(x[:, :4], LABELS),
        LOGITS,
    ),
    "nll_loss": (
        lambda x: nll_loss(x.log_softmax(dim=1), LABELS),
        lambda x: functional.cross_entropy(x, LABELS),
        LOGITS,
    ),
    "binary_cross_entropy": (
        lambda x: binary_cross_entropy(x, TARGETS),
        lambda x: functional.binary_cross_entropy(x, TARGETS),
        UNIT,
    ),
    "binary_cross_entropy-sum": (
        lambda x: binary_cross_entropy(x, TARGETS, reduction="sum"),
        lambda x: functional.binary_cross_entropy(x, TARGETS, reduction="sum"),
        UNIT,
    ),
    "mse": (lambda x: mse(x, TARGETS), lambda x: functional.mse_loss(x, TARGETS), LOGITS),
}


@pytest.mark.parametrize("name", PAIRS)
def test_losses_are_torchs_and_lift(name: str) -> None:
    ours, torchs, x = PAIRS[name]
    gradient, value = torch.func.grad_and_value(ours)(x)
    expected, other = torch.func.grad_and_value(torchs)(x)
    torch.testing.assert_close(value, other, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-14)
    many = torch.stack([x, x.flip(0)])
    lifted = torch.func.vmap(ours)(many)
    torch.testing.assert_close(lifted, torch.stack([ours(one) for one in many]), rtol=1e-12, atol=0)


def test_saturated_probabilities_have_finite_gradients() -> None:
    gradient = torch.func.grad(lambda x: binary_cross_entropy(x.sigmoid(), torch.tensor([0.0, 1.0])))
    assert bool(gradient(torch.tensor([200.0, -200.0])).isfinite().all())


def test_masked_classes_are_minus_infinity() -> None:
    masked = mask_classes(LOGITS, AMONG)
    assert torch.equal(masked[:, :4], LOGITS[:, :4]) and bool((masked[:, 4] == -torch.inf).all())
