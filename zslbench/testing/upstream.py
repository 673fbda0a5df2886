"""Small components before those under check: an embedding, and for classifiers a generator."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin.interfaces import Embedding, Generator
from zslbench.plugin.programs import Normal
from zslbench.plugin.views import ClassSpace, Networks, Noise, TrainView


class TinyEmbedding(Embedding):
    """g is what it is given."""

    def fit(self, view: TrainView) -> Networks:
        return {}

    def embed(self, nets: Networks, inputs: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        return inputs


class TinyGenerator(Generator):
    """g = a W + 0.1 z, where W is all ones and z standard normal.

    Args:
        width: of g.
    """

    per_class = 3

    def __init__(self, width: int, space: ClassSpace) -> None:
        super().__init__(None, space)
        self.width = width

    @property
    def sample_noise(self) -> dict[str, Normal]:
        return {"z": Normal((self.width,))}

    def fit(self, view: TrainView) -> Networks:
        shape = (self.space.semantics.shape[1], self.width)
        return {"tiny_generator": {"w": torch.ones(shape, device=view.labels.device)}}

    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        return semantics @ nets["tiny_generator"]["w"] + 0.1 * noise["z"]

    def encode(
        self, nets: Networks, g: Float[Tensor, "n d"], semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Noise | None:
        return {"z": 10 * (g - semantics @ nets["tiny_generator"]["w"])}


class WithoutEncoder(TinyGenerator):
    """The same without an encoder."""

    encode = Generator.encode
