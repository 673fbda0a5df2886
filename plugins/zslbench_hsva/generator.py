"""HSVA (Chen et al., NeurIPS 2021): features and semantics aligned in structure, then in distribution.

=========================== ================================================= ==============================
structure adaptation        h_x = E_x(x), h_a = E_a(a); classifiers C₁, C₂
L_cls                       cross-entropies of C₁ and C₂ on h_x and on h_a    :meth:`HSVA.supervised`
L_dis                       SWD(C₁(h_x), C₂(h_x)) + SWD(C₁(h_a), C₂(h_a))     :meth:`HSVA.discrepancy`
1. E_x, E_a, C₁, C₂         min L_cls                                         :meth:`.supervised_losses`
2. C₁, C₂                   min L_cls − δ L_dis                               :meth:`.maximise_losses`
3. E_x, E_a                 min δ L_dis                                       :meth:`.minimise_losses`
distribution adaptation     q(z|x) = E_z(h_x), q(z|a) = E_z(h_a)
4. E_x, E_a, E_z, D_x, D_a  min L_VAE + γ L_CA + δ (L_DA − L_CORAL)           :meth:`.distribution_losses`
L_VAE, L_CA, L_DA           CADA-VAE's eqs. (2), (3), (6)                     :mod:`zslbench_cada_vae`
L_CORAL                     CORAL of z(x) and the z(a) of unseen classes      :func:`.coral`
=========================== ================================================= ==============================

SWD is the sliced Wasserstein discrepancy of softmax outputs, :func:`.sliced_wasserstein`. The terms are cited
by name: the weights and what each step trains are those of the released code.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.errors import SettingsError
from zslbench.plugin import (
    Batch,
    Choice,
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
from zslbench.training import cross_entropy
from zslbench_cada_vae.aligned import AlignedVAE, Gaussian, reconstruction
from zslbench_common.gaussians import kl_to_standard, wasserstein
from zslbench_hsva import networks
from zslbench_hsva.losses import coral, sliced_wasserstein
from zslbench_hsva.networks import classify, decode, encode, posterior
from zslbench_hsva.settings import HSVASettings

ENCODERS = ("visual_encoder", "semantic_encoder")
CLASSIFIERS = ("classifier1", "classifier2")
DECODERS = ("visual_decoder", "semantic_decoder")


class HSVA(AlignedVAE):
    """Latents of features x (b, d) and semantics a (b, A) by E_x, E_a and their common encoder E_z."""

    settings: HSVASettings

    def supervised(self, nets: Networks, batch: Batch) -> Float[Tensor, ""]:
        """L_cls."""
        labels = self.place_among_seen(batch.labels)
        pairs = product(CLASSIFIERS, self.structure(nets, batch))
        return torch.stack([cross_entropy(classify(nets[net], h), labels) for net, h in pairs]).sum()

    def discrepancy(self, nets: Networks, batch: Batch, noise: Noise) -> Float[Tensor, ""]:
        """L_dis."""

        def between(h: Tensor, directions: Tensor) -> Tensor:
            first, second = (torch.softmax(classify(nets[net], h), dim=1) for net in CLASSIFIERS)
            return sliced_wasserstein(first, second, directions)

        of_x, of_a = self.structure(nets, batch)
        return between(of_x, noise["visual_directions"]) + between(of_a, noise["semantic_directions"])

    def supervised_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """Step 1."""
        loss = self.supervised(nets, batch)
        return Losses(loss, {"loss": loss})

    def maximise_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """Step 2."""
        supervised, discrepancy = self.supervised(nets, batch), self.discrepancy(nets, batch, noise)
        total = supervised - self.weights(batch).delta * discrepancy
        return Losses(total, {"supervised": supervised, "discrepancy": discrepancy})

    def minimise_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """Step 3."""
        discrepancy = self.discrepancy(nets, batch, noise)
        return Losses(self.weights(batch).delta * discrepancy, {"discrepancy": discrepancy})

    def distribution_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """Step 4."""
        s, weights = self.settings, self.weights(batch)
        x, a = batch.features, batch.semantics
        of_x, of_a = self.encode_visual(nets, x), self.encode_semantic(nets, a)
        z_x, z_a = self.draw(of_x, noise["visual"]), self.draw(of_a, noise["semantic"])
        decoders = partial(decode, nets["visual_decoder"]), partial(decode, nets["semantic_decoder"])
        terms = {
            "reconstruction": reconstruction(*decoders, x, a, of_x=z_x, of_a=z_a),
            "kl": kl_to_standard(*of_x) + kl_to_standard(*of_a),
            "cross": reconstruction(*decoders, x, a, of_x=z_a, of_a=z_x),
        }
        total = terms["reconstruction"] + weights.beta * terms["kl"] + weights.gamma * terms["cross"]
        if s.distance:
            terms["distance"] = wasserstein(*of_x, *of_a).sum()
            total = total + weights.delta * terms["distance"]
        if s.coral:
            unseen = self.encode_semantic(nets, self.space.semantics[self.unseen_classes(nets, noise)])
            terms["coral"] = coral(z_x, self.draw(unseen, noise["unseen_semantic"]))
            total = total - weights.delta * terms["coral"]
        return Losses(total, terms)

    def structure(self, nets: Networks, batch: Batch) -> tuple[Float[Tensor, "b h"], Float[Tensor, "b h"]]:
        """h_x and h_a."""
        of_x = encode(nets["visual_encoder"], batch.features)
        return of_x, encode(nets["semantic_encoder"], batch.semantics)

    def encode_visual(self, nets: Networks, x: Float[Tensor, "b d"]) -> Gaussian:
        """E_z(E_x(x))."""
        return posterior(nets["common_encoder"], encode(nets["visual_encoder"], x))

    def encode_semantic(self, nets: Networks, a: Float[Tensor, "b attributes"]) -> Gaussian:
        """E_z(E_a(a))."""
        return posterior(nets["common_encoder"], encode(nets["semantic_encoder"], a))

    def place_among_seen(self, labels: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """The place of each label in ``space.seen``, the order of the classifiers' outputs."""
        return (labels[:, None] == self.space.seen).to(torch.int64).argmax(dim=1)

    def unseen_classes(self, nets: Networks, noise: Noise) -> Int[Tensor, " b"]:
        """An unseen class for each row of the batch, drawn as the settings say."""
        if self.settings.unseen_prior == "uniform":
            return noise["unseen"]
        below = noise["unseen"][:, None] >= nets["prior"]["cumulative"][:-1]
        return self.space.unseen[below.sum(dim=1)]

    # --- what is trained, and how ----------------------------------------------------------------------

    def fit(self, view: TrainView) -> Program:
        """One batch for all steps of an iteration.

        Raises:
            SettingsError: unseen classes are to be drawn by their shares of the test images, which the
                reading does not provide.
        """
        s = self.settings
        frozen: Networks = {}
        if s.unseen_prior == "test":
            if view.test is None or view.test.class_prior is None:
                raise SettingsError(
                    "generator hsva: unseen_prior = 'test' needs each class's share of test images, which "
                    "only a transductive reading may know: use --reading authors, or unseen_prior = 'uniform'"
                )
            frozen = {"prior": {"cumulative": view.test.class_prior.cumsum(dim=0)}}
        trained = (*ENCODERS, *DECODERS, "common_encoder")
        return Program(
            initial=partial(
                networks.initial,
                s=s,
                d=view.features.shape[1],
                attributes=self.space.semantics.shape[1],
                seen=len(self.space.seen),
            ),
            passes=(tuple(self.steps()),),
            optimizers={
                **dict.fromkeys(trained, self.adam),
                **dict.fromkeys(CLASSIFIERS, Optimizer("adam", lr=s.classifier_lr)),
            },
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            frozen=frozen,
        )

    def steps(self) -> Iterator[Step]:
        """One iteration."""
        s = self.settings
        directions = Normal((len(self.space.seen), s.directions), per_row=False)
        slices = {"visual_directions": directions, "semantic_directions": directions}
        again = partial(Step, fresh_batch=False)
        yield Step("supervised", self.supervised_losses, updates=(*ENCODERS, *CLASSIFIERS))
        if s.structure_adaptation:
            yield again("maximise", self.maximise_losses, updates=CLASSIFIERS, noise=slices)
            yield from (
                again("minimise", self.minimise_losses, updates=ENCODERS, noise=slices),
            ) * s.minimise_steps
        noise: dict[str, NoiseSpec] = {"visual": self.noise, "semantic": self.noise}
        if s.coral:
            uniform = s.unseen_prior == "uniform"
            noise["unseen"] = Choice(self.space.unseen) if uniform else Uniform(())
            noise["unseen_semantic"] = self.noise
        yield again(
            "distribution",
            self.distribution_losses,
            updates=(*ENCODERS, "common_encoder", *DECODERS),
            noise=noise,
        )
