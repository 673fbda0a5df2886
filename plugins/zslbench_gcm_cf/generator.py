"""GCM-CF (Yue et al., CVPR 2021): a generator whose z does not depend on the class. By name:

======== ====================================================================== =============================
L_Z      −E[log G(z, a)] + β KL(E(x) ‖ N(0, I)), β rising from 0                :func:`beta_vae_loss`
x̃_k     G(z, a_k), z ~ E(x): x as it would look if it were of class k          :meth:`GCMCF.counterfactuals`
L_F      −E log softmax_k(−τ mean_i (x − x̃_k)_i²)[own class]                   :func:`contrastive_loss`
total    TF-VAEGAN's, with L_Z for L_V, + ρ L_F                                 :meth:`GCMCF.generator_losses`
======== ====================================================================== =============================

"Counterfactual faithful" means that x̃_k looks like x for the own class k alone: L_F contrasts it with K
wrong seen classes. The encoder does not read a, so that z cannot tell the class. As in the released code, the
target of the reconstruction is noisy, counterfactuals get feedback of strength a2, not a1, and only L_R on x̂
has a weight.
How images are then classified is in :mod:`zslbench_gcm_cf.decision`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin import Batch, Losses, Networks, Noise, Normal, Program, Step, Streams, TrainView, Uniform
from zslbench.training import binary_cross_entropy, cross_entropy, unit, warm_up
from zslbench_common.gaussians import kl_to_standard, reparameterise
from zslbench_gcm_cf.settings import GCMCFSettings
from zslbench_tf_vaegan.generator import TFVAEGAN
from zslbench_tf_vaegan.networks import encode, generate


def beta_vae_loss(
    target: Float[Tensor, "b d"],
    reconstruction: Float[Tensor, "b d"],
    mean: Float[Tensor, "b z"],
    logvar: Float[Tensor, "b z"],
    beta: Float[Tensor, ""] | float,
) -> Float[Tensor, ""]:
    """L_Z: binary cross-entropy plus β KL, summed over dimensions, averaged over b.

    Args:
        target: x with noise, so also outside [0, 1].
    """
    bce = binary_cross_entropy(reconstruction + 1e-12, target, reduction="sum")
    return (bce + beta * kl_to_standard(mean, logvar)) / target.shape[0]


def contrastive_loss(
    x: Float[Tensor, "b d"], counterfactuals: Float[Tensor, "b k d"], temperature: float
) -> Float[Tensor, ""]:
    """L_F; ``counterfactuals[:, 0]`` are of x's own class, the others of wrong ones."""
    logits = -temperature * ((x[:, None] - counterfactuals) ** 2).mean(dim=2)
    return cross_entropy(logits, torch.zeros(len(x), dtype=torch.int64, device=x.device))


def wrong_classes(
    labels: Int[Tensor, " b"], u: Float[Tensor, "b seen"], seen: Int[Tensor, " seen"], count: int
) -> Int[Tensor, "b count"]:
    """Distinct seen classes other than the own one: those with the largest u, uniform on [0, 1)."""
    own = labels[:, None] == seen
    return seen[u.masked_fill(own, -1.0).topk(count, dim=1).indices]


class GCMCF(TFVAEGAN):
    """TF-VAEGAN with E(x) in place of E(x, a), β and L_F."""

    settings: GCMCFSettings
    name = "gcm-cf"

    def posterior(self, nets: Networks, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        """E(x): mean and log-variance of z, (b, z) each; a is not read."""
        return encode(nets["encoder"], x, a[:, :0])

    def variational_loss(
        self, nets: Networks, batch: Batch, noise: Noise, reconstruction: Tensor, mean: Tensor, logvar: Tensor
    ) -> Float[Tensor, ""]:
        """L_Z of the batch."""
        target = batch.features + self.settings.target_noise * noise["target"]
        return beta_vae_loss(target, reconstruction, mean, logvar, self.beta(batch))

    def beta(self, batch: Batch) -> Float[Tensor, ""]:
        """β of the epoch: from 0 to its full value over the first ``warm_up`` epochs."""
        return warm_up(batch.progress.epoch, 0.0, float(self.settings.warm_up), self.settings.beta)

    def decoder_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """L_R on real x, for Dec; the released code gives it weight 1, not TF-VAEGAN's β."""
        loss = super().decoder_losses(nets, batch, noise).log["semantic_reconstruction"]
        return Losses(loss, {"semantic_reconstruction": loss})

    def counterfactuals(
        self, nets: Networks, batch: Batch, noise: Noise, *, feedback: bool
    ) -> Float[Tensor, "b k d"]:
        """x̃ of the own class and of K wrong ones, each with a z of its own."""
        s, seen = self.settings, self.space.seen
        wrong = wrong_classes(batch.labels, noise["wrong"], seen, self.negatives)
        classes = torch.cat([batch.labels[:, None], wrong], dim=1).flatten()
        a = unit(self.space.semantics)[classes].to(batch.features.dtype)
        mean, logvar = self.posterior(nets, batch.features, batch.semantics)
        mean, logvar = (one.repeat_interleave(1 + self.negatives, dim=0) for one in (mean, logvar))
        z = reparameterise(mean, logvar, noise["counterfactual"].flatten(0, 1))
        fake = self.refine(nets, z, a, s.a2) if feedback else generate(nets["generator"], z, a)
        return fake.reshape(len(batch.labels), -1, fake.shape[1])

    def generator_losses(
        self, nets: Networks, batch: Batch, noise: Noise, *, feedback: bool = False
    ) -> Losses:
        """TF-VAEGAN's L_total with L_Z, plus ρ L_F, for E, G, Dec and F."""
        s = self.settings
        basic = super().generator_losses(nets, batch, noise, feedback=feedback)
        log = {**basic.log, "beta": self.beta(batch)}
        if not s.contrastive_weight:
            return basic._replace(log=log)
        made = self.counterfactuals(nets, batch, noise, feedback=feedback)
        log["contrastive"] = contrastive_loss(batch.features, made, s.temperature)
        return basic._replace(total=basic.total + s.contrastive_weight * log["contrastive"], log=log)

    # --- what is trained, and how ----------------------------------------------------------------------

    @property
    def negatives(self) -> int:
        """K, at most the number of wrong seen classes."""
        return min(self.settings.negatives, len(self.space.seen) - 1)

    def fit(self, view: TrainView) -> Program:
        program = super().fit(view)
        extended = partial(self.extended, d=view.features.shape[1])
        return replace(program, passes=tuple(tuple(map(extended, steps)) for steps in program.passes))

    def extended(self, step: Step, d: int) -> Step:
        """A generator step with the noise of L_Z and L_F; other steps stay as they are."""
        if step.name != "generator":
            return step
        noise = {**step.noise, "target": Normal((d,))}
        if self.settings.contrastive_weight:
            noise["counterfactual"] = Normal((1 + self.negatives, self.latent))
            noise["wrong"] = Uniform((len(self.space.seen),))
        return replace(step, noise=noise)

    def initial(self, streams: Streams, d: int) -> Networks:
        """Untrained networks; the encoder's first layer has no columns for a."""
        nets = super().initial(streams, d)
        nets["encoder"]["hidden.weight"] = nets["encoder"]["hidden.weight"][:, :d]
        return nets
