"""AREN (Xie et al., CVPR 2019) on region features r (b, R, dv). The names are the paper's; its equation
numbers were not available. σ is the sigmoid; a(c) has unit length.

================== =============================================== =================================
attentive regions  M_k = σ(w_kᵀ r + b_k), 0 if its peak is low     :func:`.parts.part_masks`
parts              f_k = max_R M_k ⊙ r                             :func:`.parts.part_features`
ARE                e_1 = W_1 [f_1; …; f_K]                         :func:`.streams.project_flattened`
ACSE               e_2 = W_2 max_k (C r)ᵀ (M_k ⊙ r) / R            :meth:`ARENFrozen.second_order`
scores             s_c = eᵀ a(c)                                   classifier ``attribute-scores``
loss               cross-entropy over the seen classes, for each e :meth:`.PartStreams.stream_loss`
================== =============================================== =================================
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Networks, Streams
from zslbench.training import linear
from zslbench_aren.parts import initial_masks, part_features, part_masks
from zslbench_aren.settings import ARENSettings
from zslbench_aren.streams import PartStreams, Scores, initial_projection, project_flattened


class ARENFrozen(PartStreams):
    """The networks are ``masks``, ``first`` (W_1, (A, K·dv)), ``compress`` (C, to m maps) and ``second``
    (W_2, (A, m·dv))."""

    settings: ARENSettings

    def streams(self, nets: Networks, r: Float[Tensor, "b regions dv"]) -> dict[str, Scores]:
        masks = part_masks(nets["masks"], r, self.settings.threshold)
        scores = {"first": project_flattened(nets["first"], part_features(masks, r))}
        return scores | ({"second": self.second_order(nets, masks, r)} if "second" in self.weights else {})

    def second_order(
        self, nets: Networks, masks: Float[Tensor, "b regions parts"], r: Float[Tensor, "b regions dv"]
    ) -> Scores:
        """e_2: each part's correlations with the compressed maps, the largest over the parts."""
        compressed = linear(nets["compress"], "map", r) / r.shape[1]
        masked = torch.einsum("brk,brm->bkmr", masks, compressed)
        pooled = masked.flatten(1, 2) @ r  # in one product: (b, parts · maps, dv)
        return project_flattened(nets["second"], pooled.reshape(*masked.shape[:3], -1).max(dim=1).values)

    @property
    def weights(self) -> dict[str, float]:
        second = self.settings.second_order_weight
        return {"first": 1.0} | ({"second": second} if second else {})

    @property
    def trained(self) -> tuple[str, ...]:
        return ("masks", "first", *(("compress", "second") if "second" in self.weights else ()))

    def initial(self, channels: int, streams: Streams) -> Networks:
        """Weights of variance 1 / inputs and biases 0 (ours: the released code keeps torch's default, uniform
        with a third of that variance)."""
        s, attributes = self.settings, self.space.semantics.shape[1]
        nets: Networks = {
            "masks": initial_masks(streams, "masks", channels, s.parts),
            "first": initial_projection(streams, "first", s.parts * channels, attributes),
        }
        if "second" in self.weights:
            nets["compress"] = initial_masks(streams, "compress", channels, s.compressed, layer="map")
            nets["second"] = initial_projection(streams, "second", s.compressed * channels, attributes)
        return nets
