"""HSVA's networks as functions of their tensors; weights start as Xavier's uniform with gain ½."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Networks, Streams
from zslbench.training import leaky_relu, linear
from zslbench_cada_vae.aligned import Gaussian
from zslbench_cada_vae.networks import initial_layers
from zslbench_hsva.settings import HSVASettings

Net = Mapping[str, Tensor]


def initial(streams: Streams, s: HSVASettings, d: int, attributes: int, seen: int) -> Networks:
    """Untrained networks.

    Args:
        d: width of the features; attributes: width of the semantics; seen: number of seen classes.
    """
    layers = [
        ("common_encoder", "hidden", s.structure, s.structure),
        ("common_encoder", "mean", s.structure, s.latent),
        ("common_encoder", "logvar", s.structure, s.latent),
    ]
    for kind, width in (("visual", d), ("semantic", attributes)):
        layers += [
            (f"{kind}_encoder", "hidden", width, s.hidden),
            (f"{kind}_encoder", "out", s.hidden, s.structure),
            (f"{kind}_decoder", "hidden", s.latent, s.hidden),
            (f"{kind}_decoder", "out", s.hidden, width),
        ]
    classifiers = ("classifier1", "classifier2")
    for net in classifiers:
        layers += [
            (net, "hidden", s.structure, s.classifier_hidden),
            (net, "out", s.classifier_hidden, seen),
        ]
    nets = initial_layers(streams, *layers)
    for net in classifiers:
        scale = 1 + streams.normal(f"{net}.norm", (s.classifier_hidden,), 0.02)  # code: weights_init
        nets[net] |= {"norm.weight": scale, "norm.bias": torch.zeros_like(scale)}
    return nets


def encode(net: Net, x: Float[Tensor, "b i"]) -> Float[Tensor, "b h"]:
    """E_x or E_a: the point h of the structure-aligned space; also a decoder, from z to x or a."""
    return linear(net, "out", leaky_relu(linear(net, "hidden", x)))


decode = encode


def posterior(net: Net, h: Float[Tensor, "b h"]) -> Gaussian:
    """E_z, the common encoder: q(z|h)."""
    hidden = leaky_relu(linear(net, "hidden", h))
    return Gaussian(linear(net, "mean", hidden), linear(net, "logvar", hidden))


def classify(net: Net, h: Float[Tensor, "b h"]) -> Float[Tensor, "b seen"]:
    """C₁ or C₂: logits of the seen classes.

    Batch normalisation always has the statistics of the batch at hand: the released code never takes these
    classifiers out of training mode, and they do not predict.
    """
    before = linear(net, "hidden", h)
    centred = before - before.mean(dim=0)
    normed = centred / ((centred**2).mean(dim=0) + 1e-5).sqrt()
    return linear(net, "out", torch.relu(normed * net["norm.weight"] + net["norm.bias"]))
