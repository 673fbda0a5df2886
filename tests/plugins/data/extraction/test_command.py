"""``zslbench data extract``: from a folder of images to methods that run on the result."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

import zslbench
from zslbench.cli.main import cli
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench_data.progress import ImageDisplay


def call(root: Path, *arguments: str) -> Any:
    words = ["data", "extract", *arguments, "--device", "cpu", "--threads", "1", "--data-root", str(root)]
    return CliRunner().invoke(cli, words)


def test_from_images_to_methods(
    data_root: Path, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = f"extractor.model={models['dinov2']}"
    done = call(data_root, "zoo", "--backbone", "transformers", "--set", model, "--batch", "16")
    assert done.exit_code == 0, done.output
    assert "zoo regions tiny-dinov2: 48 x 16 x 32, 49.2 kB; 48 computed" in done.stdout
    assert "48 images" in done.stderr
    assert "images/s" in done.stderr
    again = call(data_root, "zoo", "--backbone", "transformers", "--set", model)
    assert "already extracted" in again.stdout

    # Methods on global features read the features file ...
    monkeypatch.setenv("ZSLBENCH_DATA", str(data_root))
    result = zslbench.run(
        "eszsl", dataset="zoo", features="tiny-dinov2", select="last", store=tmp_path / "runs"
    )
    assert len(result.records) == 1
    # ... and those on regions find the store, with the word vectors beside it.
    vectors = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    np.save(data_root / "Zoo" / "attribute_vectors.npy", vectors)
    recipe = resolve(registry(), "zoo", method="sc-egg", data_root=data_root)
    dataset = load_dataset(recipe.parts["dataset"], root=data_root, needs_regions=True)
    assert dataset.regions is not None
    assert dataset.regions.shape == (48, 16, 32)
    assert dataset.attribute_vectors is not None
    assert dataset.image_files is not None
    assert dataset.image_files[0] == "ant/00.jpg"
    assert np.allclose(dataset.regions[np.arange(48)].mean(axis=1), dataset.features, atol=1e-5)


def test_real_pictures_to_a_table(real_data: Path, tmp_path: Path) -> None:
    """With the commands of docs/data.md, on a few pictures; the backbone's weights are installed."""
    photos, root = tmp_path / "photos", tmp_path / "data"
    classes = {"014.Indigo_Bunting": (1, 0), "047.American_Goldfinch": (0, 1), "017.Cardinal": (1, 1)}
    for name in classes:
        (photos / name).mkdir(parents=True)
        for file in sorted((real_data / "images" / "CUB2010" / name).glob("*.jpg"))[:5]:
            (photos / name / file.name).symlink_to(file)
    table = ["name,dark,yellow", *(f"{name},{one},{two}" for name, (one, two) in classes.items())]
    (tmp_path / "attributes.csv").write_text("\n".join(table))
    parts = dict.fromkeys(list(classes)[:2], "seen") | {"017.Cardinal": "unseen"}
    lines = ["class,part", *(f"{name},{part}" for name, part in parts.items())]
    (tmp_path / "split.csv").write_text("\n".join(lines))
    given = ["--attributes", str(tmp_path / "attributes.csv"), "--split", str(tmp_path / "split.csv")]
    words = ["data", "import", str(photos), "--name", "birds", *given, "--link", "--data-root", str(root)]
    assert "zslbench data extract birds\n" in CliRunner().invoke(cli, words).stdout
    done = call(root, "birds")
    assert "birds features efficientnet-lite0: 15 x 1280, means over regions" in done.stdout, done.output
    options = {"features": "efficientnet-lite0", "select": "last", "store": tmp_path / "runs"}
    result = zslbench.run("eszsl", dataset="birds", data_root=root, **options)
    assert result.frame()["S"].item() == 100  # goldfinches are not taken for buntings


@pytest.mark.slow
def test_figures_from_all_pictures_of_cub2010(real_data: Path, tmp_path: Path) -> None:
    """The figures that the data's README has from another implementation of the backbone and of ESZSL."""
    folder = tmp_path / "birds"
    folder.mkdir()
    for name in ("att_splits.mat", "mobilenet_v2.mat"):
        (folder / name).symlink_to(real_data / "xlsa17" / "CUB2010" / name)
    (folder / "images").symlink_to(real_data / "images" / "CUB2010")
    assert call(tmp_path, "birds").exit_code == 0
    settings = {"classifier.coding": "01", "classifier.lam": 0.1, "embedding.normalize": "l2"}
    for gamma, expected in ((1, (55.7, 14.4, 67.8, 23.7)), (10, (55.4, 19.1, 59.1, 28.9))):
        result = zslbench.run(
            "eszsl",
            dataset="birds",
            data_root=tmp_path,
            features="efficientnet-lite0",
            settings={**settings, "classifier.gamma": gamma},
            select="last",
            store=tmp_path / "runs",
        )
        figures = result.frame()[["Acc", "U", "S", "H"]].iloc[0].tolist()
        assert figures == pytest.approx(expected, abs=0.3)


def test_faults_are_one_line(data_root: Path, models: dict[str, Path]) -> None:
    for words, text in (
        (["moon"], "no folder moon"),
        (["sun"], "zslbench data get sun ("),
        (["zoo", "--backbone", "resnet101"], "resnet101-63fe2227.pth"),
        (["zoo", "--backbone", "resnet"], "did you mean 'resnet101'?"),
        (["zoo", "--set", "generator.lr=1"], "of the extractor"),
        (["zoo", "--set", "extractor.size=1"], "'size'"),
        (["zoo", "--backbone", "transformers", "--offline"], "huggingface.co/facebook/dinov2-base"),
    ):
        done = call(data_root, *words)
        assert done.exit_code in (1, 2)
        assert text in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


def test_offline_is_restored(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert call(data_root, "zoo", "--backbone", "resnet101", "--offline").exit_code == 1
    assert os.environ["HF_HUB_OFFLINE"] == "0"


def test_progress_shows_rate_and_time_left() -> None:
    out = io.StringIO()
    now = [0.0]
    bar = ImageDisplay(Console(file=out, width=200), lambda: now[0])
    with bar.task("resnet101 on cuda", 14_340, 340):
        for _ in range(40):
            now[0] += 1
            bar.advance(100)
    lines = out.getvalue().splitlines()
    assert lines[0] == "resnet101 on cuda: 14,340 images, resuming after 340 images"
    assert lines[1] == "resnet101 on cuda: 1,340 images of 14,340 images, 100 images/s, 2 min left"
    assert len(lines) == 5
    assert "4,340 images of 14,340 images, 100 images/s" in lines[-1]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from zslbench.cli.main import cli\n"
        "try: cli(['data', 'extract', '--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'PIL', 'transformers', 'pydantic', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
