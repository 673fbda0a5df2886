"""Streams of attribute scores from the parts of an image, and how they train: what AREN and RGEN share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin import (
    Batch,
    Embedding,
    Exponential,
    Fit,
    Losses,
    Networks,
    Noise,
    Optimizer,
    Program,
    Step,
    Streams,
    TrainView,
    Uniform,
)
from zslbench.training import cross_entropy, unit
from zslbench_aren.parts import dropout
from zslbench_aren.settings import PartSettings
from zslbench_common.attribute_scores import attribute_scores
from zslbench_common.regions import region_shape

Scores = Float[Tensor, "b attributes"]


class PartStreams(Embedding):
    """g is the weighted mean of the streams' attribute scores e."""

    inputs = "regions"
    settings: PartSettings

    @property
    @abstractmethod
    def weights(self) -> Mapping[str, float]:
        """Each stream's weight in the loss and in g."""

    @abstractmethod
    def streams(self, nets: Networks, r: Float[Tensor, "b regions dv"]) -> dict[str, Scores]:
        """e of every stream."""

    @property
    @abstractmethod
    def trained(self) -> tuple[str, ...]:
        """Names of the networks, all of which train."""

    @abstractmethod
    def initial(self, channels: int, streams: Streams) -> Networks:
        """The networks before training."""

    def stream_loss(self, e: Scores, labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """The cross-entropy of eᵀ a(c) over the seen classes."""
        return cross_entropy(attribute_scores(e, unit(self.space.semantics)), labels, self.space.seen)

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """The weighted mean of the streams' losses, each with dropout on its scores."""
        rate = self.settings.dropout
        losses = {
            name: self.stream_loss(dropout(e, noise[name], rate) if rate else e, batch.labels)
            for name, e in self.streams(nets, batch.features).items()
        }
        return Losses(self.mean(losses), losses)

    def mean(self, values: Mapping[str, Tensor]) -> Tensor:
        """The weighted mean of values of the streams."""
        weights = self.weights
        total = torch.stack([weights[name] * value for name, value in values.items()]).sum(dim=0)
        return total / sum(weights.values())

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n attributes"]:
        """g, without dropout."""
        return self.mean(self.streams(nets, inputs))

    def fit(self, view: TrainView) -> Fit:
        s, regions = self.settings, view.regions
        assert regions is not None
        _, channels = region_shape(view)
        noise = {name: Uniform((self.space.semantics.shape[1],)) for name in self.weights if s.dropout}
        rule = Optimizer(
            "sgd",
            lr=s.lr,
            momentum=s.momentum,
            weight_decay=s.weight_decay,
            lr_schedule=Exponential(0.1, every=s.decay_every),
        )
        return Program(
            initial=partial(self.initial, channels),
            passes=((Step("scores", self.losses, self.trained, noise),),),
            optimizers=dict.fromkeys(self.trained, rule),
            features=regions,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            sampler="shuffled",
        )


def project_flattened(net: Mapping[str, Tensor], f: Float[Tensor, "b parts d"]) -> Scores:
    """W [f_1; …; f_K]: a linear map of the concatenated features."""
    return f.flatten(1) @ net["weight"].T


def initial_projection(streams: Streams, net: str, inputs: int, outputs: int) -> dict[str, Tensor]:
    """A matrix without bias, ``weight`` (outputs, inputs), of variance 1 / inputs."""
    return {"weight": streams.normal(net, (outputs, inputs), inputs**-0.5)}
