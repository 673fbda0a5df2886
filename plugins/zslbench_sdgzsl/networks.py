"""The five networks as functions of their tensors. LeakyReLU slope 0.2; layers start as torch's do.

``keep`` holds dropout masks by layer, already scaled: 0 or 1/(1 − rate). A layer without one drops nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Networks, Streams
from zslbench.training import leaky_relu, linear
from zslbench_sdgzsl.settings import SDGZSLSettings

Net = Mapping[str, Tensor]
NONE: Mapping[str, Tensor] = {}
MOMENTS = ("second.mean", "second.variance", "third.mean", "third.variance")
"""Statistics of the decoder's two batch norms."""
EPSILON = 0.8
"""Of the batch norms: the code writes BatchNorm1d(2048, 0.8), whose second argument is eps, not momentum."""


def initial(streams: Streams, d: int, attributes: int, s: SDGZSLSettings) -> Networks:
    """Untrained networks for features of width ``d`` and semantics of width ``attributes``."""
    h = s.hidden
    layers = [
        ("encoder", "first", d + attributes, h),
        ("encoder", "second", h, h),
        ("encoder", "code", h, s.code),
        ("encoder", "mean", s.code, s.latent),
        ("encoder", "variance", s.code, s.latent),
        ("decoder", "first", s.latent + attributes, h),
        ("decoder", "second", h, h),
        ("decoder", "third", h, h),
        ("decoder", "out", h, d),
        ("autoencoder", "encoder", d, 2 * s.factor),
        ("autoencoder", "hidden", 2 * s.factor, h),
        ("autoencoder", "out", h, d),
    ]
    if s.relation:
        layers += [("relation", "hidden", s.factor + attributes, h), ("relation", "out", h, 1)]
    if s.total_correlation:
        layers += [("discriminator", "out", 2 * s.factor, 2)]
    nets: Networks = {net: {} for net, *_ in layers}
    for net, name, inputs, outputs in layers:
        bound = inputs**-0.5  # weights and biases uniform within ±1/√inputs
        for part, shape in (("weight", (outputs, inputs)), ("bias", (outputs,))):
            uniform = streams.uniform(f"{net}.{name}.{part}", shape)
            nets[net][f"{name}.{part}"] = (2 * uniform - 1) * bound
    for name in ("second", "third"):
        nets["decoder"] |= {
            f"{name}.norm.weight": torch.ones(h, device=streams.device),
            f"{name}.norm.bias": torch.zeros(h, device=streams.device),
        }
    return nets


def drop(x: Float[Tensor, "b d"], keep: Mapping[str, Tensor], name: str) -> Float[Tensor, "b d"]:
    """Dropout by the mask of this name, if there is one."""
    return x * keep[name] if name in keep else x


def encode(
    net: Net, x: Float[Tensor, "b d"], a: Float[Tensor, "b a"], keep: Mapping[str, Tensor] = NONE
) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
    """q(z | x, a): mean and variance."""
    h = leaky_relu(linear(net, "first", torch.cat([x, a], dim=-1)))
    h = leaky_relu(drop(linear(net, "second", h), keep, "second"))
    h = linear(net, "code", h)
    variance = torch.nn.functional.softplus(drop(linear(net, "variance", h), keep, "variance"))
    return linear(net, "mean", h), variance


def decode(
    net: Net,
    z: Float[Tensor, "b z"],
    a: Float[Tensor, "b a"],
    keep: Mapping[str, Tensor] = NONE,
    running: Mapping[str, Tensor] | None = None,
) -> tuple[Float[Tensor, "b d"], Mapping[str, Tensor]]:
    """x̂, and the moments that normalised it: the batch's in training, the running ones in synthesis."""
    moments = dict(running or {})
    h = leaky_relu(drop(linear(net, "first", torch.cat([z, a], dim=-1)), keep, "first"))
    for name in ("second", "third"):
        h = linear(net, name, h)
        if running is None:
            mean, variance = h.mean(dim=0), ((h - h.mean(dim=0)) ** 2).mean(dim=0)
            unbiased = variance * (len(h) / (len(h) - 1))
            moments |= {f"{name}.mean": mean, f"{name}.variance": unbiased}
        else:
            mean, variance = running[f"{name}.mean"], running[f"{name}.variance"]
        h = (h - mean) / (variance + EPSILON).sqrt() * net[f"{name}.norm.weight"] + net[f"{name}.norm.bias"]
        h = drop(h, keep, name)
    return leaky_relu(linear(net, "out", leaky_relu(h))), moments


def disentangle(
    net: Net, x: Float[Tensor, "b d"], keep: Mapping[str, Tensor] = NONE
) -> Float[Tensor, "b s2"]:
    """h = [h_s, h_n]: semantic-consistent and semantic-unrelated factors, of equal width."""
    return drop(leaky_relu(linear(net, "encoder", x)), keep, "encoder")


def reconstruct(
    net: Net, h: Float[Tensor, "b s2"], keep: Mapping[str, Tensor] = NONE
) -> Float[Tensor, "b d"]:
    """The autoencoder's x from h. As in the released code, dropout follows the output too."""
    hidden = drop(leaky_relu(linear(net, "hidden", h)), keep, "hidden")
    return drop(leaky_relu(linear(net, "out", hidden)), keep, "out")


def relate(net: Net, s: Float[Tensor, "b s"], a: Float[Tensor, "k a"]) -> Float[Tensor, "b k"]:
    """R(h_s, a) in (0, 1) of every h_s with every a.

    The first layer is a sum of a part of h_s and a part of a, so only its output is computed for all pairs.
    """
    weight, bias = net["hidden.weight"], net["hidden.bias"]
    of_s, of_a = s @ weight[:, : s.shape[-1]].T, a @ weight[:, s.shape[-1] :].T
    pairs = (of_s[:, None] + of_a[None] + bias).flatten(0, 1)
    return torch.sigmoid(linear(net, "out", torch.relu(pairs))).reshape(len(s), len(a))


def discriminate(net: Net, h: Float[Tensor, "b s2"]) -> Float[Tensor, "b 2"]:
    """Scores in (0, 1) of "h_s and h_n of one image" and "of two"."""
    return torch.sigmoid(linear(net, "out", h))
