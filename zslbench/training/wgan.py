"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017), as the CLSWGAN family uses it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


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
    slope = torch.func.grad(lambda g: critic(g).sum())(between)
    penalty: Tensor = ((slope.norm(2, dim=1) - 1) ** 2).mean()
    return penalty


def adapt_penalty_weight(weight: Float[Tensor, "*r"], penalty: Float[Tensor, "*r"]) -> Float[Tensor, "*r"]:
    """The released codes' controller of the penalty weight: above 1.05 times 1.1, below 1.001 divided by 1.1.

    It holds the penalty near [1.001, 1.05], not near 0, and has no bounds (a plugin should log the weight).
    """
    return torch.where(penalty > 1.05, weight * 1.1, torch.where(penalty < 1.001, weight / 1.1, weight))
