"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017), as the CLSWGAN family uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.training.precision import in_float32


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Float[Tensor, "b d"],
    fake: Float[Tensor, "b d"],
    mix: Float[Tensor, "b 1"],
) -> Float[Tensor, ""]:
    """E[(‖∇D(g')‖₂ − 1)²] with g' = mix·real + (1 − mix)·fake; last term of eq. (11), without its weight.

    Args:
        critic: features (b, d) to scores (b,) or (b, 1), each row's score depending on that row only.
        mix: uniform on [0, 1), one per example.
    """
    between = mix * real + (1 - mix) * fake
    with in_float32(real.device):  # a bfloat16 product has three digits, the length is held near 1
        return _beyond_one(torch.func.grad(lambda g: critic(g).sum())(between))


def two_layer_gradient_penalty(
    net: Mapping[str, Tensor],
    given: Float[Tensor, "b a"],
    real: Float[Tensor, "b d"],
    fake: Float[Tensor, "b d"],
    mix: Float[Tensor, "b 1"],
    slope: float = 0.2,
) -> Float[Tensor, ""]:
    """:func:`gradient_penalty` of a critic with one hidden layer, in closed form.

    With D(g, a) = w₂ᵀ LeakyReLU(W₁ [g; a] + b₁) + b₂ the gradient is ∇_g D = W₁ᵍᵀ (w₂ ⊙ LeakyReLU'), where
    W₁ᵍ are the columns of g. LeakyReLU' is piecewise constant: the penalty's own gradient needs no second
    differentiation either.

    Args:
        net: the critic, ``hidden.weight`` (h, d + a), ``hidden.bias``, ``out.weight`` (1, h), ``out.bias``.
        given: a of each example.
        slope: of the LeakyReLU.
    """
    between = mix * real + (1 - mix) * fake
    weight, out = net["hidden.weight"], net["out.weight"]
    with in_float32(real.device):
        before = torch.cat([between, given], dim=-1) @ weight.T + net["hidden.bias"]
        # Nothing is learned through which side of 0 a unit is on: comparing has no gradient.
        active = torch.where(before > 0, out, slope * out)
        return _beyond_one(active @ weight[:, : real.shape[-1]])


def _beyond_one(gradient: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    penalty: Tensor = ((gradient.norm(2, dim=1) - 1) ** 2).mean()
    return penalty


def adapt_penalty_weight(weight: Float[Tensor, "*r"], penalty: Float[Tensor, "*r"]) -> Float[Tensor, "*r"]:
    """The released codes' controller of the penalty weight: above 1.05 times 1.1, below 1.001 divided by 1.1.

    It holds the penalty near [1.001, 1.05], not near 0, and has no bounds (a plugin should log the weight).
    """
    return torch.where(penalty > 1.05, weight * 1.1, torch.where(penalty < 1.001, weight / 1.1, weight))
