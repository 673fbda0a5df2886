"""Extraction from images to a store and means: in order, complete, the same after any interruption."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from zslbench.data.regions.store import RegionStore
from zslbench.errors import DataError, Interrupted, MissingData, PluginError, SettingsError, ZslbenchError
from zslbench.plugin import ComponentSettings
from zslbench_data.extraction.engine import ExtractionOptions, extract, portable
from zslbench_data.progress import Display
from zslbench_data.staging import locked

SCRIPT = Path(__file__).with_name("blocks.py")


def _load() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("extraction_blocks", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


blocks = _load()


@pytest.fixture
def zoo(data_root: Path) -> Path:
    return data_root / "Zoo"


def run(folder: Path, extractor: Any = None, **how: Any) -> Any:
    wanted = ExtractionOptions(**{"backbone": "blocks", "batch": 5, "workers": 0, **how})
    return extract(
        folder, extractor or blocks.Blocks(), wanted, blocks.CPU, display=Display(), advice="Get them"
    )


def content(folder: Path, name: str = "blocks") -> dict[str, str]:
    """Every file that an extraction wrote, with the digest of its bytes."""
    files = [*sorted((folder / "regions").rglob("*")), folder / f"{name}.mat"]
    return {
        one.relative_to(folder).as_posix(): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in files
        if one.is_file() and one.suffix != ".lock"
    }


def by_hand(path: Path) -> np.ndarray:
    """Mean colour of 4 x 4 blocks, squared: shorter side to 16, middle square, all by Pillow and NumPy."""
    with Image.open(path) as image:
        width, height = image.size
        wide = int(16 * width / height)
        small = image.resize((wide, 16), Image.Resampling.BILINEAR)
    left = round((wide - 16) / 2)
    pixels = np.asarray(small)[:, left : left + 16].astype(np.float64) / 255
    means = [pixels[y : y + 4, x : x + 4].mean(axis=(0, 1)) for y in range(0, 16, 4) for x in range(0, 16, 4)]
    return np.tile(np.array(means), (1, 2)) ** 2


def test_regions_and_means_of_every_image_in_order(zoo: Path) -> None:
    made = run(zoo, dtype="float32")
    store = RegionStore.open(zoo / "regions" / "blocks")
    assert made.computed == 48
    assert store.shape == (48, 16, 6)
    assert store.dtype == np.float32
    assert store.verify() == []
    paths = sorted((zoo / "images").rglob("*.jpg"))
    expected = np.stack([by_hand(one) for one in paths])
    np.testing.assert_allclose(store[np.arange(48)], expected, atol=1e-6)
    np.testing.assert_allclose(store.features, expected.mean(axis=1), atol=1e-6)
    assert store.image_files == tuple(one.relative_to(zoo / "images").as_posix() for one in paths)
    assert store.labels.tolist() == np.repeat(np.arange(6), 8).tolist()
    file = scipy.io.loadmat(zoo / "blocks.mat", squeeze_me=True)
    assert np.array_equal(file["features"], store.features.T)
    assert file["labels"].tolist() == (store.labels + 1).tolist()
    assert file["image_files"].tolist() == list(store.image_files)


def test_the_store_records_its_provenance(zoo: Path, tmp_path: Path) -> None:
    store = run(zoo).store
    provenance = store.provenance
    assert store.dtype == np.float16
    assert (provenance["backbone"], provenance["grid"], provenance["source"]) == (
        "blocks",
        [4, 4],
        "images of Zoo as listed in images",
    )
    assert provenance["extractor"] == {"name": "blocks", "settings": {}}
    assert provenance["finetuned"] is False
    assert store.describe()["finetuned"] is False  # which runs quote
    settings = provenance["settings"]
    assert (settings["resize"], settings["interpolation"], settings["image_size"]) == ("crop", "bilinear", 16)
    assert (settings["factor"], settings["precision"], settings["exif_orientation"]) == (
        1.0,
        "float32",
        "ignored",
    )
    assert settings["images"]["count"] == 48
    assert str(tmp_path) not in json.dumps(dict(provenance))


def test_settings_that_name_files_of_this_machine_are_not_recorded(tmp_path: Path) -> None:
    class Settings(ComponentSettings):
        """A backbone's."""

        weights: str
        """A file."""
        layer: str = "conv5"
        """A name."""
        image_size: int = 64
        """Pixels."""

    (tmp_path / "own.pth").write_bytes(b"")
    kept = {"layer": "conv5", "image_size": 64}
    assert portable(Settings(weights=str(tmp_path / "own.pth"))) == kept
    assert portable(Settings(weights="packaged")) == kept | {"weights": "packaged"}
    assert portable(None) == {}


def test_processes_and_batches_change_no_bit(zoo: Path) -> None:
    one = content(zoo) if run(zoo) else {}
    shutil.rmtree(zoo / "regions")
    (zoo / "blocks.mat").unlink()
    run(zoo, workers=2, batch=7)
    assert content(zoo) == one
    assert set(one) == {
        *(
            f"regions/blocks/{file}"
            for file in ("features.npy", "images.parquet", "regions.npy", "store.json")
        ),
        "blocks.mat",
    }


def process(folder: Path, moment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), moment], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_killed_extraction_resumes_to_the_same_bytes(zoo: Path, tmp_path: Path) -> None:
    other = shutil.copytree(zoo, tmp_path / "other" / "Zoo")
    run(other)
    left: list[int] = []
    for moment in ("batch-6", "index", "features"):  # at 60 %, and twice at the end
        killed = process(zoo, moment)
        assert killed.returncode == -9, killed.stderr
        assert not (zoo / "blocks.mat").exists()
        if (part := zoo / "regions" / ".blocks.part" / "progress.json").exists():
            left.append(json.loads(part.read_text())["rows"])
    # A checkpoint is written while the next batch is computed, so the last one may be lost.
    assert 20 <= left[0] <= 30
    assert 40 <= left[1] <= 48
    assert run(zoo).computed == 0
    assert content(zoo) == content(other)


def test_an_interrupt_keeps_every_row(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = blocks.Blocks()
    own = extractor.extract

    def interrupted(images: Any) -> Any:
        if extractor.calls == 4:
            raise KeyboardInterrupt
        return own(images)

    monkeypatch.setattr(extractor, "extract", interrupted)
    with pytest.raises(Interrupted, match=r"resumes from here"):
        run(zoo, extractor)
    assert [one.name for one in (zoo / "regions").iterdir() if one.is_dir()] == [".blocks.part"]
    again = blocks.Blocks()
    assert run(zoo, again).computed == 48 - 15
    assert again.calls == 1 + 7


def test_existing_files_stay(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(zoo)
    before = content(zoo)
    idle = blocks.Blocks()
    assert run(zoo, idle).computed == 0
    assert idle.calls == 0
    assert content(zoo) == before
    with (zoo / "images" / "ant" / "03.jpg").open("ab") as file:  # as large a file looks the same
        file.truncate(file.tell())
        os.utime(file.name)
    run(zoo)
    assert "1 images were written after" in capsys.readouterr().err
    (zoo / "blocks.mat").unlink()
    data = bytearray((zoo / "regions" / "blocks" / "features.npy").read_bytes())
    data[-1] ^= 1
    (zoo / "regions" / "blocks" / "features.npy").write_bytes(data)
    with pytest.raises(DataError, match="features changed"):
        run(zoo)
    data[-1] ^= 1
    (zoo / "regions" / "blocks" / "features.npy").write_bytes(data)
    run(zoo)
    assert content(zoo) == before
    with pytest.raises(DataError, match=r"other settings: factor: 1.0, 2.0. .*--name"):
        run(zoo, blocks.Blocks(factor=2.0))
    assert run(zoo, blocks.Blocks(factor=2.0), name="twice").computed == 48
    assert content(zoo).items() >= before.items()


def test_other_settings_are_not_resumed(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    def begin(**how: Any) -> None:
        extractor = blocks.Blocks()
        own = extractor.extract
        monkeypatch.setattr(extractor, "extract", lambda x: stop(x) if extractor.calls == 3 else own(x))
        with pytest.raises(Interrupted):
            run(zoo, extractor, **how)

    begin()
    with pytest.raises(DataError, match=r"unfinished .*resize: crop, whole.* --restart"):
        run(zoo, resize="whole")
    image = zoo / "images" / "ant" / "00.jpg"
    shutil.copy(zoo / "images" / "ant" / "01.jpg", image)
    with pytest.raises(DataError, match=r"other settings: images: "):
        run(zoo)
    assert run(zoo, resize="whole", restart=True).computed == 48


def test_a_damaged_unfinished_store_is_refused(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = blocks.Blocks()
    own = extractor.extract

    def stop(images: Any) -> Any:
        if extractor.calls == 3:
            raise KeyboardInterrupt
        return own(images)

    monkeypatch.setattr(extractor, "extract", stop)
    with pytest.raises(Interrupted):
        run(zoo, extractor)
    file = zoo / "regions" / ".blocks.part" / "regions.npy"
    data = bytearray(file.read_bytes())
    data[-20] ^= 0x40
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"is damaged. Pass --restart"):
        run(zoo)
    file.write_bytes(data[:200])
    with pytest.raises(DataError, match=r"cut off|damaged"):
        run(zoo)
    assert run(zoo, restart=True).store.verify() == []


def test_unfinished_work_of_an_earlier_version_is_discarded_only_on_request(zoo: Path) -> None:
    part = zoo / "regions" / ".blocks.part"
    part.mkdir(parents=True)
    (part / "plan.json").write_text("{}")  # in earlier versions a separate file
    (part / "progress.json").write_text('{"rows": 20}')
    with pytest.raises(DataError, match=r"unfinished.* --restart") as refused:
        run(zoo)
    assert str(part) in str(refused.value)
    assert sorted(one.name for one in part.iterdir()) == ["plan.json", "progress.json"]
    assert run(zoo, restart=True).computed == 48
    assert [one.name for one in (zoo / "regions").iterdir() if one.is_dir()] == ["blocks"]


def test_images_of_12_bits_need_their_range(zoo: Path) -> None:
    path = zoo / "images" / "bee" / "02.jpg"
    Image.fromarray(np.full((40, 40), 2048, np.uint16)).save(path, format="png")
    with pytest.raises(DataError, match=r"bee/02\.jpg has values from 2048 to 2048 .*--value-range"):
        run(zoo)
    store = run(zoo, value_range=(0.0, 4095.0), restart=True).store
    assert store.provenance["settings"]["value_range"] == [0.0, 4095.0]
    grey = store[np.array([10])]
    assert grey.shape[0] == 1 and np.isfinite(grey).all()
    Image.fromarray(np.full((40, 40), 128, np.uint8)).save(path, format="png")
    np.testing.assert_array_equal(run(zoo, name="eight").store[np.array([10])], grey)


@pytest.mark.parametrize("workers", [0, 2])
def test_all_unreadable_images_are_listed(
    zoo: Path, make_image: Callable[..., Image.Image], workers: int
) -> None:
    bad = [zoo / "images" / one for one in ("bee/03.jpg", "cat/00.jpg", "fox/07.jpg")]
    sound = [one.read_bytes() for one in bad]
    bad[0].write_bytes(b"")
    bad[1].write_bytes(sound[1][:-60] + b"0" * 60)  # of the right size
    bad[2].write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError) as caught:
        run(zoo, workers=workers)
    text = str(caught.value)
    assert "3 images cannot" in text
    assert all(str(one) in text for one in bad)
    assert not (zoo / "blocks.mat").exists()
    assert not (zoo / "regions" / "blocks").exists()
    for path, data in zip(bad, sound, strict=True):
        path.write_bytes(data)


def test_after_replacing_unreadable_images_it_resumes(zoo: Path) -> None:
    """An image that is replaced by one of the same size does not discard finished work."""
    path = zoo / "images" / "cat" / "00.jpg"
    sound = path.read_bytes()
    path.write_bytes(b"0" * len(sound))
    with pytest.raises(DataError, match=r"1 images .*cat/00.jpg"):
        run(zoo)
    path.write_bytes(sound)
    assert run(zoo).computed == 48 - 15  # three whole batches of five precede image 16


def test_features_of_another_origin_are_not_replaced(zoo: Path) -> None:
    (zoo / "blocks.mat").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"blocks.mat: already exists"):
        run(zoo)
    assert (zoo / "blocks.mat").read_bytes() == b"mine"
    assert not any(one.is_dir() for one in (zoo / "regions").iterdir())
    (zoo / "regions" / "own").mkdir()
    with pytest.raises(DataError, match=r"region store"):
        run(zoo, name="own")


def test_values_that_do_not_fit_are_refused(zoo: Path) -> None:
    with pytest.raises(DataError, match=r"too large for float16"):
        run(zoo, blocks.Blocks(factor=1e4))
    assert run(zoo, blocks.Blocks(factor=1e4), dtype="float32", restart=True).computed == 48


def test_a_full_disk_is_an_error_before_computing(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = types.SimpleNamespace(total=10**9, used=10**9 - 100, free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    idle = blocks.Blocks()
    with pytest.raises(DataError, match=r"disk has .* free"):
        run(zoo, idle)
    assert idle.calls == 1  # to learn the shape


def test_two_processes(zoo: Path) -> None:
    with locked(zoo / "regions" / "blocks"), pytest.raises(DataError, match=r"another process"):
        run(zoo)


def test_invalid_options_and_extractors(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"--name a/b"):
        run(zoo, name="a/b")
    with pytest.raises(SettingsError, match=r"needs a GPU"):
        run(zoo, precision="mixed")
    wrong = blocks.Blocks()
    monkeypatch.setattr(wrong, "extract", lambda images: images)
    with pytest.raises(PluginError, match=r"\(1, 3, 16, 16\) for 1 images"):
        run(zoo, wrong)
    monkeypatch.setattr(wrong, "describe", lambda: {"odd": object()})
    with pytest.raises(PluginError, match=r"plain data"):
        run(zoo, wrong)
    shutil.rmtree(zoo / "images")
    with pytest.raises(MissingData, match=r"no images here"):
        run(zoo)


def test_too_little_gpu_memory_names_a_smaller_batch(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = blocks.Blocks()
    own = extractor.extract

    def small(images: Any) -> Any:
        if len(images) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return own(images)

    monkeypatch.setattr(extractor, "extract", small)
    with pytest.raises(ZslbenchError, match=r"pass --batch 2"):
        run(zoo, extractor)
    assert run(zoo, extractor, batch=2).computed == 48
