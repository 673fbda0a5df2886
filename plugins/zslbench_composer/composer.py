"""Composer (Huynh & Elhamifar, NeurIPS 2020). The symbols are DAZLE's, by the same authors; the computation
follows the released code, and the paper's equation numbers were not available. Region features have unit
length.

With attribute vectors v_a, class semantics z_c of unit length, and regions f_r of an image i of class y_i::

    α_ra = softmax_r(v_aᵀ W_2 f_r),  h_a = Σ_r α_ra f_r            attribute-based features
    e_a  = v_aᵀ W_1 h_a,             s_c = Σ_a z_ca e_a            attribute and class scores
    phase 1: CE(s, y) over the seen classes trains v, W_1 and W_2

    S    = the at most k images whose z_y represent z_u in non-negative OMP over the batch
    p_i  ∝ exp(T ⟨z_u, z_{y_i}⟩) for i in S                        sources of an unseen class u
    h'_a = h_a of image i_a, with i_a ~ p for every attribute      a composition, of which n are drawn
    best   argmax log softmax_u(s'(h')) + Σ_a log p(i_a)
    s'_c = s_c + margin of unseen classes, at test too
    phase 2: CE(s', y) + λ CE(s'(best h'), u) over all classes trains v and W_1

No gradient reaches the composed features h'. Since e_a reads h_a alone, a composition is made of entries e_a.
"""

from __future__ import annotations

from collections.abc import Generator as Coroutine
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin import (
    Attention,
    Batch,
    Choice,
    Derived,
    Losses,
    Networks,
    Noise,
    NoiseSpec,
    Optimizer,
    Program,
    Step,
    Streams,
    TrainView,
    Uniform,
)
from zslbench.training import cross_entropy, pick, unit
from zslbench_common.attribute_attention import AttributeEmbedding, attend, initial_attention
from zslbench_common.regions import region_shape
from zslbench_composer.matching_pursuit import support
from zslbench_composer.settings import ComposerSettings


class Composer(AttributeEmbedding):
    """g is e. The networks are ``vectors`` (v), ``projection`` (W_1, (words, dv)) and ``attention`` (W_2)."""

    settings: ComposerSettings

    def attend(
        self, nets: Networks, f: Float[Tensor, "b regions dv"]
    ) -> tuple[Float[Tensor, "b regions attributes"], Float[Tensor, "b regions attributes"]]:
        """α, and v_aᵀ W_1 f_r of every region, which add up to e: e_a = Σ_r α_ra v_aᵀ W_1 f_r."""
        v, f = self.vectors(nets), unit(f)
        (alpha,) = attend(f, v @ nets["attention"]["w_2"])
        return alpha, f @ (v @ nets["projection"]["w_1"]).T

    def scores_with_margin(self, e: Float[Tensor, "b attributes"]) -> Float[Tensor, "b classes"]:
        """s'."""
        return self.with_margin(self.class_scores(e))

    # --- phase 1 -----------------------------------------------------------------------------------------

    def seen_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """CE(s, y) over the seen classes."""
        s = self.class_scores(self.embed(nets, batch.features))
        return Losses(cross_entropy(s, batch.labels, self.space.seen), {})

    # --- phase 2 -----------------------------------------------------------------------------------------

    def sources(
        self,
        e: Float[Tensor, "z attributes"],
        labels: Int[Tensor, " z"],
        targets: Int[Tensor, " b"],
        noise: Float[Tensor, "b candidates attributes"],
    ) -> Int[Tensor, "b attributes"]:
        """The image of the batch that each attribute of the best composition comes from.

        Args:
            e: the batch's attribute scores.
            labels: the batch's classes.
            targets: the classes u to compose.
            noise: uniform on [0, 1), one for every attribute of every candidate.
        """
        s, e, z = self.settings.phase2, e.detach(), self.semantics
        atoms, used = support(z[labels], z[targets], s.support)  # (b, k)
        likeness = (z[targets][:, None] * z[labels][atoms]).sum(dim=2)  # ⟨z_u, z_y⟩
        log_p = torch.log_softmax(torch.where(used, s.temperature * likeness, -torch.inf), dim=1)
        # i_a: how many of the cumulated probabilities, without the last, are at most the noise.
        steps = log_p.exp().cumsum(dim=1)[:, :-1]
        which = (noise[..., None] >= steps[:, None, None]).sum(dim=3)  # (b, n, A)
        composed, prior = torch.zeros_like(noise), torch.zeros_like(noise)
        for i in range(s.support):
            here = which == i
            composed = torch.where(here, e[atoms[:, i]][:, None], composed)
            prior = torch.where(here, log_p[:, i, None, None], prior)
        scores = self.scores_with_margin(composed.flatten(0, 1))
        repeated = targets[:, None].expand(noise.shape[:2]).flatten()
        log_posterior = (pick(scores, repeated) - torch.logsumexp(scores, dim=1)).reshape(noise.shape[:2])
        best = (log_posterior + prior.sum(dim=2)).argmax(dim=1)
        chosen = which.gather(1, best[:, None, None].expand(-1, 1, which.shape[2]))[:, 0]
        return atoms.gather(1, chosen)

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """CE(s', y) + λ CE(s'(best h'), u) over all classes."""
        alpha, values = self.attend(nets, batch.features)
        e, detached = (alpha * values).sum(dim=1), (alpha.detach() * values).sum(dim=1)
        sources = self.sources(e, batch.labels, noise["targets"], noise["sources"])
        images = torch.arange(len(detached), device=detached.device)
        composed = torch.where(sources[..., None] == images, detached.T, 0).sum(dim=2)
        real = cross_entropy(self.scores_with_margin(e), batch.labels)
        of_composed = cross_entropy(self.scores_with_margin(composed), noise["targets"])
        return Losses(
            real + self.settings.phase2.composed_weight * of_composed, {"real": real, "composed": of_composed}
        )

    # --- training ----------------------------------------------------------------------------------------

    def fit(self, view: TrainView) -> Coroutine[Program | Derived, Networks, Networks]:
        """Phase 1, then phase 2 with W_2 frozen."""
        s = self.settings.phase2
        phase1 = Step("phase1", self.seen_losses, ("vectors", "projection", "attention"))
        nets = yield self.program("phase1", phase1, view, partial(self.initial, view), paced=False)
        trained = {name: nets[name] for name in ("vectors", "projection")}
        noise: dict[str, NoiseSpec] = {
            "targets": Choice(self.space.unseen),
            "sources": Uniform((s.candidates, self.space.semantics.shape[1])),
        }
        phase2 = Step("phase2", self.losses, tuple(trained), noise)
        return nets | (
            yield self.program(
                "phase2", phase2, view, lambda streams: trained, frozen={"attention": nets["attention"]}
            )
        )

    def initial(self, view: TrainView, streams: Streams) -> Networks:
        """v of unit length, W_1 ~ N(0, 1), W_2 = 0: attention starts uniform (code)."""
        return initial_attention(self.space, "composer", region_shape(view)[1], streams)

    def program(self, name: str, step: Step, view: TrainView, initial: Any, **rest: Any) -> Program:
        """One step per batch, with the settings of the phase ``name``."""
        s = getattr(self.settings, name)
        rule = Optimizer("rmsprop", lr=s.lr, weight_decay=s.weight_decay, momentum=s.momentum)
        assert view.regions is not None
        return Program(
            name=name,
            initial=initial,
            passes=((step,),),
            optimizers=dict.fromkeys(step.updates, rule),
            features=view.regions,
            labels=view.labels,
            epochs=s.epochs,
            iterations=s.iterations,
            batch_size=s.batch_size,
            sampler=s.sampler,
            key=self.settings.through(name),
            **rest,
        )

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n attributes"]:
        """e."""
        alpha, values = self.attend(nets, inputs)
        return (alpha * values).sum(dim=1)

    def attention(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Attention:
        """α, e, and the mean of α over the attributes."""
        alpha, values = self.attend(nets, inputs)
        return Attention(alpha.mT, (alpha * values).sum(dim=1), alpha.mean(dim=2))
