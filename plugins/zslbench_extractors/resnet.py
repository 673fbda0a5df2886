"""ResNet-101 (He et al., CVPR 2016) with ImageNet weights; regions are its last feature map, conv5.

The network is transformers' ResNet, whose bottlenecks have torchvision's form (the stride in the 3 x 3
convolution); weights with torchvision's names are renamed to its own. torchvision itself is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from zslbench.errors import DataError
from zslbench.store import sha256_of
from zslbench_extractors.settings import ResNetSettings
from zslbench_extractors.vision import Backbone, BackboneExtractor, Processing, load_vision, resnet
from zslbench_extractors.weights import (
    FILES,
    TORCHVISION,
    library,
    model_folder,
    read_tensors,
    torchvision_file,
)

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's RGB values in [0, 1]."""
_DEPTHS = (3, 4, 23, 3)
_STEM = re.compile(r"(conv|bn)1\.(\w+)")
_BLOCK = re.compile(r"layer(\d)\.(\d+)\.(?:(conv|bn)(\d)|downsample\.(\d))\.(\w+)")
_KINDS = {"conv": "convolution", "0": "convolution", "bn": "normalization", "1": "normalization"}
"""transformers' words for torchvision's."""


class ResNet101(BackboneExtractor):
    """ResNet-101 with the weights that the settings name."""

    settings: ResNetSettings

    def load(self) -> Backbone:
        weights, size = self.settings.weights, self.settings.image_size
        if weights == TORCHVISION:
            path = torchvision_file()
        elif Path(weights).suffix.lower() in FILES:
            path = Path(weights).expanduser()
        else:
            return load_vision(model_folder(weights, "extractor.weights"), weights, size, ("resnet",))
        network, depths = from_torchvision(read_tensors(path), path)
        about = {
            "name": "resnet101" if depths == _DEPTHS else f"resnet-{'-'.join(map(str, depths))}",
            "weights_sha256": sha256_of(path),
            "weights": path.name,
            "layer": "conv5",
        }
        return resnet(network, Processing(size, "bilinear", *_IMAGENET), about)


def from_torchvision(state: Mapping[str, Tensor], where: Path) -> tuple[nn.Module, tuple[int, ...]]:
    """A network of the file's depths and widths with its weights, and the number of blocks of its stages.

    Raises:
        DataError: the weights are not those of a complete bottleneck ResNet.
    """
    transformers = library()
    renamed = {_renamed(key): value for key, value in state.items() if not key.startswith("fc.")}
    blocks = {(int(found[1]), int(found[2])) for found in map(_BLOCK.fullmatch, state) if found}
    stages = sorted({stage for stage, _ in blocks})
    last = [f"layer{stage}.0.conv3.weight" for stage in stages]
    if stages != list(range(1, len(stages) + 1)) or not stages or not {*last, "conv1.weight"} <= state.keys():
        raise DataError(where, ["is not a bottleneck ResNet with torchvision's names"])
    depths = tuple(1 + max(block for owner, block in blocks if owner == stage) for stage in stages)
    config = transformers.ResNetConfig(
        embedding_size=state["conv1.weight"].shape[0],
        hidden_sizes=[state[name].shape[0] for name in last],
        depths=list(depths),
        layer_type="bottleneck",
    )
    network: nn.Module = transformers.ResNetModel(config)
    try:
        missing, unknown = network.load_state_dict(renamed, strict=False)
    except RuntimeError as error:
        raise DataError(where, [f"weights of other shapes ({str(error).splitlines()[-1].strip()})"]) from None
    missing = [one for one in missing if not one.endswith("num_batches_tracked")]  # old files lack them
    if missing or unknown:
        fault = f"is not a complete ResNet: {len(missing)} weights missing, {len(unknown)} unknown"
        raise DataError(where, [fault])
    return network, depths


def _renamed(key: str) -> str:
    """The name that transformers uses for a tensor, from torchvision's."""
    if stem := _STEM.fullmatch(key):
        return f"embedder.embedder.{_KINDS[stem[1]]}.{stem[2]}"
    found = _BLOCK.fullmatch(key)
    if found is None:
        return key
    stage, block, kind, number, shortcut, tensor = found.groups()
    layer = "shortcut" if number is None else f"layer.{int(number) - 1}"
    return f"encoder.stages.{int(stage) - 1}.layers.{block}.{layer}.{_KINDS[kind or shortcut]}.{tensor}"
