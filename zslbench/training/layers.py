"""Layers as plain functions of named tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin.streams import Streams


def linear(net: Mapping[str, Tensor], name: str, x: Float[Tensor, "*batch i"]) -> Float[Tensor, "*batch o"]:
    """The layer ``name`` of a net: x Wᵀ + b with W = ``net[name + ".weight"]`` (o, i).

    Written as a product and a sum because ``torch.nn.functional.linear`` rounds differently once the
    step is lifted over replicas.
    """
    return x @ net[f"{name}.weight"].T + net[f"{name}.bias"]


def leaky_relu(x: Float[Tensor, "*shape"], slope: float = 0.2) -> Float[Tensor, "*shape"]:
    """max(x, slope·x); 0.2 is the slope of the CLSWGAN family."""
    return torch.nn.functional.leaky_relu(x, slope)


def of_label(scores: Float[Tensor, "b classes"], labels: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
    """The score of each row's own class, as ``scores.gather(1, labels[:, None])[:, 0]``, value and gradient.

    The gradient of ``gather`` scatters. On a GPU that computes deterministically torch does so by sorting,
    and several releases look at the host meanwhile, which no CUDA graph can hold; this is a comparison and a
    sum.
    """
    own = labels[:, None] == torch.arange(scores.shape[1], device=scores.device)
    return torch.where(own, scores, 0).sum(dim=1)


def initial_linear(
    streams: Streams, net: str, name: str, inputs: int, outputs: int, std: float = 0.02
) -> dict[str, Tensor]:
    """Weight N(0, std²) and zero bias of one layer; the stream is named after net and layer."""
    return {
        f"{name}.weight": streams.normal(f"{net}.{name}", (outputs, inputs), std),
        f"{name}.bias": torch.zeros(outputs, device=streams.device),
    }
