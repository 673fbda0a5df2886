"""TF-VAEGAN (Narayan et al., ECCV 2020). Its terms are cited by name.

=========== ===================================================== ======================================
L_V         KL(E(x, a) ‖ N(0, I)) − E[log G(z, a)]                :func:`.f_vaegan.vae_loss`
L_W         E[D(x, a)] − E[D(x̂, a)] − λ E[(‖∇D(x′, a)‖₂ − 1)²]   :meth:`.FVAEGAN.critic_losses`
L_R         E‖Dec(x) − a‖₁ + E‖Dec(x̂) − a‖₁                      :func:`weighted_l1` or :func:`l1`
L_total     L_V + α L_W + β L_R                                   :meth:`.losses_and_reconstruction`
feedback    G(z, a; δ F(h)), h the hidden layer of Dec(G(z, a))   :meth:`.synthesise`
transform   [x, Dec(x), h]                                        :meth:`.transform`
=========== ===================================================== ======================================

The class semantics a are scaled to unit length, as in the released code; Dec's output has unit length too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Batch, Losses, Networks, Noise, Optimizer, Step
from zslbench.training import unit
from zslbench_common.norms import l1, weighted_l1
from zslbench_tf_vaegan.f_vaegan import FVAEGAN
from zslbench_tf_vaegan.networks import decode, feed_back, generate
from zslbench_tf_vaegan.settings import TFVAEGANSettings


class TFVAEGAN(FVAEGAN):
    """f-VAEGAN with a semantic decoder Dec and a feedback module F."""

    settings: TFVAEGANSettings
    name = "tf-vaegan"

    def feedback(
        self, nets: Networks, fake: Float[Tensor, "b d"], strength: float
    ) -> Float[Tensor, "b hidden"]:
        """δ·F(h), to be added to G's hidden layer; h is the hidden layer of Dec(x̂)."""
        _, hidden = decode(nets["decoder"], fake)
        # The released code detaches the hidden layer: the decoder learns nothing through F.
        return strength * feed_back(nets["feedback"], hidden.detach())

    def refine(self, nets: Networks, z: Tensor, a: Tensor, strength: float) -> Float[Tensor, "b d"]:
        """G(z, a) by a second pass through G, with feedback of strength δ."""
        fake = generate(nets["generator"], z, a)
        return generate(nets["generator"], z, a, self.feedback(nets, fake, strength))

    def synthesise(self, nets: Networks, z: Tensor, a: Tensor, *, feedback: bool) -> Float[Tensor, "b d"]:
        """x̂ = G(z, a), refined by feedback of strength a1 if ``feedback``."""
        if feedback:
            return self.refine(nets, z, a, self.settings.a1)
        return generate(nets["generator"], z, a)

    def synthesise_from_prior(
        self, nets: Networks, z: Tensor, a: Tensor, reconstruction: Tensor, *, feedback: bool
    ) -> Float[Tensor, "b d"]:
        """The released code takes the feedback of a prior sample from the reconstruction's decoding."""
        refined = self.feedback(nets, reconstruction, self.settings.a1) if feedback else None
        return generate(nets["generator"], z, a, refined)

    def reconstruction_loss(self, decoded: Tensor, a: Tensor) -> Float[Tensor, ""]:
        """One term of L_R, in the norm of the settings."""
        return l1(decoded, a) if self.settings.reconstruction_norm == "l1" else weighted_l1(decoded, a)

    def decoder_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """β L_R on real x, for Dec."""
        loss = self.reconstruction_loss(decode(nets["decoder"], batch.features)[0], unit(batch.semantics))
        return Losses(self.settings.lambda_r * loss, {"semantic_reconstruction": loss})

    def losses_on_fake(
        self, nets: Networks, batch: Batch, noise: Noise, fake: Float[Tensor, "b d"]
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """β L_R on x̂."""
        if not self.settings.decoder:
            return {}
        loss = self.reconstruction_loss(decode(nets["decoder"], fake)[0], unit(batch.semantics))
        return {"semantic_reconstruction": (self.settings.lambda_r * loss, loss)}

    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        """G(ε, a) with one feedback pass of strength a2."""
        if not self.settings.feedback:
            return super().sample(nets, semantics, noise)
        return self.refine(nets, noise["prior"], unit(semantics), self.settings.a2)

    def transform(self, nets: Networks, g: Float[Tensor, "n d"], noise: Noise) -> Float[Tensor, "n e"]:
        """[x, Dec(x), h], in this order: what the classifier sees."""
        if not self.settings.transform:
            return g
        decoded, hidden = decode(nets["decoder"], g)
        return torch.cat([g, decoded, hidden], dim=1)

    # --- what is trained, and how ----------------------------------------------------------------------

    def passes(self) -> tuple[tuple[Step, ...], ...]:
        """One pass over the data without feedback, one with it, and any further ones without it."""
        return tuple(
            self.steps(feedback=self.feeds_back(number)) for number in range(self.settings.feedback_loops)
        )

    def feeds_back(self, number: int) -> bool:
        """Whether pass ``number`` of an epoch, from 0, has feedback; in the released code, the second has."""
        return self.settings.feedback and number == 1

    def steps(self, *, feedback: bool = False) -> tuple[Step, ...]:
        """Steps of Dec and the critic on fresh batches, then a generator step on the last of them.

        As in the released code Dec is updated first, so that the critic's fake samples get the feedback of
        the updated one.
        """
        s, steps = self.settings, super().steps(feedback=feedback)
        if not s.decoder:
            return steps
        critic, *_, generator = steps
        trained = [*generator.updates]
        if not s.freeze_decoder:
            trained.append("decoder")
        if feedback:
            trained.append("feedback")
        decoder = Step("decoder", self.decoder_losses, updates=("decoder",))
        critic, generator = replace(critic, fresh_batch=False), replace(generator, updates=tuple(trained))
        return (decoder, critic) * s.critic_steps + (generator,)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Adam for every network."""
        s = self.settings
        adam = partial(Optimizer, "adam", betas=(s.beta1, 0.999))
        rules = dict(super().optimizers())
        if s.decoder:
            rules["decoder"] = adam(lr=s.decoder_lr)
        if s.feedback:
            rules["feedback"] = adam(lr=s.feedback_lr)
        return rules
