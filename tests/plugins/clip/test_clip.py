"""From pictures and prompts to a table, with tiny random models: predictions are those of their logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from click.testing import CliRunner
from picture_files import CLASSES, PER_CLASS
from PIL import Image
from tiny_models import joint

import zslbench
from zslbench.cli.main import cli
from zslbench.data import semantics_file
from zslbench.experiment.datasets import DataFiles, load_dataset
from zslbench.experiment.recipe import resolve
from zslbench.plugin import ClassSpace, load_class
from zslbench.plugin.discovery import registry

PROMPTS = ("a photo of a {}, a type of animal.", "{}")


def call(*arguments: object) -> Any:
    return CliRunner().invoke(cli, [*map(str, arguments), "--threads", "1", "--device", "cpu"])


def logits(model: Path, folder: Path, size: int) -> np.ndarray:
    """Of the library's own model: (prompts, images, classes)."""
    library = transformers.AutoModel.from_pretrained(model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    files = [folder / name / f"{one:02d}.jpg" for name in CLASSES for one in range(PER_CLASS)]
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.25]))
    pixels = torch.stack([
        (torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255 - mean) / std for file in files
    ])  # fmt: skip
    assert pixels.shape[2:] == (size, size)
    found = []
    for prompt in PROMPTS:
        texts = [prompt.replace("{}", name) for name in CLASSES]
        with torch.no_grad():
            tokens = tokenizer(texts, padding=True, return_tensors="pt")
            found.append(library(pixel_values=pixels, **tokens).logits_per_image.numpy())
    return np.stack(found)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return joint("clip", tmp_path_factory.mktemp("joint") / "tiny-clip")


@pytest.fixture
def zoo(data_root: Path, make_image: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data root of pictures as large as the model's, so that nothing is resized."""
    for number, path in enumerate(sorted((data_root / "Zoo" / "images").rglob("*.jpg"))):
        make_image(number, 32, 32).save(path, quality=95)
    monkeypatch.setenv("ZSLBENCH_DATA", str(data_root))
    return data_root


@pytest.mark.slow
def test_predictions_are_those_of_the_librarys_logits(zoo: Path, model: Path, tmp_path: Path) -> None:
    settings = [f"extractor.model={model}", "extractor.output=embedding"]
    how = [part for one in settings for part in ("--set", one)]
    done = call("data", "extract", "zoo", "--backbone", "transformers", *how, "--dtype", "float32")
    assert done.exit_code == 0, done.output
    done = call(
        "data", "semantics", "zoo", "--text-encoder", model, "--prompt", PROMPTS[0], "--name", "texts"
    )
    assert done.exit_code == 0, done.output
    assert "zoo semantics texts: 6 x 24, 6 texts" in done.stdout

    expected = logits(model, zoo / "Zoo" / "images", 32)[0]
    scale = float(transformers.AutoModel.from_pretrained(model).logit_scale.detach().exp())
    recipe = resolve(registry(), "zoo", method="clip", data_root=zoo, settings={"classifier.scale": scale})
    data = load_dataset(recipe.parts["dataset"], DataFiles("tiny-clip-embedding", "texts"), root=zoo)
    seen, unseen = torch.arange(4), torch.arange(4, 6)
    space = ClassSpace(data.class_names, torch.from_numpy(data.semantics), seen, unseen)
    part = recipe.parts["classifier"]
    found = load_class(part.registered)(part.settings, space).scores({}, torch.from_numpy(data.features))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)
    np.testing.assert_array_equal(found.argsort(dim=1), expected.argsort(axis=1))

    options: Any = {"features": "tiny-clip-embedding", "semantics": "texts", "store": tmp_path / "runs"}
    (record,) = zslbench.run("clip", dataset="zoo", **options).records
    labels, predicted = np.repeat(np.arange(6), PER_CLASS), expected.argmax(axis=1)
    right = (predicted == labels).reshape(6, PER_CLASS)
    assert record.metrics["u"] == pytest.approx(right[4:].mean())
    assert record.metrics["s"] == pytest.approx(right[:4, 6:].mean())
    czsl = (expected[32:, 4:].argmax(axis=1) + 4 == labels[32:]).mean()
    assert record.metrics["acc"] == pytest.approx(czsl)
    assert record.data["semantics"] == "texts"


def test_prompts_and_descriptions_are_averaged(zoo: Path, model: Path) -> None:
    def write(name: str, *options: object) -> np.ndarray:
        done = call("data", "semantics", "zoo", "--text-encoder", model, "--name", name, *options)
        assert done.exit_code == 0, done.output
        path = semantics_file(name, zoo / "Zoo")
        assert path is not None
        return np.asarray(np.load(path))

    first, second = (write(f"one-{number}", "--prompt", one) for number, one in enumerate(PROMPTS))
    both = write("both", *(part for one in PROMPTS for part in ("--prompt", one)))
    mean = first + second
    np.testing.assert_allclose(both, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-6)
    rows = [f"{name},{one.replace('{}', name)}" for one in PROMPTS for name in reversed(CLASSES)]
    table = zoo / "described.csv"
    table.write_text("\n".join(["class,text", *(row.replace(", a type", "; a type") for row in rows)]))
    table.write_text(table.read_text().replace("; a type", " a type"))
    described = write("described", "--descriptions", table)
    assert described.shape == both.shape and np.abs(described - both).max() > 1e-3  # without the comma
    plain = [f"{name},{name}" for name in CLASSES]
    table.write_text("\n".join(["class,text", *plain]))
    np.testing.assert_allclose(write("plain", "--descriptions", table), second, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--prompt", "a photo"), 2, "a photo"),
        (("--name", "att"), 2, "att"),
        (("--descriptions", "none.csv"), 1, "none.csv"),
    ],
)
def test_faults_are_one_line(zoo: Path, model: Path, options: tuple[str, ...], code: int, says: str) -> None:
    done = call("data", "semantics", "zoo", "--text-encoder", model, "--name", "texts", *options)
    assert done.exit_code == code
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (zoo / "Zoo" / "semantics").exists()


def test_classes_without_texts_of_their_own_are_refused(zoo: Path, model: Path) -> None:
    table = zoo / "described.csv"
    for rows, says in (
        (["ant,black"], "5 classes are missing"),
        ([f"{name},{'grey' if name in ('cat', 'elk') else name}" for name in CLASSES], "cat = elk"),
        ([f"{name},{'' if name == 'dog' else name}" for name in CLASSES], "1 rows have no text"),
    ):
        table.write_text("\n".join(["class,text", *rows]))
        done = call(
            "data", "semantics", "zoo", "--text-encoder", model, "--name", "t", "--descriptions", table
        )
        assert done.exit_code == 1
        assert says in done.stderr


def test_existing_semantics_stay_without_force(zoo: Path, model: Path) -> None:
    arguments = ("data", "semantics", "zoo", "--text-encoder", model, "--name", "texts")
    assert call(*arguments).exit_code == 0
    assert "--force" in call(*arguments, "--prompt", "{}").stderr
    assert call(*arguments, "--prompt", "{}", "--force").exit_code == 0
    done = CliRunner().invoke(cli, ["data", "info", "zoo"])
    assert "texts" in done.stdout


def test_other_features_are_refused_in_one_line(zoo: Path) -> None:
    done = CliRunner().invoke(cli, ["run", "clip", "--dataset", "toy", "--store", str(zoo / "runs")])
    assert done.exit_code == 1
    assert "64" in done.stderr and "20" in done.stderr
