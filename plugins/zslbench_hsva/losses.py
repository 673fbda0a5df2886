"""Distances of two samples: sliced Wasserstein (Lee et al., CVPR 2019) and CORAL (Sun and Saenko, 2016)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.training import mse


def sliced_wasserstein(
    p: Float[Tensor, "b c"], q: Float[Tensor, "b c"], directions: Float[Tensor, "c k"]
) -> Float[Tensor, ""]:
    """Mean over k directions of the squared 2-Wasserstein distance of the two samples' projections.

    Args:
        directions: normal noise; each column is scaled to unit length.
    """
    unit = directions / directions.norm(dim=0)
    return mse(sort_rows(p @ unit), sort_rows(q @ unit))


def sort_rows(x: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """Each column in increasing order.

    A comparison and a sum, since the gradient of ``torch.sort`` scatters, see :func:`zslbench.training.pick`.
    """
    order = x.detach().argsort(dim=0, stable=True)
    chosen = order[:, None] == torch.arange(x.shape[0], device=x.device)[:, None]
    return torch.where(chosen, x, 0).sum(dim=1)


def coral(x: Float[Tensor, "b z"], y: Float[Tensor, "b z"]) -> Float[Tensor, ""]:
    """Mean squared difference of the entries of the two samples' covariances, each with b − 1."""
    return mse(covariance(x), covariance(y))


def covariance(x: Float[Tensor, "b z"]) -> Float[Tensor, "z z"]:
    """The sample's covariance."""
    centred = x - x.mean(dim=0)
    return centred.T @ centred / (x.shape[0] - 1)
