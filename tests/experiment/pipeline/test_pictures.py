"""Methods that read pictures: decoded from files, trained on, repeated to the bit, marked as fine-tuned."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from looking import LOOKING, SIZE
from PIL import Image

import zslbench
from zslbench.data.regions.store import RegionStore
from zslbench.errors import DataError, MissingData, ZslbenchError
from zslbench.evaluation.selection import Selection
from zslbench.experiment import pipeline
from zslbench.experiment.datasets import DataFiles, load_dataset
from zslbench.experiment.fitting import embedding_needs
from zslbench.experiment.recipe import resolve
from zslbench.plugin.lookup import Registry
from zslbench.plugin.streams import Streams
from zslbench.testing.fakes import FakeEntryPoint, registry_with, using_registry
from zslbench.training.checkpoint import flatten
from zslbench.training.loop import Training
from zslbench_audit.altered import with_noise, with_other_labels
from zslbench_audit.probes import fitted

TOY = {"dataset.images_per_class": 8, "dataset.classes": 8, "dataset.unseen": 2}
NEEDS = {"needs_regions": False, "image_size": SIZE}


@pytest.fixture(scope="module")
def _looking() -> Registry:
    return registry_with(FakeEntryPoint("looking", "looking", LOOKING))


@pytest.fixture
def looking(_looking: Registry) -> Iterator[Registry]:
    with using_registry(_looking):
        yield _looking


def zoo(known: Registry, root: Path, **options: Any) -> tuple[Any, Any]:
    """The recipe on the folder ``Zoo``, and the data set."""
    recipe = resolve(known, "zoo", method="looking", data_root=root)
    return recipe, load_dataset(recipe.parts["dataset"], root=root, **embedding_needs(recipe), **options)


def networks(recipe: Any, dataset: Any) -> dict[str, torch.Tensor]:
    found = pipeline.run(recipe, dataset, Selection("last"), Training(Streams(3)))
    return flatten(found.networks["embedding"])


def test_pictures_of_a_folder_are_decoded_once(
    looking: Registry,
    data_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe, dataset = zoo(looking, data_root)
    assert embedding_needs(recipe) == NEEDS
    assert isinstance(dataset.regions, RegionStore)
    assert dataset.regions.shape == (48, SIZE**2, 3)
    with Image.open(data_root / "Zoo" / "images" / dataset.image_files[9]) as file:
        short = min(file.size)
        size = tuple(int(SIZE * side / short) for side in file.size)
        small = np.asarray(file.resize(size, Image.Resampling.BILINEAR))
    top, left = (round((side - SIZE) / 2) for side in small.shape[:2])
    expected = small[top : top + SIZE, left : left + SIZE]
    assert np.array_equal(dataset.regions[np.array([9])][0].reshape(SIZE, SIZE, 3), expected)
    # No file of features: the mean colour.
    assert np.allclose(dataset.features[9], expected.reshape(-1, 3).mean(axis=0), atol=1e-4)
    monkeypatch.setattr("zslbench.data.images.store._decode", None)
    assert zoo(looking, data_root)[1].regions.sha256 == dataset.regions.sha256


def test_other_pictures_are_other_data(looking: Registry, data_root: Path, tmp_path: Path) -> None:
    """In place, or in the folder that ``--images`` names."""
    before = zoo(looking, data_root)[1].regions.sha256
    elsewhere = tmp_path / "elsewhere"
    (data_root / "Zoo" / "images").rename(elsewhere)
    with pytest.raises(MissingData, match="images"):
        zoo(looking, data_root)
    files = DataFiles(images=str(elsewhere))
    assert zoo(looking, data_root, files=files)[1].regions.sha256 == before
    Image.new("RGB", (50, 40), "red").save(elsewhere / "bee" / "01.jpg")
    assert zoo(looking, data_root, files=files)[1].regions.sha256 != before


def test_a_picture_replaced_without_a_trace_is_decoded_again(looking: Registry, data_root: Path) -> None:
    """Size and time of writing are as before."""
    path = data_root / "Zoo" / "images" / "bee" / "01.jpg"
    digests = []
    for colour in ("red", "blue"):
        with path.open("r+b") as file:
            file.truncate()
            Image.new("RGB", (50, 40), colour).save(file, "BMP")
        os.utime(path, ns=(10**18, 10**18))
        digests.append(zoo(looking, data_root)[1].regions.sha256)
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (54 + 40 * 152, 10**18)
    assert digests[0] != digests[1]


def test_what_cannot_be_decoded_is_named(looking: Registry, data_root: Path) -> None:
    for name in ("bee/01.jpg", "fox/07.jpg"):
        (data_root / "Zoo" / "images" / name).write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"2 images cannot be decoded.*bee/01.jpg.*fox/07.jpg"):
        zoo(looking, data_root)


def test_a_data_set_without_pictures_is_refused(looking: Registry) -> None:
    recipe = resolve(looking, "blind", method="looking")
    with pytest.raises(DataError, match="no pictures"):
        load_dataset(recipe.parts["dataset"], **embedding_needs(recipe))
    toy = load_dataset(resolve(looking, "toy", method="looking", settings=TOY).parts["dataset"])
    bare = zslbench.plugin.Dataset(**{**vars(toy), "regions": None})
    with pytest.raises(ZslbenchError, match="reads pictures"):
        pipeline.run(recipe, bare, Selection("last"), Training(Streams(0)))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["last", "val"])
def test_no_test_picture_reaches_training(looking: Registry, mode: Any) -> None:
    recipe = resolve(looking, "toy", method="looking", settings=TOY)
    dataset = load_dataset(recipe.parts["dataset"], **NEEDS)
    changed = with_other_labels(with_noise(dataset, 5), 5)
    assert not np.array_equal(changed.regions.array, dataset.regions.array)
    first, second = (
        pipeline.run(recipe, one, Selection(mode, 1), Training(Streams(7), keep_scores=True))
        for one in (dataset, changed)
    )
    assert fitted(first) == fitted(second)
    assert not np.array_equal(first.evaluation.scores["gzsl"], second.evaluation.scores["gzsl"])


def test_parts_of_a_batch_train_like_the_whole(looking: Registry) -> None:
    """The loss is a mean over rows; 48 images in parts of 3, 3, 4, ... of batches of 16."""

    def trained(parts: int) -> dict[str, torch.Tensor]:
        recipe = resolve(looking, "toy", method="looking", settings=TOY | {"embedding.accumulate": parts})
        return networks(recipe, load_dataset(recipe.parts["dataset"], **NEEDS))

    whole, again, parts = trained(1), trained(1), trained(5)
    assert all(torch.equal(whole[path], again[path]) for path in whole)
    assert any(not torch.equal(whole[path], parts[path]) for path in whole)
    for path in whole:
        torch.testing.assert_close(parts[path], whole[path], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_runs_are_marked_and_trained_one_by_one(looking: Registry, tmp_path: Path) -> None:
    found = zslbench.run(
        "looking", dataset="toy", seeds=[0, 1], replicas=2, settings=TOY, epochs=1, every=1, threads=1,
        device="cpu", store=tmp_path / "store",
    )  # fmt: skip
    for record in found.records:
        assert record.info.identity["fine-tuned"] is True
        assert any("final/embedding" in stage for stage in record.environment["replicas"]["one by one"])
