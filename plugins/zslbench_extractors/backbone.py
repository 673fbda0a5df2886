"""Base class of the extractors: a frozen network and the normalisation of its images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zslbench.plugin import FeatureExtractor

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's RGB values in [0, 1]."""


@dataclass(frozen=True)
class Backbone:
    """A network with its weights."""

    name: str
    network: nn.Module
    regions: Callable[[Tensor], Tensor]
    """Normalised images (b, 3, h, w) to regions (b, regions, dv), row by row of the grid."""
    grid: tuple[int, int]
    """Regions of an image along its height and width."""
    image_size: int
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights_sha256: str
    about: dict[str, Any]
    """Whatever else identifies it, as JSON data."""


def feature_map(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The last feature map of a transformers ResNet as regions, row by row."""

    def regions(images: Tensor) -> Tensor:
        found: Tensor = network(images).last_hidden_state
        return found.flatten(2).transpose(1, 2)

    return regions


class BackboneExtractor(FeatureExtractor):
    """Runs a backbone on the device where the images are."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._backbone = self.load()
        self._backbone.network.eval().requires_grad_(False).float()
        self.image_size = self._backbone.image_size
        self.interpolation = self._backbone.interpolation

    @abstractmethod
    def load(self) -> Backbone:
        """Read the weights."""

    def extract(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b regions dv"]:
        network = self._backbone.network
        if next(network.parameters()).device != images.device:
            network.to(images.device)
        mean, std = (
            torch.tensor(values, device=images.device).view(3, 1, 1)
            for values in (self._backbone.mean, self._backbone.std)
        )
        with torch.no_grad():
            return self._backbone.regions((images - mean) / std)

    def describe(self) -> dict[str, Any]:
        one = self._backbone
        return {
            "name": one.name,
            "grid": list(one.grid),
            "weights_sha256": one.weights_sha256,
            "normalisation": {"mean": list(one.mean), "std": list(one.std)},
            **one.about,
        }
