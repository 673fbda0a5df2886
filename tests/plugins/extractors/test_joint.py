"""Both towers of CLIP and SigLIP models: their cosines are those in the library's own logits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from tiny_models import SIZE, joint
from torch import Tensor

from zslbench.errors import DataError, MissingData, SettingsError
from zslbench_extractors.language import TextEncoder
from zslbench_extractors.settings import VisionSettings
from zslbench_extractors.vision import VisionModel

TEXTS = ["a photo of a black footed albatross.", "a fox", "elk, with antlers"]
MEAN, STD = (torch.tensor(one).view(3, 1, 1) for one in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.25]))


@pytest.fixture(scope="module", params=["clip", "siglip"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return joint(request.param, tmp_path_factory.mktemp("joint") / f"tiny-{request.param}")


@pytest.fixture
def images() -> Tensor:
    return torch.rand((4, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(1))


def logits(model: Path, images: Tensor) -> Tensor:
    """As the library's documentation says."""
    library = transformers.AutoModel.from_pretrained(model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    clip = library.config.model_type == "clip"
    how = {"padding": True} if clip else {"padding": "max_length", "max_length": 32}
    tokens = tokenizer(TEXTS, return_tensors="pt", **how)
    if not clip:
        del tokens["attention_mask"]  # SigLIP's tokenizer gives none
    with torch.no_grad():
        found = library(pixel_values=(images - MEAN) / STD, **tokens)
        offset = 0.0 if clip else library.logit_bias
        cosines: Tensor = (found.logits_per_image - offset) / library.logit_scale.exp()
    return cosines


def test_cosines_are_those_of_the_librarys_logits(model: Path, images: Tensor) -> None:
    extractor = VisionModel(VisionSettings(model=str(model), output="embedding"))
    regions, texts = extractor.extract(images), TextEncoder(str(model)).encode(TEXTS)
    assert regions.shape == (4, 1, 24)
    assert extractor.describe()["grid"] == [1, 1]
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(3))
    found, expected = torch.nn.functional.normalize(regions[:, 0]) @ texts.T, logits(model, images)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert torch.equal(found.argsort(dim=1), expected.argsort(dim=1))


def test_a_text_does_not_depend_on_the_others(model: Path) -> None:
    encoder = TextEncoder(str(model))
    together = encoder.encode([*TEXTS, *["b"] * 70])
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(encoder.encode([text])[0], together[row], rtol=0, atol=1e-6)


def test_what_identifies_the_model(model: Path) -> None:
    extractor = VisionModel(VisionSettings(model=str(model), output="embedding"))
    about = TextEncoder(str(model)).about
    assert about["weights_sha256"] == extractor.describe()["weights_sha256"]
    assert about["model"] == model.name
    assert extractor.describe()["name"] == f"{model.name}-embedding"


def test_long_texts_are_found(model: Path) -> None:
    encoder = TextEncoder(str(model))
    long = "an albatross " * 5  # 11 letters and two ends fit into 32, five times as many do not
    assert encoder.too_long([*TEXTS[1:], long]) == [long]
    assert torch.equal(encoder.encode([long]), encoder.encode([long + "and more"]))


def test_weights_in_the_older_format(model: Path, tmp_path: Path) -> None:
    own = tmp_path / model.name
    library = transformers.AutoModel.from_pretrained(model)
    own.mkdir()
    for file in model.iterdir():
        if file.suffix == ".json":
            (own / file.name).write_bytes(file.read_bytes())
    with pytest.raises(MissingData, match=r"model\.safetensors"):
        TextEncoder(str(own))
    torch.save(library.state_dict(), own / "pytorch_model.bin")
    encoder = TextEncoder(str(own))
    assert torch.equal(encoder.encode(TEXTS), TextEncoder(str(model)).encode(TEXTS))
    assert encoder.about["weights_sha256"] != TextEncoder(str(model)).about["weights_sha256"]


def test_folders_that_cannot_encode_texts(model: Path, models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"tokenizer\.json"):
        TextEncoder(str(models["vit"]))
    (models["vit"] / "tokenizer.json").write_text("{}")
    with pytest.raises(SettingsError, match="'vit'"):
        TextEncoder(str(models["vit"]))
    (models["vit"] / "tokenizer.json").unlink()
    with pytest.raises(SettingsError, match="'dinov2'"):
        VisionModel(VisionSettings(model=str(models["dinov2"]), output="embedding"))
    with pytest.raises(MissingData, match=r"openai/none.*--text-encoder FOLDER"):
        TextEncoder("openai/none")
    broken = tmp_path / model.name
    broken.mkdir()
    for file in model.iterdir():
        (broken / file.name).write_bytes(b"{}" if file.name == "tokenizer.json" else file.read_bytes())
    with pytest.raises(DataError, match="tokenizer"):
        TextEncoder(str(broken))
