"""A method that trains on pictures: mean responses of a few filters, on random crops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zslbench import Component, ComponentSettings, Method
from zslbench.plugin import (
    DataRequest,
    Dataset,
    Epochs,
    Fit,
    Losses,
    Networks,
    Optimizer,
    Program,
    Step,
    TrainView,
    Uniform,
)
from zslbench.plugin.interfaces import Embedding
from zslbench.plugin.programs import Batch
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Noise
from zslbench.testing.fakes import fake_plugin
from zslbench.training import center_crop, cross_entropy, random_flip, random_resized_crop
from zslbench_datasets.toy import ToySource

SIZE, CROP, FILTERS = 14, 12, 12


class LookingSettings(ComponentSettings):
    """Its training."""

    epochs: Epochs = 2
    """Length."""
    lr: float = 0.01
    """Learning rate."""
    accumulate: int = 1
    """Parts of a batch."""


class Looking(Embedding):
    """g: the mean over the picture of each filter's response; scores g W a(c) over the seen classes."""

    inputs = "images"
    settings: LookingSettings

    @classmethod
    def image_size(cls, settings: Any) -> int:
        return SIZE

    def fit(self, view: TrainView) -> Fit:
        assert view.images is not None
        noise = {"crop": Uniform((4,)), "flip": Uniform(())}
        step = Step("fit", self.losses, ("filters", "w"), noise, accumulate=self.settings.accumulate)
        rule = Optimizer(lr=self.settings.lr)
        return Program(
            initial=self.initial,
            passes=((step,),),
            optimizers={"filters": rule, "w": rule},
            features=view.images,
            labels=view.labels,
            epochs=self.settings.epochs,
            batch_size=16,
            lift=False,
            key={},
        )

    def initial(self, streams: Streams) -> Networks:
        attributes = self.space.semantics.shape[1]
        return {
            "filters": {"weight": streams.normal("filters", (FILTERS, 3, 4, 4), 0.2)},
            "w": {"weight": streams.normal("w", (FILTERS, attributes), 0.1)},
        }

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        x = random_flip(random_resized_crop(batch.features, noise["crop"], CROP, (0.5, 1.0)), noise["flip"])
        scores = self.responses(nets, x) @ nets["w"]["weight"] @ self.space.semantics.T
        return Losses(cross_entropy(scores, batch.labels, self.space.seen), {})

    def responses(self, nets: Networks, x: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(x, nets["filters"]["weight"]).relu().mean(dim=(2, 3))

    def embed(self, nets: Networks, inputs: Tensor) -> Tensor:
        return self.responses(nets, center_crop(inputs, CROP))


class Blind(ToySource):
    """Knows nothing of pictures."""

    def load(self, request: DataRequest) -> Dataset:
        return super().load(replace(request, image_size=None))


LOOKING = fake_plugin(
    "looking",
    components=[
        Component(
            kind="dataset",
            name="blind",
            target="looking:Blind",
            settings="zslbench_datasets.settings:ToySettings",
            summary="a test's",
        ),
        Component(
            kind="embedding",
            name="looking",
            target="looking:Looking",
            settings="looking:LookingSettings",
            summary="a test's",
        ),
    ],
    methods=[Method(name="looking", embedding="looking", classifier="eszsl", summary="a test's")],
)
"""The plugin of method ``looking``."""
