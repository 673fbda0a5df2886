"""TF-VAEGAN (Narayan et al., ECCV 2020). Its terms are cited by name.

=========== ===================================================== ======================================
L_V         KL(E(x, a) ‖ N(0, I)) − E[log G(z, a)]                :func:`vae_loss`
L_W         E[D(x, a)] − E[D(x̂, a)] − λ E[(‖∇D(x′, a)‖₂ − 1)²]   :meth:`.critic_losses`
L_R         E‖Dec(x) − a‖₁ + E‖Dec(x̂) − a‖₁                      :func:`weighted_l1` or :func:`l1`
L_total     L_V + α L_W + β L_R                                   :meth:`.losses_and_reconstruction`
feedback    G(z, a; δ F(h)), h the hidden layer of Dec(G(z, a))   :meth:`.synthesise`
transform   [x, Dec(x), h]                                        :meth:`.transform`
=========== ===================================================== ======================================

The class semantics a are scaled to unit length, as in the released code; Dec's output has unit length too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin import (
    Batch,
    Generator,
    Losses,
    Networks,
    Noise,
    NoiseSpec,
    Normal,
    Optimizer,
    Program,
    Step,
    Streams,
    TrainView,
    Uniform,
)
from zslbench.training import adapt_penalty_weight, binary_cross_entropy, two_layer_gradient_penalty
from zslbench_tf_vaegan import networks
from zslbench_tf_vaegan.networks import criticise, decode, encode, feed_back, generate, unit
from zslbench_tf_vaegan.settings import TFVAEGANSettings


def vae_loss(
    x: Float[Tensor, "b d"],
    reconstruction: Float[Tensor, "b d"],
    mean: Float[Tensor, "b z"],
    logvar: Float[Tensor, "b z"],
) -> Float[Tensor, ""]:
    """L_V: binary cross-entropy plus KL to N(0, I), summed over dimensions, averaged over b.

    1e-12 is added to the reconstruction, as in the released code, where it bounds −log at 27.6.
    """
    kl: Tensor = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum()
    return (binary_cross_entropy(reconstruction + 1e-12, x, reduction="sum") + kl) / x.shape[0]


def weighted_l1(decoded: Float[Tensor, "b a"], a: Float[Tensor, "b a"]) -> Float[Tensor, ""]:
    """One term of L_R as the released code computes it: (1/b) Σ_b Σ_i |d_i|³ / ‖d‖₂.

    The L1 norm of d = Dec(x) − a, weighted by d²/‖d‖; the weights are part of the gradient.
    """
    d = decoded - a
    total: Tensor = (d.abs() ** 3 / d.norm(dim=-1, keepdim=True).clamp_min(1e-12)).sum()
    return total / d.shape[0]


def l1(decoded: Float[Tensor, "b a"], a: Float[Tensor, "b a"]) -> Float[Tensor, ""]:
    """One term of L_R as printed: the mean over b of ‖d‖₁."""
    return (decoded - a).abs().sum(dim=-1).mean()


def reparameterise(mean: Tensor, logvar: Tensor, noise: Float[Tensor, "b z"]) -> Float[Tensor, "b z"]:
    """z = μ + σ·ε."""
    return mean + (0.5 * logvar).exp() * noise


class TFVAEGAN(Generator):
    """Features x in [0, 1] (b, d) from class semantics a (b, A): E, G, D, Dec and the feedback module F."""

    settings: TFVAEGANSettings
    name: ClassVar[str] = "tf-vaegan"
    """The registered name, for messages."""

    def feedback(
        self, nets: Networks, fake: Float[Tensor, "b d"], strength: float
    ) -> Float[Tensor, "b hidden"]:
        """δ·F(h), to be added to G's hidden layer; h is the hidden layer of Dec(x̂)."""
        _, hidden = decode(nets["decoder"], fake)
        # The released code detaches the hidden layer: the decoder learns nothing through F.
        return strength * feed_back(nets["feedback"], hidden.detach())

    def synthesise(
        self, nets: Networks, z: Tensor, a: Tensor, strength: float | None
    ) -> Float[Tensor, "b d"]:
        """x̂ = G(z, a), refined by a second pass with feedback of strength δ; None: one pass."""
        fake = generate(nets["generator"], z, a)
        if strength is None:
            return fake
        return generate(nets["generator"], z, a, self.feedback(nets, fake, strength))

    def reconstruction_loss(self, decoded: Tensor, a: Tensor) -> Float[Tensor, ""]:
        """One term of L_R, in the norm of the settings."""
        return l1(decoded, a) if self.settings.reconstruction_norm == "l1" else weighted_l1(decoded, a)

    def decoder_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """β L_R on real x, for Dec."""
        loss = self.reconstruction_loss(decode(nets["decoder"], batch.features)[0], unit(batch.semantics))
        return Losses(self.settings.lambda_r * loss, {"semantic_reconstruction": loss})

    def critic_losses(self, nets: Networks, batch: Batch, noise: Noise, *, feedback: bool) -> Losses:
        """−α L_W for the critic, which maximises L_W."""
        s = self.settings
        x, a = batch.features, unit(batch.semantics)
        if s.encoded_noise:
            z = reparameterise(*encode(nets["encoder"], x, a), noise["reparameterisation"])
        else:
            z = noise["prior"]
        fake = self.synthesise(nets, z, a, s.a1 if feedback else None).detach()
        wasserstein = criticise(nets["critic"], x, a).mean() - criticise(nets["critic"], fake, a).mean()
        penalty = two_layer_gradient_penalty(nets["critic"], a, x, fake, noise["mix"])
        total = s.lambda_w * (nets["state"]["penalty_weight"] * penalty - wasserstein)
        log = {"wasserstein": wasserstein, "penalty": penalty}
        return Losses(total, log, {"penalty_sum": nets["state"]["penalty_sum"] + penalty})

    def generator_losses(self, nets: Networks, batch: Batch, noise: Noise, *, feedback: bool) -> Losses:
        """L_total = L_V + α L_W + β L_R for E, G, Dec and F; then the λ of L_W adapts."""
        return self.losses_and_reconstruction(nets, batch, noise, feedback=feedback)[0]

    def losses_and_reconstruction(
        self, nets: Networks, batch: Batch, noise: Noise, *, feedback: bool
    ) -> tuple[Losses, Float[Tensor, "b d"]]:
        """:meth:`generator_losses` and G(E(x, a), a), for methods that add a loss on the reconstruction."""
        s, state = self.settings, nets["state"]
        x, a = batch.features, unit(batch.semantics)
        mean, logvar = encode(nets["encoder"], x, a)
        z = reparameterise(mean, logvar, noise["reparameterisation"])
        reconstruction = self.synthesise(nets, z, a, s.a1 if feedback else None)
        if s.encoded_noise:
            fake = reconstruction
        else:
            # The released code takes the feedback of a prior sample from the reconstruction's decoding.
            refined = self.feedback(nets, reconstruction, s.a1) if feedback else None
            fake = generate(nets["generator"], noise["prior"], a, refined)
        vae = vae_loss(x, reconstruction, mean, logvar)
        adversarial = -criticise(nets["critic"], fake, a).mean()
        total = vae + s.lambda_w * adversarial
        log = {"vae": vae, "adversarial": adversarial, "penalty_weight": state["penalty_weight"]}
        if s.decoder:
            log["semantic_reconstruction"] = self.reconstruction_loss(decode(nets["decoder"], fake)[0], a)
            total = total + s.lambda_r * log["semantic_reconstruction"]
        weight = state["penalty_weight"]
        if s.adaptive_penalty:
            weight = adapt_penalty_weight(weight, state["penalty_sum"] / s.critic_steps)
            if s.penalty_bounds is not None:
                low, high = s.penalty_bounds
                log["penalty_bounded"] = ((weight < low) | (weight > high)).to(x.dtype)
                weight = weight.clamp(low, high)
        after = {"penalty_weight": weight, "penalty_sum": torch.zeros_like(weight)}
        return Losses(total, log, after), reconstruction

    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        """G(ε, a) with one feedback pass of strength a2."""
        strength = self.settings.a2 if self.settings.feedback else None
        return self.synthesise(nets, noise["prior"], unit(semantics), strength)

    def transform(self, nets: Networks, g: Float[Tensor, "n d"], noise: Noise) -> Float[Tensor, "n e"]:
        """[x, Dec(x), h], in this order: what the classifier sees."""
        if not self.settings.transform:
            return g
        decoded, hidden = decode(nets["decoder"], g)
        return torch.cat([g, decoded, hidden], dim=1)

    # --- what is trained, and how ----------------------------------------------------------------------

    @property
    def latent(self) -> int:
        """Size of z."""
        return self.settings.latent or self.space.semantics.shape[1]

    @property
    def per_class(self) -> int:
        return self.settings.per_class

    @property
    def sample_noise(self) -> Mapping[str, NoiseSpec]:
        return {"prior": Normal((self.latent,))}

    def fit(self, view: TrainView) -> Program:
        """One pass over the data without feedback, one with it, and any further ones without it.

        Raises:
            ZslbenchError: a feature is below 0 or above 1.
        """
        low, high = float(view.features.min()), float(view.features.max())
        if low < 0 or high > 1:
            raise ZslbenchError(
                f"generator {self.name}: training features lie in [{low:.3g}, {high:.3g}], but it "
                "reconstructs values in [0, 1]; use an embedding that scales to this range, for example "
                "--set embedding.normalize=minmax"
            )
        s = self.settings
        scalar = partial(torch.full, (), device=view.labels.device)
        return Program(
            initial=partial(self.initial, d=view.features.shape[1]),
            passes=tuple(self.steps(feedback=self.feeds_back(one)) for one in range(s.feedback_loops)),
            optimizers=self.optimizers(),
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            state={"penalty_weight": scalar(s.lambda_gp), "penalty_sum": scalar(0.0)},
        )

    def initial(self, streams: Streams, d: int) -> Networks:
        """Untrained networks."""
        s = self.settings
        nets = networks.initial(streams, d, self.space.semantics.shape[1], s.hidden, self.latent)
        if not s.decoder:
            del nets["decoder"]
        if not s.feedback:
            del nets["feedback"]
        return nets

    def feeds_back(self, number: int) -> bool:
        """Whether pass ``number`` of an epoch, from 0, has feedback; in the released code, the second has."""
        return self.settings.feedback and number == 1

    def steps(self, *, feedback: bool) -> tuple[Step, ...]:
        """Steps of Dec and the critic on fresh batches, then a generator step on the last of them.

        As in the released code Dec is updated first, so that the critic's fake samples get the feedback of
        the updated one.
        """
        s = self.settings
        code = {"reparameterisation": Normal((self.latent,))}
        prior = {} if s.encoded_noise else {"prior": Normal((self.latent,))}
        critic = Step(
            "critic",
            partial(self.critic_losses, feedback=feedback),
            updates=("critic",),
            noise={**(code if s.encoded_noise else prior), "mix": Uniform((1,))},
            fresh_batch=not s.decoder,
        )
        decoder = (Step("decoder", self.decoder_losses, updates=("decoder",)),) if s.decoder else ()
        trained = ["encoder", "generator"]
        if s.decoder and not s.freeze_decoder:
            trained.append("decoder")
        if feedback:
            trained.append("feedback")
        generator = Step(
            "generator",
            partial(self.generator_losses, feedback=feedback),
            updates=tuple(trained),
            noise={**code, **prior},
            fresh_batch=False,
        )
        return (*decoder, critic) * s.critic_steps + (generator,)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Adam for every network."""
        s = self.settings
        adam = partial(Optimizer, "adam", betas=(s.beta1, 0.999))
        rules = {"encoder": Optimizer("adam", lr=s.lr), "generator": adam(lr=s.lr), "critic": adam(lr=s.lr)}
        if s.decoder:
            rules["decoder"] = adam(lr=s.decoder_lr)
        if s.feedback:
            rules["feedback"] = adam(lr=s.feedback_lr)
        return rules
