"""SCEN's networks before training."""

from __future__ import annotations

import math
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Networks, Streams
from zslbench.training import initial_linear, leaky_relu, linear

SLOPE = 0.01
"""Negative slope of the LeakyReLU in SC and in the authors' second classifier (the framework's default)."""
_JITTER = 0.3
"""How much of SC's random weights is added to a mean: enough to tell the hidden units apart."""


def initial_len(
    streams: Streams, v: Float[Tensor, "attributes da"], dv: int, alpha_std: float, beta_std: float
) -> Networks:
    """LEN: attribute vectors v, W_α (da, dv) of eq. (1) and W_β (dv, da) of eq. (2)."""
    da = v.shape[1]
    return {
        "vectors": {"v": v.clone()},
        "attention": {"w_alpha": streams.normal("w_alpha", (da, dv), alpha_std)},
        "projection": {"w_beta": streams.normal("w_beta", (dv, da), beta_std)},
    }


def initial_gen(streams: Streams, attributes: int, dv: int, classes: int, *, released: bool) -> Networks:
    """GEN: SC, attributes → attributes/2 → 1 (eq. 4), and CLS_g, dv → classes (eq. 5).

    Args:
        released: as in the authors' code (row 15). Otherwise weights are normal, biases 0, and SC starts near
            the mean over the attributes: region features are non-negative, after a ReLU, so with weights
            around 1/inputs LeakyReLU passes them and g is their mean; weights around 0 give hidden units
            different signs and mix them.
    """
    half = attributes // 2
    layer = _released if released else _normal
    sc = layer(streams, "sc", "first", attributes, half) | layer(streams, "sc", "second", half, 1)
    if not released:
        for name, inputs in (("first.weight", attributes), ("second.weight", half)):
            sc[name] = 1 / inputs + _JITTER * sc[name]
    return {"sc": sc, "cls_g": layer(streams, "cls_g", "out", dv, classes)}


def initial_regressor(streams: Streams, dv: int, hidden: int, classes: int) -> Networks:
    """The authors' second classifier: dv → hidden → classes (row 6)."""
    first = _released(streams, "regressor", "first", dv, hidden)
    return {"regressor": first | _released(streams, "regressor", "second", hidden, classes)}


def regress(net: Mapping[str, Tensor], g: Float[Tensor, "b dv"]) -> Float[Tensor, "b classes"]:
    """The authors' second classifier on scaled g."""
    return linear(net, "second", leaky_relu(linear(net, "first", g), SLOPE))


def _released(streams: Streams, net: str, name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
    """The framework's default, as in the authors' code: weights and biases uniform within 1/√inputs."""
    shapes = {"weight": (outputs, inputs), "bias": (outputs,)}
    return {
        f"{name}.{part}": (2 * streams.uniform(f"{net}.{name}.{part}", shape) - 1) / math.sqrt(inputs)
        for part, shape in shapes.items()
    }


def _normal(streams: Streams, net: str, name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
    """Weights of the same variance, 1 / (3 inputs), but normal, and zero biases."""
    return initial_linear(streams, net, name, inputs, outputs, std=1 / math.sqrt(3 * inputs))
