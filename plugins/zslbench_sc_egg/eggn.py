"""EGGN, the embedding guided generative network (section 3.2): TF-VAEGAN and the guidance of CLS_g."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import Tensor

from zslbench import ZslbenchError
from zslbench.plugin.interfaces import (
    Batch,
    Choice,
    Fit,
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
from zslbench.training import cross_entropy
from zslbench_sc_egg.batches import warn_of_uneven
from zslbench_sc_egg.settings import EGGNSettings
from zslbench_tf_vaegan.generator import TFVAEGAN
from zslbench_tf_vaegan.losses import generator_parts
from zslbench_tf_vaegan.networks import generate


class EGGN(TFVAEGAN):
    """Eqs. (9)-(15) and (18); the guide is any embedding's that has class scores."""

    settings: EGGNSettings
    name = "eggn"

    def fit(self, view: TrainView) -> Fit:
        s = self.settings
        program = super().fit(view)
        assert isinstance(program, Program)
        warn_of_uneven("eggn", s.sampler, s.batch_size, len(self.space.seen))
        guided = s.lambda_s > 0 or s.lambda_u > 0
        if guided and view.guide is None:
            raise ZslbenchError(
                "generator eggn: the embedding has no class scores to guide it (L_EGS, eq. 13); use one that "
                "has, as scen, or set lambda_s and lambda_u to 0"
            )
        guide = view.guide if guided else None
        clash = (
            {*guide.networks} & {*program.optimizers, *(["state"] if program.state else [])}
            if guide
            else set()
        )
        if clash:
            raise ZslbenchError(
                f"generator eggn: the guide's networks have names of its own: {sorted(clash)}"
            )
        return replace(
            program,
            passes=tuple(
                tuple(self._guided(step, guide, number > 0) for step in steps)
                for number, steps in enumerate(program.passes)
            ),
            frozen=guide.networks if guide else {},
            sampler=s.sampler,
        )

    def _guided(self, step: Step, guide: Guide | None, later: bool) -> Step:
        """A generator step with L_EGS; critic steps stay as they are."""
        s = self.settings
        if step.name != "generator":
            return step
        step = replace(step, fresh_batch=s.fresh_generator_batch)
        if guide is None:
            return step
        noise: dict[str, NoiseSpec] = dict(step.noise)
        if s.lambda_s and s.seen_samples == "prior":
            noise["seen_prior"] = Normal((self.latent,))
        if s.lambda_u:
            noise |= {"unseen_class": Choice(self.space.unseen), "unseen_prior": Normal((self.latent,))}
        feedback = s.feedback and later
        return replace(step, losses=partial(self.losses, guide=guide, feedback=feedback), noise=noise)

    def losses(self, nets: Networks, batch: Batch, noise: Noise, *, guide: Guide, feedback: bool) -> Losses:
        """L_S3 = L_VG + L_EGS, eq. (18)."""
        s = self.settings
        basic, reconstruction = generator_parts(nets, batch, noise, s, feedback=feedback)
        total, log = basic.total, dict(basic.log)
        if s.lambda_s:
            seen = reconstruction
            if s.seen_samples == "prior":
                seen = generate(nets["generator"], noise["seen_prior"], batch.semantics)
            log["seen_guidance"] = self._guidance(nets, guide, seen, batch.labels)
            total = total + s.lambda_s * log["seen_guidance"]
        if s.lambda_u:
            labels = noise["unseen_class"]
            unseen = generate(nets["generator"], noise["unseen_prior"], self.space.semantics[labels])
            log["unseen_guidance"] = self._guidance(nets, guide, unseen, labels)
            total = total + s.lambda_u * log["unseen_guidance"]
        return basic._replace(total=total, log=log)

    @staticmethod
    def _guidance(nets: Networks, guide: Guide, fake: Tensor, labels: Tensor) -> Tensor:
        """L_SCE or L_UCE, eqs. (14), (15): cross-entropy of CLS_g(ĝ) over all classes; CLS_g is frozen."""
        held = {name: nets[name] for name in guide.networks}
        return cross_entropy(guide.scores(held, fake), labels)
