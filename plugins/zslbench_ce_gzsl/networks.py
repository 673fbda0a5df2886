"""E, H and F as functions of their tensors, beside G and D of f-CLSWGAN, :mod:`zslbench_common.wgan`.

LeakyReLU slope 0.2, weights from N(0, 0.02²), bias 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Networks, Streams
from zslbench.training import initial_linear, leaky_relu, linear
from zslbench_ce_gzsl.settings import CEGZSLSettings
from zslbench_common import wgan

Net = Mapping[str, Tensor]


def initial(streams: Streams, d: int, attributes: int, latent: int, s: CEGZSLSettings) -> Networks:
    """Untrained networks for features of width ``d`` and semantics of width ``attributes``."""
    layers = [("embedding", "out", d, s.embedding)]
    if s.instance_level:
        layers += [("projection", "out", s.embedding, s.projection)]
    if s.class_level:
        layers += [
            ("comparator", "hidden", s.embedding + attributes, s.comparator),
            ("comparator", "out", s.comparator, 1),
        ]
    nets = wgan.initial(streams, d, attributes, s.hidden, latent)
    for net, name, inputs, outputs in layers:
        nets.setdefault(net, {}).update(initial_linear(streams, net, name, inputs, outputs))
    return nets


def embed(net: Net, x: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]:
    """h = E(x), not negative."""
    return torch.relu(linear(net, "out", x))


def project(net: Net, h: Float[Tensor, "b e"]) -> Float[Tensor, "b p"]:
    """z = H(h), of unit length per image."""
    return torch.nn.functional.normalize(linear(net, "out", h), dim=-1)


def compare(net: Net, h: Float[Tensor, "b e"], a: Float[Tensor, "k a"]) -> Float[Tensor, "b k"]:
    """F(h, a) of every h with every a.

    The first layer is a sum of a part of h and a part of a, so only its output is computed for all pairs.
    """
    weight, bias = net["hidden.weight"], net["hidden.bias"]
    of_h, of_a = h @ weight[:, : h.shape[-1]].T, a @ weight[:, h.shape[-1] :].T
    pairs = (of_h[:, None] + of_a[None] + bias).flatten(0, 1)
    return linear(net, "out", leaky_relu(pairs)).reshape(len(h), len(a))
