"""Norms of what a network is off by, averaged over a batch."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def l1(found: Float[Tensor, "b d"], target: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """The mean over the batch of ‖d‖₁, where d is the difference of two rows."""
    return (found - target).abs().sum(dim=-1).mean()


def weighted_l1(found: Float[Tensor, "b d"], target: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """(1/b) Σ_b Σ_i |d_i|³ / ‖d‖₂: the L1 norm with weights d²/‖d‖, which are part of the gradient. Released
    codes of the TF-VAEGAN family call it WeightedL1."""
    d = found - target
    total: Tensor = (d.abs() ** 3 / d.norm(dim=-1, keepdim=True).clamp_min(1e-12)).sum()
    return total / d.shape[0]
