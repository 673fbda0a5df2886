"""The terms of OCD-CVAE's loss."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench_common.gaussians import kl_to_standard


def cvae_loss(
    x: Float[Tensor, "b d"],
    reconstruction: Float[Tensor, "b d"],
    mean: Float[Tensor, "b z"],
    logvar: Float[Tensor, "b z"],
) -> Float[Tensor, ""]:
    """The mean over rows of ‖x − x̂‖² + KL(N(μ, σ²) ‖ N(0, I))."""
    return (((x - reconstruction) ** 2).sum() + kl_to_standard(mean, logvar)) / x.shape[0]


def regression_loss(regressed: Float[Tensor, "n a"], a: Float[Tensor, "n a"]) -> Float[Tensor, ""]:
    """The mean over rows of ‖â − a‖²."""
    return ((regressed - a) ** 2).sum(dim=1).mean()


def over_complete(
    own: Float[Tensor, "n d"], other: Float[Tensor, "n d"], shift: Float[Tensor, "n 1"]
) -> Float[Tensor, "n d"]:
    """Samples moved by ``shift`` of the way to those of other draws."""
    return own + shift * (other - own)


def online_batch_triplet_loss(
    f: Float[Tensor, "n a"], labels: Int[Tensor, " n"], margin: float
) -> Float[Tensor, ""]:
    """The mean over anchors f_i of max(0, m + max_p ‖f_i − f_p‖² − min_n ‖f_i − f_n‖²).

    p runs over the other rows with i's label and n over the rows with another one; a row that lacks either
    is no anchor.
    """
    squares = (f**2).sum(dim=1)
    distance = (squares[:, None] + squares - 2 * f @ f.T).clamp_min(0)
    same = labels[:, None] == labels
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    anchor = positive.any(dim=1) & ~same.all(dim=1)
    farthest = torch.where(positive, distance, -torch.inf).amax(dim=1)
    nearest = torch.where(same, torch.inf, distance).amin(dim=1)
    hinge = (margin + torch.where(anchor, farthest, 0) - torch.where(anchor, nearest, 0)).clamp_min(0)
    return torch.where(anchor, hinge, 0).sum() / anchor.sum().clamp_min(1)


def centre_loss(f: Float[Tensor, "n a"], centres: Float[Tensor, "n a"]) -> Float[Tensor, ""]:
    """The mean over rows of ½ ‖f_i − c_y‖², c_y the centre of the row's class."""
    return 0.5 * ((f - centres) ** 2).sum(dim=1).mean()
