"""The closed-form gradient penalty of a two-layer critic, against differentiating twice, in float64. The
whole loss, against its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from zslbench.training import gradient_penalty, two_layer_critic, two_layer_gradient_penalty

B, D, A, H = 7, 9, 4, 11


def case(seed: int, dtype: torch.dtype = torch.float64) -> tuple[dict[str, Tensor], list[Tensor]]:
    """A critic, and a, real, fake, mix."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    net = {
        "hidden.weight": normal(H, D + A), "hidden.bias": normal(H),
        "out.weight": normal(1, H), "out.bias": normal(1),
    }  # fmt: skip
    return net, [normal(B, A), normal(B, D), normal(B, D), normal(B, 1).sigmoid()]


def scores(net: dict[str, Tensor], x: Tensor, a: Tensor, slope: float = 0.2) -> Tensor:
    hidden = torch.nn.functional.leaky_relu(
        torch.cat([x, a], dim=1) @ net["hidden.weight"].T + net["hidden.bias"], slope
    )
    return hidden @ net["out.weight"].T + net["out.bias"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slope", [0.2, 0.01, 1.0])
def test_value_and_gradients_are_those_of_double_backward(seed: int, slope: float) -> None:
    net, (a, real, fake, mix) = case(seed)
    between = (mix * real + (1 - mix) * fake).requires_grad_()
    weights = {name: tensor.clone().requires_grad_() for name, tensor in net.items()}
    first = torch.autograd.grad(scores(weights, between, a, slope).sum(), between, create_graph=True)[0]
    expected = ((first.norm(dim=1) - 1) ** 2).mean()
    gradients = torch.autograd.grad(expected, list(weights.values()), allow_unused=True)

    def closed(net: dict[str, Tensor]) -> Tensor:
        return two_layer_gradient_penalty(net, a, real, fake, mix, slope)

    found, value = torch.func.grad_and_value(closed)(net)
    assert abs(float((value - expected).detach())) < 1e-10
    for (name, gradient), other in zip(found.items(), gradients, strict=True):
        difference = gradient - (torch.zeros_like(gradient) if other is None else other)
        assert float(difference.abs().max()) < 1e-10, name


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_general_one_for_such_a_critic(seed: int) -> None:
    net, (a, real, fake, mix) = case(seed)

    def general(net: dict[str, Tensor]) -> Tensor:
        return gradient_penalty(lambda x: scores(net, x, a), real, fake, mix)

    def closed(net: dict[str, Tensor]) -> Tensor:
        return two_layer_gradient_penalty(net, a, real, fake, mix)

    (first, value), (second, other) = (torch.func.grad_and_value(one)(net) for one in (general, closed))
    assert abs(float(value - other)) < 1e-10
    for name, gradient in first.items():
        torch.testing.assert_close(second[name], gradient, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slope", [0.2, 0.01])
def test_the_whole_loss_is_that_of_its_parts(seed: int, slope: float) -> None:
    net, (a, real, fake, mix) = case(seed)

    def parts(net: dict[str, Tensor]) -> Tensor:
        wasserstein = scores(net, real, a, slope).mean() - scores(net, fake, a, slope).mean()
        penalty = gradient_penalty(lambda x: scores(net, x, a, slope), real, fake, mix)
        return 10 * penalty - wasserstein

    first, value = torch.func.grad_and_value(parts)(net)
    second, other = torch.func.grad_and_value(lambda net: whole(net, a, real, fake, mix, slope))(net)
    assert abs(float(value - other)) < 1e-10
    for name, gradient in first.items():
        torch.testing.assert_close(second[name], gradient, rtol=1e-10, atol=1e-10)


def whole(net: dict[str, Tensor], *arguments: Any) -> Tensor:
    wasserstein, penalty = two_layer_critic(net, *arguments)
    return 10 * penalty - wasserstein


@pytest.mark.parametrize("closed", [two_layer_gradient_penalty, whole])
def test_it_lifts_over_replicas(closed: Callable[..., Tensor]) -> None:
    cases = [case(seed, torch.float32) for seed in range(3)]
    function = torch.func.grad_and_value(closed)
    singles = [function(net, *data) for net, data in cases]
    for count in (1, 3):
        nets = {name: torch.stack([net[name] for net, _ in cases[:count]]) for name in cases[0][0]}
        data = [torch.stack(parts) for parts in zip(*(data for _, data in cases[:count]), strict=True)]
        gradients, values = torch.func.vmap(function)(nets, *data)
        for number, (expected, value) in enumerate(singles[:count]):
            torch.testing.assert_close(values[number], value, rtol=1e-5, atol=1e-6)
            for name, gradient in expected.items():
                torch.testing.assert_close(gradients[name][number], gradient, rtol=1e-4, atol=1e-5)


def test_a_flat_critic_has_penalty_one_and_finite_gradients() -> None:
    net, data = case(0)
    net["out.weight"] = torch.zeros_like(net["out.weight"])
    closed: Callable[..., Tensor] = two_layer_gradient_penalty
    gradients, value = torch.func.grad_and_value(closed)(net, *data)
    assert float(value) == 1.0
    assert all(bool(gradient.isfinite().all()) for gradient in gradients.values())
