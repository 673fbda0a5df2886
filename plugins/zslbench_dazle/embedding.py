"""DAZLE. Symbols are those of section 3 of the paper (W of the code); region features are of unit length.

With attribute vectors v_a, class semantics z_c of unit length, and regions f_r of an image::

    α_ra  = softmax_r(v_aᵀ W_2 f_r)           attention of attribute a over the regions
    h_a   = Σ_r α_ra f_r                      attribute-based feature
    e_a   = v_aᵀ W_1 h_a                      attribute embedding: how strongly a is present
    β_a   = σ(v_aᵀ W_3 h_a)                   attention over attributes
    s_c   = Σ_a z_ca β_a e_a                  class score
    s'_c  = s_c + 1[c unseen] − 1[c seen]     with the margin of unseen classes, at test too
    L     = CE(s, y) + λ L_cal                cross-entropy over all classes
    L_cal = −log (1/b) Σ_b Σ_{c unseen} softmax_c(s')
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin import (
    Attention,
    Batch,
    Fit,
    Losses,
    Networks,
    Noise,
    NoiseSpec,
    Optimizer,
    Program,
    Step,
    Streams,
    TrainView,
)
from zslbench.training import cross_entropy, unit
from zslbench_common.attribute_attention import AttributeEmbedding, attend, initial_attention
from zslbench_common.attribute_scores import self_calibration
from zslbench_common.regions import region_shape
from zslbench_dazle.settings import AttentionSettings, DAZLESettings


class AttentionEmbedding(AttributeEmbedding):
    """Attribute scores learned by cross-entropy and self-calibration, for any number of heads."""

    settings: AttentionSettings
    name: str
    """Names the embedding in messages, and its training step."""

    def head_loss(self, e: Float[Tensor, "b attributes"], labels: Int[Tensor, " b"]) -> tuple[Tensor, ...]:
        """CE(s, y) and L_cal of one head."""
        s = self.class_scores(e)
        return cross_entropy(s, labels), self_calibration(self.with_margin(s), self.space.unseen)

    @abstractmethod
    def initial(self, channels: int, streams: Streams) -> Networks:
        """Networks before training; all are trained."""

    @abstractmethod
    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """L."""

    @property
    def noise(self) -> Mapping[str, NoiseSpec]:
        """What ``losses`` draws."""
        return {}

    def fit(self, view: TrainView) -> Fit:
        s, regions = self.settings, view.regions
        assert regions is not None
        _, channels = region_shape(view)
        trained = tuple(self.initial(channels, Streams(0, view.labels.device)))
        rule = Optimizer("rmsprop", lr=s.lr, weight_decay=s.weight_decay, momentum=s.momentum)
        return Program(
            initial=lambda streams: self.initial(channels, streams),
            passes=((Step(self.name, self.losses, updates=trained, noise=self.noise),),),
            optimizers=dict.fromkeys(trained, rule),
            features=regions,
            labels=view.labels,
            epochs=s.epochs,
            iterations=s.iterations,
            batch_size=s.batch_size,
            sampler=s.sampler,
        )


class DAZLE(AttentionEmbedding):
    """Region features f (b, R, dv) → weighted attribute scores β ⊙ e (b, A)."""

    settings: DAZLESettings
    name = "dazle"

    def attend(self, nets: Networks, f: Float[Tensor, "b regions dv"]) -> tuple[Tensor, Tensor, Tensor]:
        """α (b, R, A), and e and β (b, A)."""
        v = self.vectors(nets)
        queries, values = v @ nets["attention"]["w_2"], v @ nets["projection"]["w_1"]
        if not self.settings.attribute_attention:
            alpha, e = attend(unit(f), queries, values)
            return alpha, e, torch.ones_like(e)
        alpha, e, weighting = attend(unit(f), queries, values, v @ nets["weighting"]["w_3"])
        return alpha, e, torch.sigmoid(weighting)

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        ce, calibration = self.head_loss(self.embed(nets, batch.features), batch.labels)
        logged = {"classes": ce, "calibration": calibration}
        return Losses(ce + self.settings.lambda_cal * calibration, logged)

    def initial(self, channels: int, streams: Streams) -> Networks:
        """W_1 ~ N(0, 1), W_2 = W_3 = 0: attention starts uniform (code)."""
        nets = initial_attention(self.space, self.name, channels, streams)
        if self.settings.attribute_attention:
            nets["weighting"] = {"w_3": torch.zeros_like(nets["attention"]["w_2"])}
        return nets

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n attributes"]:
        """β ⊙ e."""
        _, e, beta = self.attend(nets, inputs)
        return beta * e

    def attention(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Attention:
        """α, β ⊙ e, and the share of each region in all attributes' attention, weighted by β."""
        alpha, e, beta = self.attend(nets, inputs)
        return Attention(alpha.mT, beta * e, (alpha * beta[:, None]).sum(dim=2))
