"""GNDAN on frozen regions: a region branch and a graph branch, each with attribute scores (symbols are ours).

With regions r_i (f_i of unit length), attribute vectors v_a and class semantics z_c of unit length::

    RAN   M_k = σ(w_kᵀ r + b_k), thresholded                 AREN's part masks
          p_k = max_i M_k(i) r_i                             one feature a part
          e_a = w_aᵀ [p_1; …; p_K], dropout
    RGAT  h_a = Σ_i softmax_i(v_aᵀ W_2 f_i) f_i              attribute-based features, DAZLE's
          x_0 = h,  x_l = ReLU(GAT_l(x_l−1))                 graph attention between all attributes
          h'  = ReLU(W [x_0; …; x_L] + b)
          e'_a = v_aᵀ W_1 h'_a
    s     = w_1 Σ_a z_ca e_a + w_2 Σ_a z_ca e'_a + 1[c unseen] − 1[c seen]     the classifier's heads

GAT (Veličković et al., ICLR 2018), for each of its heads with y = W x::

    x'_a = Σ_b softmax_b(LeakyReLU(a_srcᵀ y_b + a_dstᵀ y_a)) y_b + bias

The released code has this forward pass and no training. The loss is ours: DAZLE's, for each branch. The
code finds the graph's edges where two features h have a cosine other than 0, hence between all attributes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Attention, Batch, Losses, Networks, Noise, NoiseSpec, Streams, Uniform
from zslbench.training import initial_linear, initial_xavier, leaky_relu, unit
from zslbench_aren.parts import dropout, initial_masks, part_features, part_masks
from zslbench_common.attribute_attention import attend, initial_attention
from zslbench_dazle.embedding import AttentionEmbedding
from zslbench_gndan.settings import GNDANSettings


def graph_attention(
    net: Mapping[str, Tensor], name: str, x: Float[Tensor, "b nodes i"]
) -> Float[Tensor, "b nodes o"]:
    """GAT on the complete graph, self-loops included; heads side by side."""
    source, target = net[f"{name}.source"], net[f"{name}.target"]  # (heads, o / heads)
    y = (x @ net[f"{name}.weight"].T).reshape(*x.shape[:2], *source.shape)
    sent, received = (y * source).sum(dim=3), (y * target).sum(dim=3)  # (b, nodes, heads)
    weights = torch.softmax(leaky_relu(received[:, :, None] + sent[:, None], 0.2), dim=2)
    mixed = [weights[..., head] @ y[:, :, head] for head in range(len(source))]
    return torch.cat(mixed, dim=2) + net[f"{name}.bias"]


class GNDAN(AttentionEmbedding):
    """Region features r (b, R, dv) → e and e' side by side (b, 2A), two heads for the classifier."""

    settings: GNDANSettings
    name = "gndan"

    def region_scores(
        self, nets: Networks, r: Float[Tensor, "b regions dv"]
    ) -> Float[Tensor, "b attributes"]:
        """RAN's e, without dropout."""
        parts = part_features(part_masks(nets["masks"], r, self.settings.threshold), r)
        return parts.flatten(1) @ nets["regions"]["weight"].T

    def graph_scores(self, nets: Networks, r: Float[Tensor, "b regions dv"]) -> Float[Tensor, "b attributes"]:
        """RGAT's e'. W x_0 is computed as α (W f), since there are fewer regions than attributes."""
        graph, alpha, f = nets["graph"], self.maps(nets, r).mT, unit(r)
        x = alpha @ f
        widths = [r.shape[2]] + [self.settings.graph_width] * self.settings.graph_layers
        of_attributes, *of_layers = torch.split(graph["merge.weight"], widths, dim=1)
        merged = alpha @ (f @ of_attributes.T) + graph["merge.bias"]
        for number, weight in enumerate(of_layers):
            x = torch.relu(graph_attention(graph, f"layer{number}", x))
            merged = merged + x @ weight.T
        return (torch.relu(merged) * (self.vectors(nets) @ nets["projection"]["w_1"])).sum(dim=2)

    def maps(self, nets: Networks, r: Float[Tensor, "b regions dv"]) -> Float[Tensor, "b regions attributes"]:
        """Attention of each attribute over the regions."""
        (alpha,) = attend(unit(r), self.vectors(nets) @ nets["attention"]["w_2"])
        return alpha

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """CE + λ L_cal of either branch."""
        s, r = self.settings, batch.features
        ran = self.region_scores(nets, r)
        ran = dropout(ran, noise["dropout"], s.dropout) if s.dropout else ran
        (ce, calibration), (ce_2, calibration_2) = (
            self.head_loss(e, batch.labels) for e in (ran, self.graph_scores(nets, r))
        )
        logged = {"regions": ce, "graph": ce_2, "calibration": calibration + calibration_2}
        return Losses(ce + ce_2 + s.lambda_cal * logged["calibration"], logged)

    @property
    def noise(self) -> Mapping[str, NoiseSpec]:
        attributes = self.space.semantics.shape[1]
        return {"dropout": Uniform((attributes,))} if self.settings.dropout else {}

    def initial(self, channels: int, streams: Streams) -> Networks:
        """Attention starts uniform; other weights have variance 1 / inputs, those of GAT Glorot's."""
        s = self.settings
        width, inputs = s.graph_width, s.parts * channels
        graph: dict[str, Tensor] = {}
        for number in range(s.graph_layers):
            name, head_width = f"layer{number}", width // s.graph_heads
            graph |= initial_xavier(streams, "graph", name, channels if not number else width, width)
            for end in ("source", "target"):
                layer = initial_xavier(streams, "graph", f"{name}.{end}", head_width, s.graph_heads)
                graph[f"{name}.{end}"] = layer[f"{name}.{end}.weight"]
        merged = channels + s.graph_layers * width
        graph |= initial_linear(streams, "graph", "merge", merged, channels, std=merged**-0.5)
        regions = initial_linear(
            streams, "regions", "out", inputs, self.space.semantics.shape[1], std=inputs**-0.5
        )
        return {
            **initial_attention(self.space, self.name, channels, streams),
            "graph": graph,
            "masks": initial_masks(streams, "masks", channels, s.parts),
            "regions": {"weight": regions["out.weight"]},
        }

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n heads"]:
        """e and e' side by side."""
        return torch.cat([self.region_scores(nets, inputs), self.graph_scores(nets, inputs)], dim=1)

    def attention(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Attention:
        """RGAT's attention and scores; a region's weight is its share of all attributes' attention."""
        alpha = self.maps(nets, inputs)
        return Attention(alpha.mT, self.graph_scores(nets, inputs), alpha.mean(dim=2))
