"""Settings of the shared components."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat

from zslbench import ComponentSettings
from zslbench.plugin import Count, Epochs, Offset


class IdentitySettings(ComponentSettings):
    normalize: Literal["minmax", "standard", "l2", "none"] = "minmax"
    """minmax: each dimension to [0, 1] by the training images' range (the CLSWGAN family's preprocessing;
    test values are not clipped); standard: each dimension to mean 0 and standard deviation 1 over the
    training images; l2: each image to unit length; none: as stored."""


class SoftmaxSettings(ComponentSettings):
    epochs: Epochs = 25
    """Passes over the real and synthetic features (25 in the TF-VAEGAN and SC-EGG codes)."""
    batch_size: Count = 300
    """Examples per step; the CLSWGAN family uses the number of synthetic features per class."""
    lr: PositiveFloat = 1e-3
    """Adam's learning rate."""
    beta1: NonNegativeFloat = 0.5
    """Adam's first decay (0.5 in the CLSWGAN family); the second is 0.999."""
    czsl_epochs: Count | None = None
    """Epochs of the CZSL classifier; None: as many as for GZSL."""
    czsl_batch_size: Count | None = None
    """Its examples per step; None: as many as for GZSL."""
    czsl_lr: PositiveFloat | None = None
    """Its learning rate; None: that for GZSL."""

    def for_task(self, task: Literal["gzsl", "czsl"]) -> Self:
        own = {"epochs": self.czsl_epochs, "batch_size": self.czsl_batch_size, "lr": self.czsl_lr}
        given = {name: value for name, value in own.items() if value is not None and task == "czsl"}
        return self.model_copy(update=given)


class AttributeScoresSettings(ComponentSettings):
    similarity: Literal["dot", "cosine"] = "dot"
    """How attribute scores and class semantics are compared: by inner product or by cosine."""
    scale: PositiveFloat = 1.0
    """The similarity is multiplied by it (CLIP's exponentiated logit scale)."""
    head_weights: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    """Weight w of each of the embedding's score heads, in the order in which it concatenates them."""
    semantics: Literal["raw", "unit"] = "raw"
    """Class semantics as the data set stores them, or each class's scaled to unit length."""
    softmax: bool = False
    """Whether each head's scores pass through a softmax over the classes before heads and offset are
    added."""
    offset: Offset | None = None
    """The method's own calibrated stacking: added to the scores of unseen classes. None: the offset that the
    embedding trains with, or 0. Runs for which it is not 0 are marked wherever they are shown."""


class BilinearScoresSettings(ComponentSettings):
    epochs: Epochs = 25
    """Passes over the training images."""
    batch_size: Count = 64
    """Images per step."""
    lr: PositiveFloat = 1e-3
    """Adam's learning rate."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay of W."""
    semantics: Literal["raw", "unit"] = "unit"
    """Class semantics as the data set stores them, or each class's scaled to unit length."""
    offset: Offset = 0.0
    """The method's own calibrated stacking: added to the scores of unseen classes."""
