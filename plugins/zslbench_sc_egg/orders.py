"""LEN's attention and SC's pooling, eqs. (1), (2) and (4), in the two orders of computation that pay.

Everything between the softmax and SC's first LeakyReLU is linear, so the local features h (b, A, dv) need not
be formed: e_l is r·(W_β V) weighted by the attention, a mean over attributes pools r with the mean attention
map, and SC's first layer commutes with the pooling, W₁(softmax·r) = (W₁·softmax)·r.

r takes no gradient, so a product with r costs one product more in the backward pass, any other two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Net = Mapping[str, Tensor]
Composition = Literal["mlp", "mean"]
Order = Literal["literal", "maps"]

SLOPE = 0.01
"""Of SC's LeakyReLU (section 2 of the specification: the framework's default)."""

MACS_PER_FLOAT = 20
"""Multiply-accumulates in the time that one float32 takes to memory and back; about that on CPUs, more on
GPUs."""


class Weights(NamedTuple):
    """What LEN applies to every region, from its parameters alone; made once per step."""

    queries: Float[Tensor, "attributes dv"]
    """v_nᵀ W_α."""
    values: Float[Tensor, "attributes dv"]
    """W_β v_n."""


class Local(NamedTuple):
    """What LEN and SC make of a batch of images."""

    e: Float[Tensor, "b attributes"]
    """e_l, eq. (2)."""
    g: Float[Tensor, "b dv"] | None
    """g, eq. (4), as SC composes it; None where it was not asked for."""


def weights(
    v: Float[Tensor, "attributes da"], w_alpha: Float[Tensor, "da dv"], w_beta: Float[Tensor, "dv da"]
) -> Weights:
    """The products of LEN's parameters."""
    return Weights(v @ w_alpha, v @ w_beta.T)


def attention(r: Float[Tensor, "b regions dv"], w: Weights) -> Float[Tensor, "b regions attributes"]:
    """Softmax over the regions, for each attribute; the weights of eq. (1)."""
    return torch.softmax(r @ w.queries.T, dim=1)


def local(
    r: Float[Tensor, "b regions dv"], w: Weights, sc: Net, composition: Composition | None, order: Order
) -> Local:
    """e_l and g of a batch.

    Args:
        sc: SC's two layers; not read for the composition by the mean.
        composition: how g is made; None: e_l alone.
    """
    return (_literal if order == "literal" else _by_maps)(r, w, sc, composition)


def _literal(r: Tensor, w: Weights, sc: Net, composition: Composition | None) -> Local:
    """As the equations are printed."""
    h = attention(r, w).transpose(1, 2) @ r
    e = (h * w.values).sum(dim=2)
    if composition is None:
        return Local(e, None)
    return Local(e, h.mean(dim=1) if composition == "mean" else _mlp(sc, sc["first.weight"] @ h))


def _by_maps(r: Tensor, w: Weights, sc: Net, composition: Composition | None) -> Local:
    """Without h."""
    attributes = len(w.queries)
    both = r @ torch.cat([w.queries, w.values]).T
    maps = torch.softmax(both[..., :attributes], dim=1)
    e = (maps * both[..., attributes:]).sum(dim=1)
    if composition is None:
        return Local(e, None)
    if composition == "mean":
        return Local(e, (maps.mean(dim=2)[:, None] @ r)[:, 0])
    return Local(e, _mlp(sc, (maps @ sc["first.weight"].T).transpose(1, 2) @ r))


def _mlp(sc: Net, mixed: Float[Tensor, "b half dv"]) -> Float[Tensor, "b dv"]:
    """SC after its first product: bias, LeakyReLU and the output unit, per channel."""
    active = torch.nn.functional.leaky_relu(mixed + sc["first.bias"][:, None], SLOPE)
    return (sc["second.weight"] @ active)[:, 0] + sc["second.bias"]


def cheapest(regions: int, attributes: int, dv: int, composition: Composition | None) -> Order:
    """The order that costs less per image, forward and backward.

    Counts multiply-accumulates and the floats of large intermediate results that go to memory and back.
    """
    half = attributes // 2 if composition == "mlp" else 0
    maps = regions * attributes
    product = maps * dv
    # Forward and backward: products with r twice, others three times.
    macs = {
        "literal": 4 * product + 3 * half * attributes * dv,
        "maps": 4 * product + 3 * half * maps + 2 * half * regions * dv,
    }
    # h is written, read by e_l and by SC, and so is its gradient, in two parts that are added; the values of
    # the regions and the mixed maps take its place. What both orders have does not count.
    floats = {
        "literal": 9 * attributes * dv,
        "maps": 6 * maps + 4 * half * regions,
    }
    cost = {order: macs[order] + MACS_PER_FLOAT * floats[order] for order in macs}
    return "literal" if cost["literal"] < cost["maps"] else "maps"
