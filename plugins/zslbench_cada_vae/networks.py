"""Encoders and decoders with one hidden layer; weights start as Xavier's uniform with gain ½."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Networks, Streams
from zslbench.training import initial_xavier, linear
from zslbench_cada_vae.aligned import Gaussian

Net = Mapping[str, Tensor]
GAIN = 0.5
"""Of the released code (weights_init)."""


def initial_layers(streams: Streams, *layers: tuple[str, str, int, int]) -> Networks:
    """Untrained networks from (network, layer, inputs, outputs)."""
    nets: Networks = {net: {} for net, *_ in layers}
    for net, name, inputs, outputs in layers:
        nets[net] |= initial_xavier(streams, net, name, inputs, outputs, GAIN)
    return nets


def encode(net: Net, x: Float[Tensor, "b d"]) -> Gaussian:
    """Mean and log-variance of z."""
    hidden = torch.relu(linear(net, "hidden", x))
    return Gaussian(linear(net, "mean", hidden), linear(net, "logvar", hidden))


def decode(net: Net, z: Float[Tensor, "b z"]) -> Float[Tensor, "b d"]:
    """x or a of a latent, unbounded."""
    return linear(net, "out", torch.relu(linear(net, "hidden", z)))
