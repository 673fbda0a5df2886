"""Attention of attributes over regions, which DAZLE, SCEN, MSDN, GNDAN and Composer have in common.

With an attribute's vector v and the regions r of an image (R, dv)::

    α_i = softmax_i(vᵀ W r_i)                   where the attribute looks
    Σ_i α_i vᵀ W' r_i                           a score of what it sees there
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin import ClassSpace, Embedding, Networks, Streams
from zslbench.training import unit
from zslbench_common.attribute_scores import attribute_scores, class_semantics, favour_unseen


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
    return alpha, *((alpha * product).sum(dim=1) for product in products[1:])


def initial_attention(space: ClassSpace, name: str, channels: int, streams: Streams) -> Networks:
    """``vectors`` (v, of unit length), ``projection`` (W_1 ~ N(0, 1), (words, channels)) and ``attention``
    (W_2 = 0: attention starts uniform), as in DAZLE's code.

    Args:
        name: that of the embedding, for the message if there are no attribute vectors.
    """
    v = unit(attribute_vectors(space, name))
    shape = (v.shape[1], channels)
    return {
        "vectors": {"v": v},
        "projection": {"w_1": streams.normal("w_1", shape)},
        "attention": {"w_2": torch.zeros(shape, device=v.device)},
    }


class AttributeEmbedding(Embedding):
    """Regions to scores e of attributes that have vectors v, compared with semantics z of unit length.

    Its settings have ``normalize_vectors``, ``keep_negatives`` and ``offset``.
    """

    inputs = "regions"
    settings: Any

    def vectors(self, nets: Networks) -> Float[Tensor, "attributes words"]:
        """v."""
        v = nets["vectors"]["v"]
        return unit(v) if self.settings.normalize_vectors else v

    @property
    def semantics(self) -> Float[Tensor, "classes attributes"]:
        """z."""
        return class_semantics(self.space.semantics, "unit", keep_negatives=self.settings.keep_negatives)

    def class_scores(self, e: Float[Tensor, "b attributes"]) -> Float[Tensor, "b classes"]:
        """s, without margin."""
        return attribute_scores(e, self.semantics.to(e.dtype))

    def with_margin(self, s: Float[Tensor, "b classes"]) -> Float[Tensor, "b classes"]:
        """Scores with the margin of unseen classes."""
        return favour_unseen(s, self.space.unseen, self.settings.offset)
