"""EGGN, the embedding guided generative network (section 3.2). Equation numbers are the SC-EGG paper's.

====== ==================================== =====================================================
(9)    L_VG = L_VAE + λ_w L_WGAN + λ_r L_Rec :meth:`TFVAEGAN.losses_and_reconstruction`, inherited
(10)   L_VAE                                :func:`zslbench_tf_vaegan.f_vaegan.vae_loss`
(11)   L_WGAN                               :meth:`TFVAEGAN.critic_losses`, inherited
(12)   L_Rec                                :meth:`TFVAEGAN.reconstruction_loss`, inherited
(13)   L_EGS = λ_s L_SCE + λ_u L_UCE        :meth:`EGGN.guided_losses`
(14)   L_SCE                                :meth:`EGGN.guidance` of :meth:`EGGN.seen_features`
(15)   L_UCE                                :meth:`EGGN.guidance` of features of unseen classes
(18)   L_S3 = L_VG + L_EGS                  :meth:`EGGN.guided_losses`
====== ==================================== =====================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin import (
    Batch,
    Choice,
    ClassSpace,
    Guide,
    Losses,
    Networks,
    Noise,
    NoiseSpec,
    Normal,
    Program,
    Step,
    TrainView,
)
from zslbench.training import cross_entropy, unit
from zslbench_sc_egg.differences import warn_of_uneven_batches
from zslbench_sc_egg.settings import EGGNSettings
from zslbench_tf_vaegan.generator import TFVAEGAN
from zslbench_tf_vaegan.networks import generate


class EGGN(TFVAEGAN):
    """As printed: TF-VAEGAN on g, guided by CLS_g or by another embedding's class scores."""

    settings: EGGNSettings
    name = "eggn"

    def guided_losses(
        self, nets: Networks, batch: Batch, noise: Noise, *, guide: Guide, feedback: bool
    ) -> Losses:
        """L_S3 = L_VG + L_EGS, eq. (18), with L_EGS = λ_s L_SCE + λ_u L_UCE, eq. (13)."""
        s = self.settings
        basic, reconstruction = self.losses_and_reconstruction(nets, batch, noise, feedback=feedback)  # (9)
        total, log = basic.total, dict(basic.log)
        if s.lambda_s:
            seen = self.seen_features(nets, batch, noise, reconstruction)
            log["seen_guidance"] = self.guidance(nets, guide, seen, batch.labels)  # (14)
            total = total + s.lambda_s * log["seen_guidance"]  # (13)
        if s.lambda_u:
            labels = noise["unseen_class"]
            a = unit(self.space.semantics[labels])
            unseen = generate(nets["generator"], noise["unseen_prior"], a)
            log["unseen_guidance"] = self.guidance(nets, guide, unseen, labels)  # (15)
            total = total + s.lambda_u * log["unseen_guidance"]  # (13)
        return basic._replace(total=total, log=log)  # (18)

    def guidance(
        self, nets: Networks, guide: Guide, fake: Float[Tensor, "b d"], labels: Int[Tensor, " b"]
    ) -> Float[Tensor, ""]:
        """L_SCE or L_UCE, eqs. (14), (15): cross-entropy of CLS_g(ĝ) over all classes; CLS_g is frozen."""
        return cross_entropy(guide.scores({name: nets[name] for name in guide.networks}, fake), labels)

    def seen_features(
        self, nets: Networks, batch: Batch, noise: Noise, reconstruction: Tensor
    ) -> Float[Tensor, "b d"]:
        """ĝ_s of eq. (14): G(ε, a_s) with ε ~ N(0, I)."""
        return generate(nets["generator"], noise["seen_prior"], unit(batch.semantics))

    @property
    def seen_noise(self) -> Mapping[str, NoiseSpec]:
        """What :meth:`seen_features` draws."""
        return {"seen_prior": Normal((self.latent,))}

    fresh_generator_batch: ClassVar[bool] = False
    """Whether the generator step draws its own batch, or takes the last critic step's."""

    # --- what is trained, and how ------------------------------------------------------------------------

    def __new__(cls, settings: EGGNSettings | None = None, space: ClassSpace | None = None) -> EGGN:
        """The class of the reading that the settings name; a copy has no settings yet and keeps its class."""
        authors = settings is not None and settings.reading == "authors"
        return super().__new__(AuthorsEGGN if authors else cls)

    def fit(self, view: TrainView) -> Program:
        s, program = self.settings, super().fit(view)
        warn_of_uneven_batches("eggn", s.sampler, s.batch_size, len(self.space.seen))
        guided = s.lambda_s > 0 or s.lambda_u > 0
        if guided and view.guide is None:
            raise ZslbenchError(
                "generator eggn: the embedding offers no class scores for L_EGS (eq. 13); use one that does, "
                "such as scen, or set lambda_s and lambda_u to 0"
            )
        guide = view.guide if guided else None
        clash = {*guide.networks} & {*program.optimizers, "state"} if guide else set()
        if clash:
            raise ZslbenchError(f"generator eggn: its networks and the guide's share names: {sorted(clash)}")
        return replace(
            program,
            passes=tuple(
                tuple(self.guided(step, guide, self.feeds_back(number)) for step in steps)
                for number, steps in enumerate(program.passes)
            ),
            frozen=guide.networks if guide else {},
            sampler=s.sampler,
        )

    def guided(self, step: Step, guide: Guide | None, feedback: bool) -> Step:
        """A generator step with L_EGS; other steps stay as they are."""
        s = self.settings
        if step.name != "generator":
            return step
        step = replace(step, fresh_batch=self.fresh_generator_batch)
        if guide is None:
            return step
        noise: dict[str, NoiseSpec] = dict(step.noise)
        if s.lambda_s:
            noise |= self.seen_noise
        if s.lambda_u:
            noise |= {"unseen_class": Choice(self.space.unseen), "unseen_prior": Normal((self.latent,))}
        losses = partial(self.guided_losses, guide=guide, feedback=feedback)
        return replace(step, losses=losses, noise=noise)


class AuthorsEGGN(EGGN):
    """As the authors' code computes it. Row numbers are those of :mod:`zslbench_sc_egg.differences`."""

    fresh_generator_batch = True  # row 24

    def seen_features(
        self, nets: Networks, batch: Batch, noise: Noise, reconstruction: Tensor
    ) -> Float[Tensor, "b d"]:
        """Row 19: the reconstruction G(E(g, a), a)."""
        return reconstruction

    @property
    def seen_noise(self) -> Mapping[str, NoiseSpec]:
        """Row 19: none."""
        return {}
