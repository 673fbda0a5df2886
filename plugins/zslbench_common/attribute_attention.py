"""Attention of attributes over regions, which DAZLE, SCEN, MSDN, GNDAN and Composer have in common.

With an attribute's vector v and the regions r of an image (R, dv)::

    α_i = softmax_i(vᵀ W r_i)                   where the attribute looks
    Σ_i α_i vᵀ W' r_i                           a score of what it sees there
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin import ClassSpace


def attribute_vectors(space: ClassSpace, name: str) -> Float[Tensor, "attributes words"]:
    """v of every attribute, as the data set stores it.

    Raises:
        ZslbenchError: the data set has none; ``name`` is the embedding that needs them.
    """
    if space.attribute_vectors is None:
        raise ZslbenchError(
            f"embedding {name}: the data set has no attribute vectors; add attribute_vectors.npy with one "
            "row per attribute, or region features that hold w2v_att"
        )
    return space.attribute_vectors


def attend(
    r: Float[Tensor, "b regions dv"],
    queries: Float[Tensor, "attributes dv"],
    *values: Float[Tensor, "attributes dv"],
) -> tuple[Tensor, ...]:
    """α (b, R, A), and for each of ``values`` its score (b, A).

    Args:
        queries: vᵀ W of every attribute.
        values: vᵀ W' of every attribute. The regions are multiplied once with all of them, and the features
            that the attributes attend to, Σ_i α_i r_i (b, A, dv), are never formed.
    """
    products = (r @ torch.cat([queries, *values]).T).chunk(1 + len(values), dim=2)
    alpha = torch.softmax(products[0], dim=1)
    return alpha, *((alpha * one).sum(dim=1) for one in products[1:])
