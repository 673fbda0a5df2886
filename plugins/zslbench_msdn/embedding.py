"""MSDN: two attention sub-nets that teach each other (sections 3.1 to 3.4 of the paper; W as in the code).

With attribute vectors v_a, class semantics z_c of unit length, and regions f_r of unit length::

    attribute → visual (3.1)                        visual → attribute (3.2)
    β_ra = softmax_r(v_aᵀ W_2 f_r)                  γ_ra = softmax_a(v_aᵀ W_2' f_r)
    ψ_a  = Σ_r β_ra v_aᵀ W_1 f_r                    ψ'_a = Σ_r γ_ra f_rᵀ W_1' v_a

    s_c  = Σ_a z_ca ψ_a + 1[c unseen] − 1[c seen]   and s'_c of ψ' likewise
    L         = Σ over both (L_ACE + λ_cal L_SC) + λ_distill L_distill                          (3.3)
    L_ACE     = CE of the scores without margin, over all classes
    L_SC      = −log (1/b) Σ_b Σ_{c unseen} softmax_c(s)
    L_distill = (1/b) Σ_b JSD(softmax(s), softmax(s')) + (1/b) Σ_b Σ_c |s_c − s'_c|³ / ‖s − s'‖
    s_test    = α_1 s + α_2 s'                                        the classifier's heads    (3.4)

The softmax of β runs over the regions, that of γ over the attributes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Attention, Batch, Losses, Networks, Noise, Streams
from zslbench.training import unit
from zslbench_common.attribute_attention import attend, attribute_vectors
from zslbench_common.norms import weighted_l1
from zslbench_dazle.embedding import AttentionEmbedding
from zslbench_msdn.settings import MSDNSettings


def divergence(s: Float[Tensor, "b classes"], other: Float[Tensor, "b classes"]) -> Float[Tensor, ""]:
    """Mean Jensen-Shannon divergence between the softmaxes of two scores, in nats."""
    log_p, log_q = torch.log_softmax(s, dim=1), torch.log_softmax(other, dim=1)
    p, q = log_p.exp(), log_q.exp()
    log_mean = torch.logaddexp(log_p, log_q) - torch.log(torch.tensor(2.0)).to(s)
    return (p * (log_p - log_mean) + q * (log_q - log_mean)).sum(dim=1).mean() / 2


class MSDN(AttentionEmbedding):
    """Region features f (b, R, dv) → ψ and ψ' side by side (b, 2A), two heads for the classifier."""

    settings: MSDNSettings
    name = "msdn"

    def attribute_to_visual(self, nets: Networks, f: Float[Tensor, "b regions dv"]) -> tuple[Tensor, Tensor]:
        """β (b, R, A) and ψ (b, A)."""
        v, net = self.vectors(nets), nets["attribute_to_visual"]
        beta, psi = attend(unit(f), v @ net["w_2"], v @ net["w_1"])
        return beta, psi

    def visual_to_attribute(
        self, nets: Networks, f: Float[Tensor, "b regions dv"]
    ) -> Float[Tensor, "b attributes"]:
        """ψ'."""
        v, net = self.vectors(nets), nets["visual_to_attribute"]
        gamma = torch.softmax(unit(f) @ (v @ net["w_2"]).T, dim=2)
        return (gamma * (unit(f) @ (net["w_1"] @ v.T))).sum(dim=1)

    def heads(self, nets: Networks, f: Float[Tensor, "b regions dv"]) -> tuple[Tensor, Tensor]:
        return self.attribute_to_visual(nets, f)[1], self.visual_to_attribute(nets, f)

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        s, heads = self.settings, self.heads(nets, batch.features)
        (ce, calibration), (ce_2, calibration_2) = (self.head_loss(psi, batch.labels) for psi in heads)
        distill = self.distillation(*heads)
        total = ce + ce_2 + s.lambda_cal * (calibration + calibration_2) + s.lambda_distill * distill
        logged = {"classes": ce + ce_2, "calibration": calibration + calibration_2, "distillation": distill}
        return Losses(total, logged)

    def distillation(self, psi: Float[Tensor, "b a"], psi_2: Float[Tensor, "b a"]) -> Float[Tensor, ""]:
        """L_distill."""
        s, s_2 = (self.with_margin(self.class_scores(scores)) for scores in (psi, psi_2))
        return divergence(s, s_2) + weighted_l1(s, s_2)

    def initial(self, channels: int, streams: Streams) -> Networks:
        """W_1 ~ N(0, 1), the other W are 0 (code)."""
        v = unit(attribute_vectors(self.space, self.name))
        shape = (v.shape[1], channels)
        zeros = torch.zeros(shape, device=v.device)
        return {
            "vectors": {"v": v},
            "attribute_to_visual": {"w_1": streams.normal("w_1", shape), "w_2": zeros.clone()},
            "visual_to_attribute": {"w_1": zeros.T.clone(), "w_2": zeros.clone()},
        }

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n heads"]:
        """ψ and ψ' side by side."""
        return torch.cat(self.heads(nets, inputs), dim=1)

    def attention(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Attention:
        """β and ψ; a region's weight is its share of all attributes' attention."""
        beta, psi = self.attribute_to_visual(nets, inputs)
        return Attention(beta.mT, psi, beta.mean(dim=2))
