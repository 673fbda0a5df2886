"""TCN, transferable contrastive network (Jiang et al., ICCV 2019).

φ(a) maps class semantics to the space of features, r contrasts an image with a class; both have two layers:

    r(x, c) = σ(MLP(x ⊙ φ(a(c)))) ∈ (0, 1).

Training pulls an image to its own class and, a little, to the unseen classes that resemble it:

    L   = L_D + α L_T
    L_D = mean over images and seen classes k of BCE(r(x, k), [k = y])                     (discriminative)
    L_T = mean over images and unseen classes u of BCE(r(x, u), s_yu)                          (transfer)

with BCE(r, t) = −t log r − (1 − t) log(1 − r). The similarities s of seen to unseen classes express a(k) by
the unseen a(u), after the mean over the attributes is subtracted from each,

    s_k = argmin_s ‖a(k) − Σ_u s_u a(u)‖² + β ‖s‖²,

where coefficients below 10⁻³ become 0 and the rest of a row is divided by its sum. The score is r(x, c).
"""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import (
    Batch,
    Classifier,
    Losses,
    Networks,
    Noise,
    Optimizer,
    Program,
    Step,
    Streams,
    TrainView,
)
from zslbench.training import binary_cross_entropy, initial_linear, leaky_relu, linear
from zslbench_tcn.settings import TCNSettings
from zslbench_tcn.similarity import similarities

SLOPE = 0.01
"""Negative slope of φ's LeakyReLUs (code: torch's default)."""


class TCN(Classifier):
    """Two networks, ``semantic`` (φ) and ``relation``, each with the layers ``hidden`` and ``out``."""

    needs_examples = False
    settings: TCNSettings

    def fit(self, view: TrainView) -> Program:
        s, d = self.settings, view.features.shape[1]

        def initial(streams: Streams) -> Networks:
            """Weights N(0, 2 / (inputs + outputs)), Xavier's normal; biases 0."""
            sizes = {
                "semantic": (self.space.semantics.shape[1], s.hidden, d),
                "relation": (d, s.hidden, 1),
            }
            return {
                net: initial_linear(streams, net, "hidden", i, h, std=(2 / (i + h)) ** 0.5)
                | initial_linear(streams, net, "out", h, o, std=(2 / (h + o)) ** 0.5)
                for net, (i, h, o) in sizes.items()
            }

        adam = Optimizer("adam", lr=s.lr, betas=(0.5, 0.9))
        return Program(
            initial=initial,
            passes=((Step("contrast", self.losses, updates=("semantic", "relation")),),),
            optimizers={"semantic": adam, "relation": adam},
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            iterations=s.iterations,
            sampler="shuffled",
        )

    @cached_property
    def targets(self) -> Float[Tensor, "classes seen_and_unseen"]:
        """What r(x, c) should be, by the class of x: for seen classes [c = y], for unseen ones s_yc."""
        seen, unseen, a = self.space.seen, self.space.unseen, self.space.semantics
        targets = torch.zeros(len(a), len(seen) + len(unseen)).to(a)
        s = similarities(a[seen], a[unseen], self.settings.ridge, self.settings.min_similarity)
        targets[seen] = torch.cat([torch.eye(len(seen)).to(a), s], dim=1)
        return targets

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        m, a = len(self.space.seen), self.space.semantics[torch.cat([self.space.seen, self.space.unseen])]
        pairs = batch.features[:, None] * self.prototypes(nets, a)  # (b, classes, d)
        r, t = torch.sigmoid(self.relation(nets, pairs)), self.targets[batch.labels]
        discriminative = binary_cross_entropy(r[:, :m], t[:, :m])
        transfer = binary_cross_entropy(r[:, m:], t[:, m:])
        return Losses(
            discriminative + self.settings.alpha * transfer,
            log={"discriminative": discriminative, "transfer": transfer},
        )

    def prototypes(self, nets: Networks, a: Float[Tensor, "c attributes"]) -> Float[Tensor, "c d"]:
        """φ(a)."""
        hidden = leaky_relu(linear(nets["semantic"], "hidden", a), SLOPE)
        return leaky_relu(linear(nets["semantic"], "out", hidden), SLOPE)

    def relation(self, nets: Networks, pairs: Float[Tensor, "*n d"]) -> Float[Tensor, "*n"]:
        """The MLP's output for products x ⊙ φ(a); its sigmoid is r."""
        hidden = torch.relu(linear(nets["relation"], "hidden", pairs))
        return linear(nets["relation"], "out", hidden)[..., 0]

    def scores(self, nets: Networks, features: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        """r(x, c) before the sigmoid, which would round the highest to 1. Class by class, since all pairs at
        once would need classes times the memory."""
        prototypes = self.prototypes(nets, self.space.semantics)
        return torch.stack([self.relation(nets, features * one) for one in prototypes], dim=1)
