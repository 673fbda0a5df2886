"""CE-GZSL (Han et al., CVPR 2021): a generator of features x and a contrastive embedding h = E(x) of them.

Its terms are cited by name. They apply to real and synthetic images; z = H(h):

=========== =================================================================== =======================
V(G, D)     E[D(x, a)] − E[D(x̃, a)] − λ E[(‖∇D(x̂, a)‖₂ − 1)²], x̃ = G(a, ε)      :meth:`.critic_losses`
L_ce^ins    −log exp(zᵢᵀz⁺/τ_e) / Σ_{k≠i} exp(zᵢᵀz_k/τ_e), z⁺ of the same class  :func:`instance_loss`
L_ce^cls    −log exp(F(hᵢ, a⁺)/τ_s) / Σ_s exp(F(hᵢ, a_s)/τ_s), s a seen class    :func:`class_loss`
objective   max_D min_{G,E,H,F} V(G, D) + L_ce^ins + L_ce^cls                    both
classifier  softmax on h of real seen and synthetic unseen features             :meth:`.transform`
=========== =================================================================== =======================

As in the released code, E, H and F learn from real images alone, in the critic's step; G's step then weighs
both losses, and L_ce^ins has the real images of the batch beside the synthetic ones. The paper's denominator
of L_ce^ins has one positive and the negatives; the code's, used here, has all other images, and the loss of
an image is the mean over its positives.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin import (
    Batch,
    Exponential,
    Generator,
    Losses,
    Networks,
    Noise,
    NoiseSpec,
    Normal,
    Optimizer,
    Program,
    Step,
    TrainView,
    Uniform,
)
from zslbench_ce_gzsl import networks
from zslbench_ce_gzsl.networks import compare, embed, project
from zslbench_ce_gzsl.settings import CEGZSLSettings
from zslbench_common.wgan import critic_loss, criticise, generate, refuse_negative


def instance_loss(
    z: Float[Tensor, "b p"], labels: Int[Tensor, " b"], temperature: float
) -> Float[Tensor, ""]:
    """L_ce^ins: mean over the images that have a positive, each by the mean over its positives.

    An image without another one of its class in the batch is left out; if that holds for all, the loss is 0.
    """
    others = ~torch.eye(len(labels), dtype=torch.bool, device=z.device)
    positive = (labels[:, None] == labels) & others
    logits = z @ z.T / temperature
    log_p = logits - torch.where(others, logits, -torch.inf).logsumexp(dim=1, keepdim=True)
    count = positive.sum(dim=1)
    of_image = torch.where(positive, log_p, 0).sum(dim=1) / count.clamp_min(1)
    return -of_image.sum() / (count > 0).sum().clamp_min(1)


def class_loss(
    relevance: Float[Tensor, "b m"],
    labels: Int[Tensor, " b"],
    classes: Int[Tensor, " m"],
    temperature: float,
) -> Float[Tensor, ""]:
    """L_ce^cls: mean cross-entropy of the relevance of each class.

    Args:
        relevance: F(h, a) of each image and class; classes: their ids.
    """
    logits = relevance / temperature
    true = torch.where(labels[:, None] == classes, logits, 0).sum(dim=1)
    return (logits.logsumexp(dim=1) - true).mean()


class CEGZSL(Generator):
    """Features x (b, d) from class semantics a (b, A), and their embedding h: G, D, E, H and F."""

    settings: CEGZSLSettings

    def critic_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """−V(G, D) + L_ce^ins + L_ce^cls on real images, for D, E, H and F."""
        s = self.settings
        x, a = batch.features, batch.semantics
        fake = generate(nets["generator"], noise["prior"], a)
        total, log = critic_loss(nets["critic"], a, x, fake, noise["mix"], s.penalty_weight)
        h = embed(nets["embedding"], x)
        if s.instance_level:
            z = project(nets["projection"], h)
            log["instance"] = instance_loss(z, batch.labels, s.instance_temperature)
            total = total + log["instance"]
        if s.class_level:
            log["class"] = self.class_loss(nets, h, batch.labels)
            total = total + log["class"]
        return Losses(total, log)

    def generator_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """−E[D(x̃, a)] and both losses on synthetic images, weighted, for G."""
        s = self.settings
        fake = generate(nets["generator"], noise["prior"], batch.semantics)
        adversarial = -criticise(nets["critic"], fake, batch.semantics).mean()
        total, log = adversarial, {"adversarial": adversarial}
        h = embed(nets["embedding"], fake)
        if s.instance_level:
            real = embed(nets["embedding"], batch.features)
            z = project(nets["projection"], torch.cat([h, real]))
            log["instance"] = instance_loss(z, torch.cat([batch.labels] * 2), s.instance_temperature)
            total = total + s.instance_weight * log["instance"]
        if s.class_level:
            log["class"] = self.class_loss(nets, h, batch.labels)
            total = total + s.class_weight * log["class"]
        return Losses(total, log)

    def class_loss(
        self, nets: Networks, h: Float[Tensor, "b e"], labels: Int[Tensor, " b"]
    ) -> Float[Tensor, ""]:
        """L_ce^cls over the seen classes."""
        seen = self.space.seen
        relevance = compare(nets["comparator"], h, self.space.semantics[seen])
        return class_loss(relevance, labels, seen, self.settings.class_temperature)

    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        """G(a, ε)."""
        return generate(nets["generator"], noise["prior"], semantics)

    def transform(self, nets: Networks, g: Float[Tensor, "n d"], noise: Noise) -> Float[Tensor, "n e"]:
        """h = E(x): what the classifier sees."""
        return embed(nets["embedding"], g)

    # --- what is trained, and how ----------------------------------------------------------------------

    @property
    def latent(self) -> int:
        """Size of ε."""
        return self.settings.latent or self.space.semantics.shape[1]

    @property
    def per_class(self) -> int:
        return self.settings.per_class

    @property
    def sample_noise(self) -> Mapping[str, NoiseSpec]:
        return {"prior": Normal((self.latent,))}

    def fit(self, view: TrainView) -> Program:
        """Critic steps on fresh batches, then a generator step on the last of them.

        Raises:
            ZslbenchError: a feature is below 0.
        """
        s = self.settings
        refuse_negative("ce-gzsl", view.features)
        d, attributes = view.features.shape[1], self.space.semantics.shape[1]
        learners = ["critic", "embedding"]
        learners += ["projection"] if s.instance_level else []
        learners += ["comparator"] if s.class_level else []
        prior = {"prior": Normal((self.latent,))}
        critic = Step(
            "critic", self.critic_losses, updates=tuple(learners), noise={**prior, "mix": Uniform((1,))}
        )
        generator = Step(
            "generator", self.generator_losses, updates=("generator",), noise=prior, fresh_batch=False
        )
        # One Adam over D, E, H and F, as in the released code, is one for each of them.
        adam = Optimizer(
            "adam",
            lr=s.lr,
            betas=(s.beta1, 0.999),
            lr_schedule=Exponential(s.lr_decay, every=s.lr_decay_every),
        )
        return Program(
            initial=partial(networks.initial, d=d, attributes=attributes, latent=self.latent, s=s),
            passes=((critic,) * s.critic_steps + (generator,),),
            optimizers=dict.fromkeys([*learners, "generator"], adam),
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
        )
