"""RGEN (Xie et al., ECCV 2020) on region features r (b, R, dv), reconstructed: no code was published, and
only the paper's abstract was available. The parts f_1 … f_K are AREN's; a(c) has unit length; S is TCN's.

============= ============================================================ ==================================
CPA branch    e_1 = W_1 [f_1; …; f_K]                                      :func:`.streams.project_flattened`
region graph  Â = normalised rows of max(0, cos(f_i, f_j))                 :func:`region_graph`
PRR branch    H = ReLU(Â ReLU(Â f U_1) U_2),  e_2 = W_2 [H_1; …; H_K]      :meth:`RGENFrozen.reason`
scores        s_c = eᵀ a(c), of the mean of both e                         classifier ``attribute-scores``
CE            cross-entropy of s over the seen classes                     :meth:`RGENFrozen.stream_loss`
transfer      binary cross-entropy of σ(s_u) with S(y, u), u unseen        :func:`transfer_loss`
balance       (max_seen s − max_unseen s)²                                 :func:`balance_loss`
============= ============================================================ ==================================

The loss is CE + ``transfer_weight`` · transfer + ``balance_weight`` · balance, the mean of both branches'.
"""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin import Networks, Streams
from zslbench.training import binary_cross_entropy, cross_entropy, mask_classes, unit
from zslbench_aren.parts import initial_masks, part_features, part_masks
from zslbench_aren.streams import PartStreams, Scores, initial_projection, project_flattened
from zslbench_common.attribute_scores import attribute_scores
from zslbench_rgen.settings import RGENSettings
from zslbench_tcn.similarity import similarities


def region_graph(f: Float[Tensor, "b parts dv"]) -> Float[Tensor, "b parts parts"]:
    """Â: cosines of the parts, those below 0 left out, each row divided by its sum. The row of a dropped part
    is 0."""
    directions = unit(f)
    cosines = torch.relu(directions @ directions.mT)
    return cosines / cosines.sum(dim=2, keepdim=True).clamp_min(1e-6)


def transfer_loss(
    s: Float[Tensor, "b classes"],
    similarity: Float[Tensor, "b unseen"],
    unseen: Int[Tensor, " unseen"],
) -> Float[Tensor, ""]:
    """−Σ_u S(y, u) log σ(s_u) + (1 − S(y, u)) log(1 − σ(s_u)), the mean over images and unseen classes.

    Args:
        similarity: S(y, ·) of each image's class.
    """
    return binary_cross_entropy(torch.sigmoid(s[:, unseen]), similarity)


def balance_loss(
    s: Float[Tensor, "b classes"], seen: Int[Tensor, " seen"], unseen: Int[Tensor, " unseen"]
) -> Float[Tensor, ""]:
    """(max_seen s − max_unseen s)², the mean over images."""
    gap = mask_classes(s, seen).amax(dim=1) - mask_classes(s, unseen).amax(dim=1)
    return (gap**2).mean()


class RGENFrozen(PartStreams):
    """The networks are ``masks``, ``first`` (W_1), ``graph`` (U_1, (dv, hidden), and U_2) and
    ``second`` (W_2)."""

    settings: RGENSettings

    def reason(self, nets: Networks, f: Float[Tensor, "b parts dv"]) -> Scores:
        """e_2: two graph convolutions over the parts, which lie side by side afterwards."""
        graph, u = region_graph(f), nets["graph"]
        hidden = torch.relu(graph @ (f @ u["first"]))
        return project_flattened(nets["second"], torch.relu(graph @ (hidden @ u["second"])))

    def streams(self, nets: Networks, r: Float[Tensor, "b regions dv"]) -> dict[str, Scores]:
        f = part_features(part_masks(nets["masks"], r, self.settings.threshold), r)
        return {"first": project_flattened(nets["first"], f), "second": self.reason(nets, f)}

    @property
    def weights(self) -> dict[str, float]:
        return {"first": 1.0, "second": 1.0}

    @cached_property
    def similarity(self) -> Float[Tensor, "classes unseen"]:
        """S: how much of each unseen class there is in a seen one; the rows of unseen classes are 0."""
        space = self.space
        seen, unseen = space.semantics[space.seen], space.semantics[space.unseen]
        s = similarities(seen, unseen, self.settings.ridge, self.settings.min_similarity)
        return torch.zeros(len(space.names), s.shape[1]).to(s).index_copy(0, space.seen, s)

    def stream_loss(self, e: Scores, labels: Tensor) -> Float[Tensor, ""]:
        """Cross-entropy, transfer and balance loss of one branch."""
        s, settings, space = attribute_scores(e, unit(self.space.semantics)), self.settings, self.space
        loss = cross_entropy(s, labels, space.seen)
        if settings.transfer_weight:
            loss = loss + settings.transfer_weight * transfer_loss(s, self.similarity[labels], space.unseen)
        if settings.balance_weight:
            loss = loss + settings.balance_weight * balance_loss(s, space.seen, space.unseen)
        return loss

    # --- training ----------------------------------------------------------------------------------------

    @property
    def trained(self) -> tuple[str, ...]:
        return "masks", "first", "graph", "second"

    def initial(self, channels: int, streams: Streams) -> Networks:
        """Weights of variance 1 / inputs and biases 0 (ours)."""
        s, attributes = self.settings, self.space.semantics.shape[1]
        return {
            "masks": initial_masks(streams, "masks", channels, s.parts),
            "first": initial_projection(streams, "first", s.parts * channels, attributes),
            "graph": {
                "first": streams.normal("graph.first", (channels, s.hidden), channels**-0.5),
                "second": streams.normal("graph.second", (s.hidden, s.hidden), s.hidden**-0.5),
            },
            "second": initial_projection(streams, "second", s.parts * s.hidden, attributes),
        }
