"""Extractors agree with the backbone's own forward pass and name missing files."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision_resnet import Reference

from zslbench.errors import DataError, MissingData, SettingsError
from zslbench.testing import Check, checks_for, parametrize_with_checks
from zslbench_extractors.resnet import ResNet101
from zslbench_extractors.settings import ResNetSettings, VisionSettings
from zslbench_extractors.vision import VisionModel

MODELS = ("resnet", "vit", "dinov2", "dinov2_with_registers", "clip")
MEAN, STD = (torch.tensor(one).view(3, 1, 1) for one in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.25]))


@pytest.fixture
def images() -> Tensor:
    return torch.rand((5, 3, 32, 32), generator=torch.Generator().manual_seed(1))


def own_forward(kind: str, folder: Path, images: Tensor) -> Tensor:
    """The library's model of the whole checkpoint, image by image, called as its documentation says."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    found = []
    with torch.no_grad():
        for image in images:
            pixels = ((image - MEAN) / STD)[None]
            if kind == "resnet":
                cells = model(pixels).last_hidden_state[0]
                height, width = cells.shape[1:]
                found.append(torch.stack([cells[:, y, x] for y in range(height) for x in range(width)]))
            elif kind == "clip":
                found.append(model.vision_model(pixels).last_hidden_state[0, 1:])
            else:
                hidden = model(pixels).last_hidden_state[0]
                found.append(hidden[-((32 // 8) ** 2) :])
    return torch.stack(found)


def close(found: Tensor, expected: Tensor) -> None:
    """Equal to a millionth of the largest value."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("kind", MODELS)
def test_the_backbones_own_forward_pass(models: dict[str, Path], images: Tensor, kind: str) -> None:
    extractor = VisionModel(VisionSettings(model=str(models[kind])))
    whole = extractor.extract(images)
    expected = own_forward(kind, models[kind], images)
    assert whole.shape == expected.shape
    assert expected.std() > 0.01
    close(whole, expected)
    single = torch.cat([extractor.extract(one[None]) for one in images])
    assert torch.equal(single, expected)
    height, width = extractor.describe()["grid"]
    assert height * width == whole.shape[1]


@pytest.mark.parametrize("kind", ["vit", "clip", "dinov2", "resnet"])
def test_another_image_size(models: dict[str, Path], kind: str) -> None:
    extractor = VisionModel(VisionSettings(model=str(models[kind]), image_size=64))
    assert extractor.image_size == 64
    side = 2 if kind == "resnet" else 8
    assert extractor.describe()["grid"] == [side, side]
    assert extractor.extract(torch.rand((1, 3, 64, 64))).shape[1] == side * side


def test_regions_of_a_transformer_are_its_patches_in_rows(models: dict[str, Path]) -> None:
    """Without attention a patch sees itself alone: only the changed one, the fourth, changes."""
    extractor = VisionModel(VisionSettings(model=str(models["dinov2_with_registers"])))
    for name, parameter in extractor._backbone.network.named_parameters():
        if "layer_scale1" in name:
            parameter.zero_()
    image = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(2))
    other = image.clone()
    other[..., :8, 24:] += 0.5
    changed = (extractor.extract(image) != extractor.extract(other)).any(dim=2)[0]
    assert changed.nonzero().flatten().tolist() == [3]


def test_image_processing_comes_from_the_models_file(models: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(models["dinov2"], tmp_path / "own")

    def processing(**values: Any) -> VisionModel:
        (folder / "preprocessor_config.json").write_text(json.dumps(values))
        return VisionModel(VisionSettings(model=str(folder)))

    colours = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1.0, 2.0, 4.0]}
    one = processing(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}, resample=3, **colours)
    assert (one.image_size, one.interpolation) == (32, "bicubic")
    assert one.describe()["normalisation"] == {"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 4.0]}
    two = processing(size={"height": 48, "width": 48}, do_normalize=False)
    assert (two.image_size, two.interpolation) == (48, "bilinear")
    assert two.describe()["normalisation"] == {"mean": [0.0] * 3, "std": [1.0] * 3}
    with pytest.raises(DataError, match=r"no.* square; resample 0 is neither.*; image_mean"):
        processing(size={"height": 48, "width": 32}, resample=0)
    with pytest.raises(SettingsError, match=r"36 pixels .* 8-pixel patches"):
        processing(size=36, **colours)


def test_weights_are_identified_and_complete(models: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(models["vit"], tmp_path / "own")
    file = folder / "model.safetensors"
    described = VisionModel(VisionSettings(model=str(folder))).describe()
    assert described["weights_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert described["name"] == "own"
    assert str(tmp_path) not in json.dumps(described)
    save_file({k: v for k, v in load_file(file).items() if "layernorm" not in k}, file, {"format": "pt"})
    with pytest.raises(DataError, match=r"lacks .* weights of ViTModel: "):
        VisionModel(VisionSettings(model=str(folder)))
    file.write_bytes(b"junk" * 10)
    with pytest.raises(DataError, match=r"as ViTModel"):
        VisionModel(VisionSettings(model=str(folder)))
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(SettingsError, match=r"'bert'.* resnet, vit"):
        VisionModel(VisionSettings(model=str(folder)))


def test_missing_weights_name_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.getaddrinfo", reached)
    monkeypatch.setattr("socket.create_connection", reached)
    with pytest.raises(MissingData, match=r"model.safetensors .*https://huggingface.co/some/model "):
        VisionModel(VisionSettings(model="some/model"))
    with pytest.raises(MissingData, match=r"no such folder"):
        VisionModel(VisionSettings(model=str(tmp_path / "nothing")))
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_text("{}")
    with pytest.raises(MissingData, match=r"preprocessor_config.json, model.safetensors missing"):
        VisionModel(VisionSettings(model=str(tmp_path / "half")))
    with pytest.raises(MissingData) as caught:
        ResNet101(ResNetSettings())
    assert "resnet101-63fe2227.pth" in str(caught.value)
    assert str(tmp_path / "torch" / "hub" / "checkpoints") in str(caught.value)


# --- torchvision's weights -----------------------------------------------------------------------


@pytest.fixture
def reference() -> Reference:
    torch.manual_seed(3)
    net = Reference().eval()
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if "bn" in name or "downsample.1" in name:
                tensor.copy_(torch.rand(tensor.shape) + 0.5 if tensor.ndim else tensor)
    return net


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_torchvisions_weights(reference: Reference, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights.{suffix}"
    state = reference.state_dict()
    if suffix == "pth":
        torch.save({k: v for k, v in state.items() if "num_batches" not in k}, path)  # as old files
    else:
        save_file(state, path)
    extractor = ResNet101(ResNetSettings(weights=str(path), image_size=96))
    images = torch.rand((2, 3, 96, 96))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        expected = reference((images - mean) / std).flatten(2).transpose(1, 2)
    found = extractor.extract(images)
    assert found.shape == (2, 9, 128)
    assert expected.std() > 0.01
    close(found, expected)
    described = extractor.describe()
    assert (described["name"], described["grid"]) == ("resnet-1-2-1-2", [3, 3])
    assert described["weights"] == path.name
    assert extractor.interpolation == "bilinear"


def test_the_papers_size() -> None:
    assert ResNetSettings().image_size == 448
    assert -(-448 // 32) == 14


def test_other_weights_are_refused(reference: Reference, tmp_path: Path) -> None:
    def refused(state: Any, words: str) -> None:
        torch.save(state, tmp_path / "weights.pth")
        with pytest.raises(DataError, match=words):
            ResNet101(ResNetSettings(weights=str(tmp_path / "weights.pth")))

    state = reference.state_dict()
    refused({k: v for k, v in state.items() if k != "layer3.0.conv2.weight"}, "1 weights missing")
    refused({**state, "layer5.extra": torch.zeros(1)}, "1 unknown")
    refused({**state, "layer2.0.bn2.weight": torch.zeros(3)}, "of other shapes")
    refused({"features.0.weight": torch.zeros(1)}, "not a bottleneck ResNet")
    refused([1, 2], "not a file of named tensors")
    refused(Path("x"), "cannot be read as weights")  # an object: its code is not run
    with pytest.raises(DataError, match=r"no such file"):
        ResNet101(ResNetSettings(weights=str(tmp_path / "none.pth")))


def test_a_damaged_file_in_torchs_cache_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "torch" / "hub" / "checkpoints"
    place.mkdir(parents=True)
    (place / "resnet101-63fe2227.pth").write_bytes(b"half")
    with pytest.raises(MissingData, match=r"sha256 .*63fe2227. Download "):
        ResNet101(ResNetSettings())


def test_resnet101_through_transformers(models: dict[str, Path], images: Tensor) -> None:
    extractor = ResNet101(ResNetSettings(weights=str(models["resnet"]), image_size=32))
    close(extractor.extract(images), own_forward("resnet", models["resnet"], images))
    assert extractor.describe()["name"] == "tiny-resnet"
    with pytest.raises(SettingsError, match=r"'vit'.* resnet"):
        ResNet101(ResNetSettings(weights=str(models["vit"])))


def test_torchvision_itself_agrees(tmp_path: Path) -> None:
    """Where torchvision can be imported: its own ResNet, with 50 layers to be quick."""
    try:
        from torchvision.models import resnet50
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported here ({type(error).__name__})")
    torch.manual_seed(0)
    net = resnet50(weights=None).eval()
    torch.save(net.state_dict(), tmp_path / "weights.pth")
    extractor = ResNet101(ResNetSettings(weights=str(tmp_path / "weights.pth"), image_size=64))
    images = torch.rand((1, 3, 64, 64))
    trunk = nn.Sequential(*list(net.children())[:-2])
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        expected = trunk((images - mean) / std).flatten(2).transpose(1, 2)
    torch.testing.assert_close(extractor.extract(images), expected, rtol=1e-4, atol=1e-5)


# --- conformance ---------------------------------------------------------------------------------

_PLACE = Path(__file__).parent / "no-such-place"


def _checks() -> list[Check]:
    return [
        *checks_for("extractor", "transformers", settings={"model": str(_PLACE)}),
        *checks_for("extractor", "resnet101", settings={"weights": str(_PLACE), "image_size": 64}),
    ]


@parametrize_with_checks(_checks())
def test_conformance(check: Check, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings are made before there is a model: the folder that they name is put in place here."""
    import zslbench_extractors.resnet as resnet
    import zslbench_extractors.vision as vision

    monkeypatch.setattr(vision, "model_folder", lambda *_: models["dinov2"])
    monkeypatch.setattr(resnet, "model_folder", lambda *_: models["resnet"])
    check()
