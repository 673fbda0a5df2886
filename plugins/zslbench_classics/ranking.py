"""DeViSE, SJE and ALE: a bilinear compatibility F(x, c) = xᵀ W a(c), trained so that an image's own
class ranks first.

For an image x of class y each method picks one seen class ŷ whose margin is violated,

    m + F(x, ŷ) − F(x, y) > 0,

and takes a gradient step on L(x, y) = β (m + F(x, ŷ) − F(x, y)), that is W ← W + lr β x (a(y) − a(ŷ))ᵀ; an
image that violates no margin changes nothing. They differ in ŷ and β:

- DeViSE (Frome et al., NIPS 2013, eq. 1, "truncating the sum after the first margin-violating false term"):
  the first violating class in an order of the classes; β = 1.
- SJE (Akata et al., CVPR 2015): the most violating class, argmax_c F(x, c); β = 1.
- ALE (Akata et al., TPAMI 2016, with WARP of Weston et al. 2011): classes are drawn until one
  violates; if that is draw i of at most M − 1, where M is the number of seen classes, the rank of y is about
  ⌊(M − 1) / i⌋ and β = Σ_{j ≤ ⌊(M − 1) / i⌋} 1/j.

a(c) has unit length, so that F and the cosine of xᵀW and a(c) rank the classes of an image alike. The loss of
a batch is the sum over its images: with ``batch_size = 1`` the updates are those above, image by image.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin import (
    Batch,
    Classifier,
    Losses,
    Networks,
    Noise,
    NoiseSpec,
    Optimizer,
    Program,
    Step,
    Streams,
    TrainView,
    Uniform,
)
from zslbench.training import pick, unit
from zslbench_classics.settings import ALESettings, DeViSESettings, RankingSettings, SJESettings


class Rival(NamedTuple):
    """The class that each image's own class is compared with."""

    classes: Int[Tensor, " b"]
    """ŷ as a position among the seen classes; arbitrary where no margin is violated."""
    weights: Float[Tensor, " b"]
    """β; 0 where no margin is violated."""


class Ranking(Classifier):
    """The bilinear compatibility and its training; a method picks the rivals."""

    needs_examples = False
    settings: RankingSettings

    @abstractmethod
    def rivals(
        self, projected: Float[Tensor, "b attributes"], own: Bool[Tensor, "b seen"], noise: Noise
    ) -> Rival:
        """ŷ and β of each image.

        Args:
            projected: xᵀW.
            own: which seen class is the image's own.
        """

    @property
    def noise(self) -> Mapping[str, NoiseSpec]:
        """What ``rivals`` draws."""
        return {}

    @cached_property
    def signatures(self) -> Float[Tensor, "classes attributes"]:
        """a(c), of unit length."""
        return unit(self.space.semantics)

    def fit(self, view: TrainView) -> Program:
        s = self.settings
        if len(self.space.seen) < 2:
            raise ZslbenchError(
                f"classifier {type(self).__name__.lower()}: there is one seen class, and it ranks each "
                "image's class above the other seen ones"
            )
        shape = (view.features.shape[1], self.space.semantics.shape[1])

        def initial(streams: Streams) -> Networks:
            """W uniform on [0, 1), each row then of unit length, as in the code."""
            return {"compatibility": {"W": unit(streams.uniform("W", shape))}}

        return Program(
            initial=initial,
            passes=((Step("ranking", self.losses, updates=("compatibility",), noise=self.noise),),),
            optimizers={"compatibility": Optimizer("sgd", lr=s.lr)},
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            sampler="shuffled",
        )

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        projected = batch.features @ nets["compatibility"]["W"]
        own = batch.labels[:, None] == self.space.seen
        rival, weight = self.rivals(projected.detach(), own, noise)
        f = projected @ self.signatures[self.space.seen].T
        violation = self.settings.margin + pick(f, rival) - torch.where(own, f, 0).sum(dim=1)
        return Losses((weight * violation).sum(), log={"violating": (weight > 0).to(f.dtype).mean()})

    def scores(self, nets: Networks, features: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        """F(x, c)."""
        return features @ nets["compatibility"]["W"] @ self.signatures.T

    def violations(
        self, projected: Float[Tensor, "b attributes"], own: Bool[Tensor, "b seen"]
    ) -> Float[Tensor, "b seen"]:
        """m + F(x, c) − F(x, y) of each seen class c, and −inf of the image's own."""
        f = projected @ self.signatures[self.space.seen].T
        violations = self.settings.margin + f - torch.where(own, f, 0).sum(dim=1, keepdim=True)
        return torch.where(own, -torch.inf, violations)


class DeViSE(Ranking):
    """The first violating class in a random order, or in the order of the class ids."""

    settings: DeViSESettings

    @property
    def noise(self) -> Mapping[str, NoiseSpec]:
        return {"order": Uniform((len(self.space.seen),))} if self.settings.order == "random" else {}

    def rivals(
        self, projected: Float[Tensor, "b attributes"], own: Bool[Tensor, "b seen"], noise: Noise
    ) -> Rival:
        violated = self.violations(projected, own) > 0
        if self.settings.order == "random":
            turn = noise["order"]
        else:
            turn = torch.arange(own.shape[1], device=own.device).to(projected.dtype)
        first = torch.where(violated, turn, torch.inf).argmin(dim=1)
        return Rival(first, violated.any(dim=1).to(projected.dtype))


class SJE(Ranking):
    """The most violating class."""

    settings: SJESettings

    def rivals(
        self, projected: Float[Tensor, "b attributes"], own: Bool[Tensor, "b seen"], noise: Noise
    ) -> Rival:
        if self.settings.standardize:
            spread = projected.std(dim=1, keepdim=True, correction=0)
            projected = (projected - projected.mean(dim=1, keepdim=True)) / torch.where(spread > 0, spread, 1)
        most, rival = self.violations(projected, own).max(dim=1)
        return Rival(rival, (most > 0).to(projected.dtype))


class ALE(Ranking):
    """The first violating class among M − 1 draws with replacement from the other seen classes."""

    settings: ALESettings

    @property
    def noise(self) -> Mapping[str, NoiseSpec]:
        return {"draws": Uniform((len(self.space.seen) - 1,))}

    def rivals(
        self, projected: Float[Tensor, "b attributes"], own: Bool[Tensor, "b seen"], noise: Noise
    ) -> Rival:
        others = own.shape[1] - 1
        drawn = (noise["draws"] * others).long().clamp_max(others - 1)  # of the classes without y
        drawn = drawn + (drawn >= own.to(torch.uint8).argmax(dim=1, keepdim=True))
        violated = self.violations(projected, own).gather(1, drawn) > 0
        trial = violated.to(torch.uint8).argmax(dim=1)  # i − 1; the first of equal values
        harmonic = (
            torch.arange(1, others + 1, device=own.device).to(projected.dtype).reciprocal().cumsum(dim=0)
        )
        weight = harmonic[others // (trial + 1) - 1]
        rival = drawn.gather(1, trial[:, None])[:, 0]
        return Rival(rival, torch.where(violated.any(dim=1), weight, 0))
