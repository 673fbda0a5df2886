"""f-VAEGAN-D2 (Xian et al., CVPR 2019), inductive: a VAE and a WGAN that share G. Terms are cited by name.

======== ===================================================== ==================================
L_VAE    KL(E(x, a) ‖ N(0, I)) − E[log G(z, a)]                :func:`vae_loss`
L_WGAN   E[D(x, a)] − E[D(x̂, a)] − λ E[(‖∇D(x′, a)‖₂ − 1)²]   :meth:`.critic_losses`
L_VAEGAN L_VAE + γ L_WGAN                                      :meth:`.losses_and_reconstruction`
======== ===================================================== ==================================

D2, the critic of unlabelled features of unseen classes, belongs to the transductive setting and is left out.
The authors' code was not read: networks, batches and optimisers are those of TF-VAEGAN's released code,
which extends this method. The class semantics a are scaled to unit length there.
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
from zslbench.training import adapt_penalty_weight, binary_cross_entropy, two_layer_critic, unit
from zslbench_common.gaussians import reparameterise
from zslbench_tf_vaegan import networks
from zslbench_tf_vaegan.networks import criticise, encode, generate
from zslbench_tf_vaegan.settings import FVAEGANSettings


def vae_loss(
    x: Float[Tensor, "b d"],
    reconstruction: Float[Tensor, "b d"],
    mean: Float[Tensor, "b z"],
    logvar: Float[Tensor, "b z"],
) -> Float[Tensor, ""]:
    """L_VAE: binary cross-entropy plus KL to N(0, I), summed over dimensions, averaged over b.

    1e-12 is added to the reconstruction, as in the released code, where it bounds −log at 27.6.
    """
    kl: Tensor = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum()
    return (binary_cross_entropy(reconstruction + 1e-12, x, reduction="sum") + kl) / x.shape[0]


class FVAEGAN(Generator):
    """Features x in [0, 1] (b, d) from class semantics a (b, A): E, G and D.

    Methods that extend it override the parts below. ``feedback`` is for those that refine x̂ in some passes
    over the data, as TF-VAEGAN does; f-VAEGAN never does.
    """

    settings: FVAEGANSettings
    name: ClassVar[str] = "f-vaegan-d2"
    """The registered name, for messages."""

    def posterior(self, nets: Networks, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        """E(x, a): mean and log-variance of z, (b, z) each."""
        return encode(nets["encoder"], x, a)

    def synthesise(self, nets: Networks, z: Tensor, a: Tensor, *, feedback: bool) -> Float[Tensor, "b d"]:
        """x̂ = G(z, a)."""
        return generate(nets["generator"], z, a)

    def synthesise_from_prior(
        self, nets: Networks, z: Tensor, a: Tensor, reconstruction: Tensor, *, feedback: bool
    ) -> Float[Tensor, "b d"]:
        """x̂ of the generator step where D judges samples of the prior."""
        return self.synthesise(nets, z, a, feedback=feedback)

    def variational_loss(
        self, nets: Networks, batch: Batch, noise: Noise, reconstruction: Tensor, mean: Tensor, logvar: Tensor
    ) -> Float[Tensor, ""]:
        """L_VAE of the batch."""
        return vae_loss(batch.features, reconstruction, mean, logvar)

    def losses_on_fake(
        self, nets: Networks, batch: Batch, noise: Noise, fake: Float[Tensor, "b d"]
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Further losses of the generator step on x̂: with and without its weight, by name."""
        return {}

    def critic_losses(self, nets: Networks, batch: Batch, noise: Noise, *, feedback: bool = False) -> Losses:
        """−γ L_WGAN for the critic, which maximises L_WGAN."""
        s = self.settings
        x, a = batch.features, unit(batch.semantics)
        if s.encoded_noise:
            z = reparameterise(*self.posterior(nets, x, a), noise["reparameterisation"])
        else:
            z = noise["prior"]
        fake = self.synthesise(nets, z, a, feedback=feedback).detach()
        wasserstein, penalty = two_layer_critic(nets["critic"], a, x, fake, noise["mix"])
        total = s.lambda_w * (nets["state"]["penalty_weight"] * penalty - wasserstein)
        log = {"wasserstein": wasserstein, "penalty": penalty}
        return Losses(total, log, {"penalty_sum": nets["state"]["penalty_sum"] + penalty})

    def generator_losses(
        self, nets: Networks, batch: Batch, noise: Noise, *, feedback: bool = False
    ) -> Losses:
        """L_VAE + γ L_WGAN for E and G; then the λ of L_WGAN adapts."""
        return self.losses_and_reconstruction(nets, batch, noise, feedback=feedback)[0]

    def losses_and_reconstruction(
        self, nets: Networks, batch: Batch, noise: Noise, *, feedback: bool = False
    ) -> tuple[Losses, Float[Tensor, "b d"]]:
        """:meth:`generator_losses` and G(E(x, a), a), for methods that add a loss on the reconstruction."""
        s, state = self.settings, nets["state"]
        x, a = batch.features, unit(batch.semantics)
        mean, logvar = self.posterior(nets, x, a)
        z = reparameterise(mean, logvar, noise["reparameterisation"])
        reconstruction = self.synthesise(nets, z, a, feedback=feedback)
        fake = reconstruction
        if not s.encoded_noise:
            fake = self.synthesise_from_prior(nets, noise["prior"], a, reconstruction, feedback=feedback)
        vae = self.variational_loss(nets, batch, noise, reconstruction, mean, logvar)
        adversarial = -criticise(nets["critic"], fake, a).mean()
        total = vae + s.lambda_w * adversarial
        log = {"vae": vae, "adversarial": adversarial, "penalty_weight": state["penalty_weight"]}
        for name, (weighted, loss) in self.losses_on_fake(nets, batch, noise, fake).items():
            total, log[name] = total + weighted, loss
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
        """G(ε, a)."""
        return generate(nets["generator"], noise["prior"], unit(semantics))

    def encode(
        self, nets: Networks, g: Float[Tensor, "n d"], semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Noise:
        """z from E(g, a), with the a of the class to be sampled."""
        mean, logvar = self.posterior(nets, g, unit(semantics))
        return {"prior": reparameterise(mean, logvar, noise["prior"]) if noise else mean}

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
        """Passes over the training images.

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
            passes=self.passes(),
            optimizers=self.optimizers(),
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            state={"penalty_weight": scalar(s.lambda_gp), "penalty_sum": scalar(0.0)},
        )

    def initial(self, streams: Streams, d: int) -> Networks:
        """Untrained networks."""
        nets = networks.initial(streams, d, self.space.semantics.shape[1], self.settings.hidden, self.latent)
        return {name: nets[name] for name in self.optimizers()}

    def passes(self) -> tuple[tuple[Step, ...], ...]:
        """The passes over the data of one epoch."""
        return (self.steps(),)

    def steps(self, *, feedback: bool = False) -> tuple[Step, ...]:
        """Steps of the critic on fresh batches, then a generator step on the last of them."""
        s = self.settings
        code = {"reparameterisation": Normal((self.latent,))}
        prior = {} if s.encoded_noise else {"prior": Normal((self.latent,))}
        critic = Step(
            "critic",
            partial(self.critic_losses, feedback=feedback),
            updates=("critic",),
            noise={**(code if s.encoded_noise else prior), "mix": Uniform((1,))},
        )
        generator = Step(
            "generator",
            partial(self.generator_losses, feedback=feedback),
            updates=("encoder", "generator"),
            noise={**code, **prior},
            fresh_batch=False,
        )
        return (critic,) * s.critic_steps + (generator,)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Adam for every network."""
        s = self.settings
        adam = Optimizer("adam", lr=s.lr, betas=(s.beta1, 0.999))
        return {"encoder": Optimizer("adam", lr=s.lr), "generator": adam, "critic": adam}
