"""f-CLSWGAN (Xian et al., CVPR 2018). Equation numbers are the paper's.

=== ==================================================== ===============================
(2) L_WGAN = E[D(x, a)] − E[D(x̃, a)]                     :meth:`.CLSWGAN.critic_losses`
    − λ E[(‖∇D(x̂, a)‖₂ − 1)²], x̃ = G(z, a)
(3) L_CLS = −E[log P(y | x̃; θ)]                          :meth:`.classification_loss`
(4) min_G max_D L_WGAN + β L_CLS                         :meth:`.generator_losses`
(5) θ: −(1/n) Σ log P(y | x; θ) on real seen features    :meth:`.classifier_losses`
=== ==================================================== ===============================

z ~ N(0, I); x̂ lies between x and x̃; the softmax P runs over the seen classes. The semantics a are those that
the data set stores.
"""

from __future__ import annotations

from collections.abc import Generator as Coroutine, Mapping
from functools import partial
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin import (
    Batch,
    Derived,
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
from zslbench.training import cross_entropy, initial_linear, linear
from zslbench_clswgan.settings import CLSWGANSettings
from zslbench_common import wgan
from zslbench_common.wgan import criticise, generate


class CLSWGAN(Generator):
    """Features x ≥ 0 (b, d) from class semantics a (b, A): G, D and a classifier of real seen features."""

    settings: CLSWGANSettings
    name: ClassVar[str] = "f-clswgan"
    """The registered name, for messages."""

    def critic_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """−L_WGAN, eq. (2), for D."""
        fake = generate(nets["generator"], noise["prior"], batch.semantics)
        weight = self.settings.lambda_gp
        return Losses(
            *wgan.critic_loss(nets["critic"], batch.semantics, batch.features, fake, noise["mix"], weight)
        )

    def generator_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """The part of eq. (4) that depends on G: −E[D(x̃, a)] + β L_CLS."""
        fake = generate(nets["generator"], noise["prior"], batch.semantics)
        total = -criticise(nets["critic"], fake, batch.semantics).mean()
        log = {"adversarial": total}
        for name, (weighted, loss) in self.losses_on_fake(nets, batch, noise, fake).items():
            total, log[name] = total + weighted, loss
        return Losses(total, log)

    def losses_on_fake(
        self, nets: Networks, batch: Batch, noise: Noise, fake: Float[Tensor, "b d"]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """What the generator step adds to the Wasserstein loss: with and without its weight, by name."""
        if not self.settings.beta:
            return {}
        loss = self.classification_loss(nets, fake, batch.labels)
        return {"classification": (self.settings.beta * loss, loss)}

    def classification_loss(
        self, nets: Networks, x: Float[Tensor, "b d"], labels: Int[Tensor, " b"]
    ) -> Float[Tensor, ""]:
        """The mean of −log P(y | x; θ), eq. (3)."""
        return cross_entropy(linear(nets["classifier"], "out", x), labels, among=self.space.seen)

    def classifier_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """Eq. (5), for θ."""
        return Losses(self.classification_loss(nets, batch.features, batch.labels), {})

    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        """G(z, a)."""
        return generate(nets["generator"], noise["prior"], semantics)

    # --- what is trained, and how ----------------------------------------------------------------------

    @property
    def latent(self) -> int:
        """Size of z."""
        return self.settings.latent or self.space.semantics.shape[1]

    @property
    def per_class(self) -> int:
        return self.settings.per_class

    @property
    def czsl_per_class(self) -> int:
        return self.settings.czsl_per_class or self.settings.per_class

    @property
    def sample_noise(self) -> Mapping[str, NoiseSpec]:
        return {"prior": Normal((self.latent,))}

    def fit(self, view: TrainView) -> Coroutine[Program | Derived, Networks, Networks]:
        """First the classifier, then G and D, which read it.

        Raises:
            ZslbenchError: a feature is below 0.
        """
        s = self.settings
        wgan.refuse_negative(self.name, view.features)
        frozen = yield from self.prepared(view)
        adam = Optimizer("adam", lr=s.lr, betas=(s.beta1, 0.999))
        return (
            yield Program(
                initial=partial(self.initial, d=view.features.shape[1]),
                passes=(self.steps(),),
                optimizers={"generator": adam, "critic": adam},
                features=view.features,
                labels=view.labels,
                epochs=s.epochs,
                batch_size=s.batch_size,
                frozen=frozen,
            )
        )

    def prepared(self, view: TrainView) -> Coroutine[Program | Derived, Networks, Networks]:
        """Networks that the losses of G read: the classifier."""
        s = self.settings.pretraining
        if not self.settings.beta:
            return {}
        classes, d = len(self.space.names), view.features.shape[1]
        fitted = yield Program(
            initial=lambda streams: {"classifier": initial_linear(streams, "classifier", "out", d, classes)},
            passes=((Step("classifier", self.classifier_losses, updates=("classifier",)),),),
            optimizers={"classifier": Optimizer("adam", lr=s.lr, betas=(self.settings.beta1, 0.999))},
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            sampler="shuffled",
            name="classifier",
            paced=False,
            key={},
        )
        return {"classifier": fitted["classifier"]}

    def initial(self, streams: Streams, d: int) -> Networks:
        """Untrained G and D."""
        return wgan.initial(streams, d, self.space.semantics.shape[1], self.settings.hidden, self.latent)

    def steps(self) -> tuple[Step, ...]:
        """Steps of the critic on fresh batches, then one of the generator on the last of them."""
        prior: dict[str, NoiseSpec] = {"prior": Normal((self.latent,))}
        critic = Step("critic", self.critic_losses, updates=("critic",), noise=prior | {"mix": Uniform((1,))})
        generator = Step(
            "generator",
            self.generator_losses,
            updates=("generator",),
            noise={**prior, **self.noise_on_fake()},
            fresh_batch=False,
        )
        return (critic,) * self.settings.critic_steps + (generator,)

    def noise_on_fake(self) -> Mapping[str, NoiseSpec]:
        """The noise that :meth:`losses_on_fake` reads."""
        return {}
