"""Diagonal Gaussians of variational autoencoders, each row given by its mean μ and log-variance log σ²."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def kl_to_standard(mean: Float[Tensor, "b z"], logvar: Float[Tensor, "b z"]) -> Float[Tensor, ""]:
    """KL(N(μ, σ²) ‖ N(0, I)) = ½ Σ (μ² + σ² − 1 − log σ²), summed over rows and dimensions."""
    return 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum()


def reparameterise(
    mean: Float[Tensor, "b z"],
    logvar: Float[Tensor, "b z"],
    noise: Float[Tensor, "b one_or_z"],
    exponent: float = 0.5,
) -> Float[Tensor, "b z"]:
    """μ + ε exp(exponent · log σ²): a draw from N(μ, σ²) with the exponent ½.

    Args:
        noise: ε; with one column all dimensions of a row share it.
        exponent: some released codes have 1 or 0.1, so that they draw from another Gaussian than the one in
            their KL term.
    """
    return mean + noise * (exponent * logvar).exp()


def wasserstein(
    mean: Float[Tensor, "b z"],
    logvar: Float[Tensor, "b z"],
    other_mean: Float[Tensor, "b z"],
    other_logvar: Float[Tensor, "b z"],
) -> Float[Tensor, " b"]:
    """The 2-Wasserstein distance of each row's Gaussians, (‖μ₁ − μ₂‖² + ‖σ₁ − σ₂‖²)^½.

    Its gradient is 0 where the Gaussians are the same; the square root's own would be NaN.
    """
    spread = (0.5 * logvar).exp() - (0.5 * other_logvar).exp()
    squared = ((mean - other_mean) ** 2 + spread**2).sum(dim=1)
    return squared.clamp_min(torch.finfo(squared.dtype).tiny).sqrt()
