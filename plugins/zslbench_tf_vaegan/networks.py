"""The five networks as functions of their tensors. LeakyReLU slope 0.2, weights from N(0, 0.02²), bias 0."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Networks, Streams
from zslbench.training import initial_linear, leaky_relu, linear, unit
from zslbench_common.wgan import criticise as criticise

Net = Mapping[str, Tensor]


def initial(streams: Streams, d: int, attributes: int, hidden: int, latent: int) -> Networks:
    """Untrained networks.

    Args:
        d: width of the features; attributes: width of the semantics; latent: width of z.
    """
    middle = 2 * latent
    layers = (
        ("encoder", "hidden", d + attributes, hidden),
        ("encoder", "middle", hidden, middle),
        ("encoder", "mean", middle, latent),
        ("encoder", "logvar", middle, latent),
        ("generator", "hidden", latent + attributes, hidden),
        ("generator", "out", hidden, d),
        ("critic", "hidden", d + attributes, hidden),
        ("critic", "out", hidden, 1),
        ("decoder", "hidden", d, hidden),
        ("decoder", "out", hidden, attributes),
        ("feedback", "first", hidden, hidden),
        ("feedback", "second", hidden, hidden),
    )
    nets: dict[str, dict[str, Tensor]] = {net: {} for net, *_ in layers}
    for net, name, inputs, outputs in layers:
        nets[net] |= initial_linear(streams, net, name, inputs, outputs)
    return nets


def encode(
    net: Net, g: Float[Tensor, "b d"], a: Float[Tensor, "b a"]
) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
    """E(g, a): mean and log-variance of z."""
    x = leaky_relu(linear(net, "hidden", torch.cat([g, a], dim=-1)))
    x = leaky_relu(linear(net, "middle", x))
    return linear(net, "mean", x), linear(net, "logvar", x)


def generate(
    net: Net,
    z: Float[Tensor, "b z"],
    a: Float[Tensor, "b a"],
    feedback: Float[Tensor, "b hidden"] | None = None,
) -> Float[Tensor, "b d"]:
    """G(z, a) in (0, 1); ``feedback``, already scaled, is added to the hidden layer."""
    x = leaky_relu(linear(net, "hidden", torch.cat([z, a], dim=-1)))
    if feedback is not None:
        x = x + feedback
    return torch.sigmoid(linear(net, "out", x))


def decode(net: Net, g: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "b a"], Float[Tensor, "b hidden"]]:
    """Dec(g), of unit length per image, and its hidden layer."""
    hidden = leaky_relu(linear(net, "hidden", g))
    return unit(linear(net, "out", hidden)), hidden


def feed_back(net: Net, hidden: Float[Tensor, "b hidden"]) -> Float[Tensor, "b hidden"]:
    """F(hidden), to be scaled by a1 (training) or a2 (synthesis)."""
    return leaky_relu(linear(net, "second", leaky_relu(linear(net, "first", hidden))))
