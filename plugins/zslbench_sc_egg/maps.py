"""Where SCEN looks: the attention maps of Figure 3."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin.interfaces import Attention
from zslbench_sc_egg.orders import SLOPE, Composition, Net, Weights, attention


def attention_of(
    r: Float[Tensor, "n regions dv"], w: Weights, sc: Net, composition: Composition
) -> Attention:
    """LEN's map of each attribute, e_l, and GEN's global map.

    The global map is how g moves when a region is turned up: with the slopes that SC's LeakyReLU has at this
    image, g is the sum over regions of m_i ⊙ r_i, and a region counts by the length of its term. For the
    composition by the mean m_i is the mean attention.
    """
    maps = attention(r, w)
    e = (maps * (r @ w.values.T)).sum(dim=1)
    if composition == "mean":
        terms = maps.mean(dim=2)[..., None] * r
    else:
        mixed = maps @ sc["first.weight"].T  # (n, regions, half)
        before = mixed.transpose(1, 2) @ r + sc["first.bias"][:, None]
        slopes = torch.where(before > 0, 1.0, SLOPE) * sc["second.weight"].T  # (n, half, dv)
        terms = (mixed @ slopes) * r
    return Attention(maps.transpose(1, 2), e, terms.norm(dim=2))
