"""FREE (Chen et al., ICCV 2021): feature refinement on top of f-VAEGAN. Its terms are cited by name.

========= ========================================================================= =========================
L_V, L_W  f-VAEGAN's                                                                :class:`.FVAEGAN`
FR        x ↦ h, μ, σ, â = sigmoid(μ + σ ε)                                         :func:`.networks.refine`
L_SAMC    E max(0, Δ + γ‖μ − c_y‖² − (1 − γ)‖μ − c_y′‖²), real x, y′ ≠ y            :func:`samc_loss`
L_R-SC    E‖â − a‖₁ of real x (for FR) + E‖â − a‖₁ of x̂ (for E, G and FR)          :meth:`FREE.semantic_loss`
total     L_V + λ_W L_W + λ_SAMC L_SAMC + λ_R-SC L_R-SC                             :meth:`FREE.steps`
refined   [x, h, â]                                                                 :meth:`FREE.transform`
========= ========================================================================= =========================

The class semantics a are scaled to unit length, as in the released code. Where that code departs from the
paper, the settings ``reconstruction_norm``, ``own_class`` and ``code`` say so; the reading ``authors`` sets
them. Two of its faults are in no reading: it never clears the gradients of the centres, so that each of their
updates sees the sum over all steps so far, and it still applies Adam's momentum to a frozen FR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin import (
    Batch,
    Choice,
    Losses,
    Networks,
    Noise,
    NoiseSpec,
    Normal,
    Optimizer,
    Step,
    Streams,
)
from zslbench.training import pick, unit
from zslbench_common.norms import l1, weighted_l1
from zslbench_free import networks
from zslbench_free.networks import refine
from zslbench_free.settings import FREESettings
from zslbench_tf_vaegan.f_vaegan import FVAEGAN


def squared_distances(
    mean: Float[Tensor, "b a"], centres: Float[Tensor, "classes a"]
) -> Float[Tensor, "b classes"]:
    """‖μ − c‖² for every centre."""
    norms: Tensor = (mean**2).sum(dim=1, keepdim=True) + (centres**2).sum(dim=1)
    return norms - 2 * mean @ centres.T


def samc_loss(
    mean: Float[Tensor, "b a"],
    own: Int[Tensor, " b"],
    other: Int[Tensor, " b"],
    centres: Float[Tensor, "classes a"],
    margin: float,
    gamma: float,
) -> Float[Tensor, ""]:
    """L_SAMC, the self-adaptive margin centre loss, for the rows ``own`` (c_y) and ``other`` (c_y′) of the
    centres."""
    distances = squared_distances(mean, centres)
    hinge = margin + gamma * pick(distances, own) - (1 - gamma) * pick(distances, other)
    return hinge.clamp_min(0).mean()


def nearest_other(
    mean: Float[Tensor, "b a"], own: Int[Tensor, " b"], centres: Float[Tensor, "classes a"]
) -> Int[Tensor, " b"]:
    """y′ as the class, other than the own one, whose centre is nearest to μ."""
    ids = torch.arange(len(centres), device=own.device)
    return squared_distances(mean, centres).masked_fill(own[:, None] == ids, torch.inf).argmin(dim=1)


class FREE(FVAEGAN):
    """f-VAEGAN with a feature refinement network FR and a centre for each seen class."""

    settings: FREESettings
    name = "free"

    def refiner_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """λ_SAMC L_SAMC + λ_R-SC L_R-SC on real x, for FR and the centres."""
        s, centres = self.settings, nets["centres"]["centres"]
        real = refine(nets["refiner"], batch.features, noise["code"])
        own = (batch.labels[:, None] == self.space.seen).to(torch.int64).argmax(dim=1)
        if s.negative == "nearest":
            other = nearest_other(real.mean, own, centres)
        else:
            other = (own + noise["offset"]) % len(centres)
        samc = samc_loss(real.mean, own, other, centres, s.margin, s.gamma)
        semantic = self.semantic_loss(real.code, unit(batch.semantics))
        total = s.samc_weight * samc + s.semantic_weight * semantic
        return Losses(total, {"samc": samc, "semantic": semantic})

    def semantic_loss(self, code: Float[Tensor, "b a"], a: Float[Tensor, "b a"]) -> Float[Tensor, ""]:
        """One term of L_R-SC, in the norm of the settings."""
        return l1(code, a) if self.settings.reconstruction_norm == "l1" else weighted_l1(code, a)

    def losses_on_fake(
        self, nets: Networks, batch: Batch, noise: Noise, fake: Float[Tensor, "b d"]
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """λ_R-SC L_R-SC on x̂."""
        code = refine(nets["refiner"], fake, noise["code"]).code
        loss = self.semantic_loss(code, unit(batch.semantics))
        return {"semantic": (self.settings.semantic_weight * loss, loss)}

    def transform(self, nets: Networks, g: Float[Tensor, "n d"], noise: Noise) -> Float[Tensor, "n e"]:
        """[x, h, â], in this order: the fully refined feature; â is sigmoid(μ), or a draw by the settings."""
        refined = refine(nets["refiner"], g, noise.get("code") if self.draws_at_test else None)
        return torch.cat([g, refined.hidden, refined.code], dim=1)

    # --- what is trained, and how ----------------------------------------------------------------------

    @property
    def draws_at_test(self) -> bool:
        return self.settings.code == "draw"

    @property
    def transform_noise(self) -> Mapping[str, NoiseSpec]:
        return self.code_noise if self.draws_at_test else {}

    @property
    def code_noise(self) -> dict[str, NoiseSpec]:
        """ε of â."""
        return {"code": Normal((self.space.semantics.shape[1],))}

    def initial(self, streams: Streams, d: int) -> Networks:
        """Untrained networks."""
        attributes, seen = self.space.semantics.shape[1], len(self.space.seen)
        return networks.initial(streams, d, attributes, self.settings.hidden, self.latent, seen)

    def passes(self) -> tuple[tuple[Step, ...], ...]:
        return (self.steps(),) * self.settings.passes

    def steps(self, *, feedback: bool = False) -> tuple[Step, ...]:
        """One pass: FR and critic on fresh batches, then E, G and FR on the last of them."""
        s, seen = self.settings, self.space.seen
        critic, *_, generator = super().steps(feedback=feedback)
        offsets = torch.arange(0 if s.own_class else 1, len(seen), device=seen.device)
        refiner = Step(
            "refiner",
            self.refiner_losses,
            updates=("refiner", "centres"),
            noise=self.code_noise | ({"offset": Choice(offsets)} if s.negative == "random" else {}),
        )
        generator = replace(
            generator,
            updates=(*generator.updates, *(() if s.freeze_refiner else ("refiner",))),
            noise={**generator.noise, **self.code_noise},
        )
        return (refiner, replace(critic, fresh_batch=False)) * s.critic_steps + (generator,)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Adam for every network."""
        rules = super().optimizers()
        refiner = replace(rules["generator"], lr=self.settings.refiner_lr)
        return {**rules, "refiner": refiner, "centres": rules["generator"]}
