"""FREE's networks as functions of their tensors: f-VAEGAN's, and FR with its centres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Networks, Streams
from zslbench.training import initial_linear, leaky_relu, linear
from zslbench_tf_vaegan import networks


class Refined(NamedTuple):
    """What FR makes of x."""

    mean: Float[Tensor, "b a"]
    """μ, which the centres attract."""
    std: Float[Tensor, "b a"]
    """σ, in (0, 1)."""
    hidden: Float[Tensor, "b hidden"]
    """h, the hidden layer."""
    code: Float[Tensor, "b a"]
    """â, the class semantics that x shows."""


def refine(net: Mapping[str, Tensor], x: Float[Tensor, "b d"], noise: Float[Tensor, "b a"] | None) -> Refined:
    """FR(x): h = LeakyReLU(W₁ x), (μ, s) = W₂ h, σ = sigmoid(s), â = sigmoid(μ + σ ε); no noise: ε = 0."""
    hidden = leaky_relu(linear(net, "hidden", x))
    mean, s = linear(net, "out", hidden).chunk(2, dim=-1)
    std = torch.sigmoid(s)
    return Refined(mean, std, hidden, torch.sigmoid(mean if noise is None else mean + std * noise))


def initial(streams: Streams, d: int, attributes: int, hidden: int, latent: int, seen: int) -> Networks:
    """Untrained networks: weights from N(0, 0.02²), a centre for each seen class from N(0, I)."""
    nets = networks.initial(streams, d, attributes, hidden, latent)
    return {net: nets[net] for net in ("encoder", "generator", "critic")} | {
        "refiner": initial_linear(streams, "refiner", "hidden", d, hidden)
        | initial_linear(streams, "refiner", "out", hidden, 2 * attributes),
        "centres": {"centres": streams.normal("centres", (seen, attributes))},
    }
