"""Encoder, decoder, regressor with one hidden LeakyReLU layer each; weights from N(0, 0.02²), zero biases."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Networks, Streams
from zslbench.training import initial_linear, leaky_relu, linear

Net = Mapping[str, Tensor]


def initial(streams: Streams, d: int, attributes: int, hidden: int, latent: int) -> Networks:
    """Untrained networks.

    Args:
        d: width of the features; attributes: width of the semantics; latent: width of z.
    """
    layers = (
        ("encoder", "hidden", d, hidden),
        ("encoder", "mean", hidden, latent),
        ("encoder", "logvar", hidden, latent),
        ("decoder", "hidden", latent + attributes, hidden),
        ("decoder", "out", hidden, d),
        ("regressor", "hidden", d, hidden),
        ("regressor", "out", hidden, attributes),
    )
    nets: Networks = {net: {} for net, *_ in layers}
    for net, name, inputs, outputs in layers:
        nets[net] |= initial_linear(streams, net, name, inputs, outputs)
    return nets


def encode(net: Net, x: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
    """Mean and log-variance of p(z | x)."""
    hidden = leaky_relu(linear(net, "hidden", x))
    return linear(net, "mean", hidden), linear(net, "logvar", hidden)


def decode(net: Net, z: Float[Tensor, "b z"], a: Float[Tensor, "b a"]) -> Float[Tensor, "b d"]:
    """The mean of p(x | z, a), not negative."""
    return torch.relu(linear(net, "out", leaky_relu(linear(net, "hidden", torch.cat([z, a], dim=-1)))))


def regress(net: Net, x: Float[Tensor, "b d"]) -> Float[Tensor, "b a"]:
    """The mean of p(a | x)."""
    return linear(net, "out", leaky_relu(linear(net, "hidden", x)))
