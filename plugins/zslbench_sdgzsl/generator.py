"""SDGZSL (Chen et al., ICCV 2021): features from a conditional VAE, disentangled into h = [h_s, h_n].

The classifier sees h_s, the semantic-consistent factor; h_n is the semantic-unrelated one. The paper's terms
are cited by name. An autoencoder computes h of x and of its reconstruction x̂, and each term but the first
is a sum over the two.

========== ==================================================================== =============================
L_cVAE     −E_q[log p(x | z, a)] + w KL(q(z | x, a) ‖ N(0, I))                  :func:`cvae_loss`
L_rec      ‖x − dec(h)‖²                                                        :meth:`.losses`
L_rel      (R(h_s, a_c) − 1[c = y])² over the classes c of the batch            :func:`relation_loss`
L_TC       E[score of q(h_s, h_n) − score of q(h_s) q(h_n)]                     :func:`tc_loss`
L_dis      −log p(one image | h) − log p(two images | h̃), h̃ = permuted h        :func:`discrimination_loss`
objective  L_cVAE + L_rec + λ_rel L_rel + w′ λ_TC L_TC                          :meth:`.losses`
========== ==================================================================== =============================

w and w′ grow with the epochs. As in the released code the discriminator's two scores are sigmoids, which its
cross-entropy puts through a softmax, and L_TC is their difference; the paper has the log-ratio of one
probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import ceil

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin import (
    Batch,
    Generator,
    Losses,
    Networks,
    Noise,
    NoiseSpec,
    Normal,
    Optimizer,
    Permutation,
    Program,
    Step,
    TrainView,
    Uniform,
)
from zslbench.training import mse
from zslbench_sdgzsl import networks
from zslbench_sdgzsl.networks import MOMENTS, decode, discriminate, disentangle, encode, reconstruct, relate
from zslbench_sdgzsl.settings import SDGZSLSettings


def cvae_loss(
    x: Float[Tensor, "b d"],
    reconstruction: Float[Tensor, "b d"],
    mean: Float[Tensor, "b z"],
    variance: Float[Tensor, "b z"],
    kl_weight: float | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """L_cVAE: squared error plus weighted KL to N(0, I), summed over dimensions, averaged over b."""
    kl = -0.5 * (1 + variance.log() - mean**2 - variance).sum()
    return (((reconstruction - x) ** 2).sum() + kl_weight * kl) / x.shape[0]


def relation_loss(relations: Float[Tensor, "b b"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    """L_rel: mean squared error to one-hot, over the images and the classes of the batch.

    Args:
        relations: of h_s of image i with a of image j. Images of one class have the same a, so each column
            counts by 1 / images of its class, and each class of the batch once.
    """
    same = (labels[:, None] == labels).to(relations.dtype)
    share = 1 / same.sum(dim=0)
    return ((relations - same) ** 2 * share).sum() / (len(labels) * share.sum())


def tc_loss(scores: Float[Tensor, "b 2"]) -> Float[Tensor, ""]:
    """L_TC: how much the scores of h speak for one image rather than two."""
    return (scores[:, 0] - scores[:, 1]).mean()


def permuted(
    h: Float[Tensor, "b s2"], rows_s: Int[Tensor, " b"], rows_n: Int[Tensor, " b"]
) -> Float[Tensor, "b s2"]:
    """h_s of some image beside h_n of another: draws of q(h_s) q(h_n)."""
    s, n = h.chunk(2, dim=1)
    return torch.cat([s[rows_s], n[rows_n]], dim=1)


def discrimination_loss(joint: Float[Tensor, "b 2"], permuted: Float[Tensor, "b 2"]) -> Float[Tensor, ""]:
    """L_dis: cross-entropy of the scores of h (column 0 is right) and of permuted h (column 1 is right)."""
    return -(joint.log_softmax(dim=1)[:, 0].mean() + permuted.log_softmax(dim=1)[:, 1].mean())


class SDGZSL(Generator):
    """Features x (b, d) from class semantics a (b, A), and their semantic factor h_s (b, S)."""

    settings: SDGZSLSettings

    def losses(self, nets: Networks, batch: Batch, noise: Noise, *, tc: bool) -> Losses:
        """The objective, with L_TC; or without it, and with L_dis for the discriminator instead."""
        s, x, a = self.settings, batch.features, batch.semantics
        epoch = batch.progress.epoch.to(x.dtype)
        mean, variance = encode(nets["encoder"], x, a, self.keep(noise, "encoder"))
        z = mean + variance.sqrt() * noise["reparameterisation"]
        x_hat, moments = decode(nets["decoder"], z, a, self.keep(noise, "decoder"))
        total = cvae_loss(x, x_hat, mean, variance, (s.kl_warmup * epoch).clamp_max(1))
        log = {"cvae": total}
        for name, image in (("synthetic", x_hat), ("real", x)):
            keep = self.keep(noise, name)
            h = disentangle(nets["autoencoder"], image, keep)
            terms = {"reconstruction": mse(reconstruct(nets["autoencoder"], h, keep), x)}
            if s.relation:
                relations = relate(nets["relation"], self.semantic(h), a)
                terms["relation"] = s.relation_weight * relation_loss(relations, batch.labels)
            if tc:
                weight = s.tc_weight * (s.tc_warmup * epoch).clamp_max(1)
                terms["tc"] = weight * tc_loss(discriminate(nets["discriminator"], h))
            elif s.total_correlation:
                # Only the discriminator learns from this: its weights are in no other term of this step.
                h = h.detach()
                apart = permuted(h, noise[f"{name}.semantic"], noise[f"{name}.unrelated"])
                scores = (discriminate(nets["discriminator"], one) for one in (h, apart))
                terms["discrimination"] = s.discriminator_weight * discrimination_loss(*scores)
            total = total + sum(terms.values())
            log |= {f"{name}_{term}": value for term, value in terms.items()}
        after = {name: 0.9 * nets["state"][name] + 0.1 * moments[name].detach() for name in MOMENTS}
        return Losses(total, log, after)

    def semantic(self, h: Float[Tensor, "b s2"]) -> Float[Tensor, "b s"]:
        """h_s of h = [h_s, h_n]."""
        return h[:, : self.settings.factor]

    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        """x̂ from z ~ N(0, I) and a."""
        return decode(nets["decoder"], noise["prior"], semantics, running=nets["state"])[0]

    def transform(self, nets: Networks, g: Float[Tensor, "n d"], noise: Noise) -> Float[Tensor, "n e"]:
        """h_s: what the classifier sees."""
        return self.semantic(disentangle(nets["autoencoder"], g))

    # --- what is trained, and how ----------------------------------------------------------------------

    @property
    def per_class(self) -> int:
        return self.settings.per_class

    @property
    def sample_noise(self) -> Mapping[str, NoiseSpec]:
        return {"prior": Normal((self.settings.latent,))}

    def rates(self) -> dict[str, float]:
        """Rate of every dropout by the name of its noise, without those that drop nothing."""
        s = self.settings
        rates = {"encoder.second": s.encoder_dropout, "encoder.variance": s.variance_dropout}
        rates |= {f"decoder.{layer}": s.decoder_dropout for layer in ("first", "second", "third")}
        for image in ("synthetic", "real"):
            rates |= {f"{image}.{layer}": s.autoencoder_dropout for layer in ("encoder", "hidden", "out")}
        return {name: rate for name, rate in rates.items() if rate > 0}

    def keep(self, noise: Noise, part: str) -> dict[str, Tensor]:
        """The dropout masks of one part by layer, scaled to a mean of 1."""
        return {
            name.removeprefix(f"{part}."): (noise[name] >= rate).to(noise[name].dtype) / (1 - rate)
            for name, rate in self.rates().items()
            if name.startswith(f"{part}.")
        }

    def fit(self, view: TrainView) -> Program:
        """A step that trains the discriminator, and all others without L_TC, then ``tc_steps`` with L_TC.

        In the released code the cycle runs across the ends of epochs; here an epoch has whole cycles, as
        nearly as possible one batch for every ``batch_size`` images.
        """
        s = self.settings
        n, d = view.features.shape
        widths = {"encoder": 2 * s.factor, "out": d, "variance": s.latent}
        noise: dict[str, NoiseSpec] = {"reparameterisation": Normal((s.latent,))}
        noise |= {name: Uniform((widths.get(name.partition(".")[2], s.hidden),)) for name in self.rates()}
        learners = ["encoder", "decoder", "autoencoder"] + ["relation"] * s.relation
        step = Step("model", partial(self.losses, tc=s.total_correlation), tuple(learners), noise)
        cycle: tuple[Step, ...] = (step,)
        if s.total_correlation:
            parts = (
                f"{image}.{part}" for image in ("synthetic", "real") for part in ("semantic", "unrelated")
            )
            first = Step(
                "discriminator",
                partial(self.losses, tc=False),
                updates=(*learners, "discriminator"),
                noise={**noise, **{part: Permutation() for part in parts}},
            )
            cycle = (first, *(step,) * s.tc_steps)
        adam = Optimizer("adam", lr=s.lr, weight_decay=s.weight_decay)
        nothing = partial(torch.zeros, s.hidden, device=view.labels.device)
        return Program(
            initial=partial(networks.initial, d=d, attributes=self.space.semantics.shape[1], s=s),
            passes=(cycle,),
            optimizers=dict.fromkeys(cycle[0].updates, adam),
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            sampler="shuffled",
            iterations=max(1, round(ceil(n / s.batch_size) / len(cycle))),
            state={name: nothing() if name.endswith("mean") else nothing() + 1 for name in MOMENTS},
        )
