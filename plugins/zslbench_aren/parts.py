"""Attentive regions (Xie et al., CVPR 2019, section 3.2): K soft masks over the regions, one feature a part.

RGEN's parts are these, and so are those of GNDAN's region branch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Streams
from zslbench.training import initial_linear, linear


def initial_masks(
    streams: Streams, net: str, channels: int, parts: int, layer: str = "mask"
) -> dict[str, Tensor]:
    """A 1 × 1 convolution before training: ``mask.weight`` (parts, channels), of variance 1/channels, and
    ``mask.bias``, 0."""
    return initial_linear(streams, net, layer, channels, parts, std=channels**-0.5)


def part_masks(
    net: Mapping[str, Tensor], r: Float[Tensor, "b regions dv"], threshold: float
) -> Float[Tensor, "b regions parts"]:
    """M_k = sigmoid(w_kᵀ r + b_k) over the regions, with adaptive thresholding.

    Args:
        threshold: a part is dropped (its mask becomes 0) if its peak is below this fraction of the image's
            highest peak; 0 keeps all.
    """
    masks = torch.sigmoid(linear(net, "mask", r))
    peaks = masks.amax(dim=1, keepdim=True)
    return torch.where(peaks >= threshold * peaks.amax(dim=2, keepdim=True), masks, 0)


def part_features(
    masks: Float[Tensor, "b regions parts"], r: Float[Tensor, "b regions dv"]
) -> Float[Tensor, "b parts dv"]:
    """f_k = max over the regions of M_k ⊙ r, per channel. One part at a time, to spare memory."""
    return torch.stack([_highest(mask, r) for mask in masks.unbind(dim=2)], dim=1)


def _highest(mask: Float[Tensor, "b regions"], r: Float[Tensor, "b regions dv"]) -> Float[Tensor, "b dv"]:
    """The maximum of mask ⊙ r over the regions, with its gradient at one region for each channel.

    A gradient that passes through all of mask ⊙ r, and is shared where regions tie, takes most of a step.
    """
    masked = mask.detach()[..., None] * r.detach()
    if not torch.is_grad_enabled():
        return masked.amax(dim=1)
    region = masked.max(dim=1).indices
    return mask.gather(1, region) * r.gather(1, region[:, None])[:, 0]


def dropout(x: Float[Tensor, "b d"], noise: Float[Tensor, "b d"], rate: float) -> Float[Tensor, "b d"]:
    """Zeroes entries with probability ``rate`` and scales the others by 1 / (1 − rate).

    Args:
        noise: uniform on [0, 1).
    """
    return torch.where(noise >= rate, x / (1 - rate), 0)
