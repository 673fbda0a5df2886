"""The simulated data sets of true size, at a small one: counts, determinism, what the images are made of."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zslbench.data import RegionStore
from zslbench.data.regions import writer
from zslbench.data.validate import dataset_faults
from zslbench.errors import DataError, UnknownName
from zslbench.evaluation.splits import fingerprint, validation_split
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench_data import catalogue
from zslbench_datasets import zslbench_components
from zslbench_datasets.settings import SimulatedSettings
from zslbench_datasets.simulated import Classes, SimulatedSource, classes_of, part_of
from zslbench_datasets.simulated_images import Images

TINY: dict[str, Any] = {"grid": 2, "channels": 8, "scale": 0.001}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZSLBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "regions"


def load(name: str, root: Path = Path("nowhere"), semantics: str | None = None, **settings: Any) -> Dataset:
    source = SimulatedSource(SimulatedSettings.model_validate(TINY | settings))
    return source.load(DataRequest(name, root, semantics=semantics))


def store(dataset: Dataset) -> RegionStore:
    assert isinstance(dataset.regions, RegionStore)
    return dataset.regions


PINNED = "1bdd7db0f4d93bf3d91f8dc9a5b4475bc24c5f96486cb949dff7a40e8239a806"
NAMES = ("sim-cub", "sim-sun", "sim-awa2")


def test_they_are_registered() -> None:
    assert set(NAMES) <= {one.name for one in zslbench_components()}


def classes(name: str, scale: float = 1.0) -> Classes:
    short = name.removeprefix("sim-")
    return part_of(classes_of(None, short, catalogue().entry(short).counts, seed=0), scale)


@pytest.mark.parametrize("name", NAMES)
def test_true_counts_without_any_files(name: str) -> None:
    whole = classes(name)
    found, split = whole.dataset, whole.dataset.split
    assert {
        "images": len(found.labels),
        "classes": len(found.class_names),
        "unseen": len(np.unique(found.labels[split.test_unseen])),
        "attributes": found.semantics.shape[1],
        "trainval": len(split.trainval),
        "test_seen": len(split.test_seen),
        "test_unseen": len(split.test_unseen),
    } == {key: one for key, one in catalogue().entry(name[4:]).counts.items() if key != "sentence"}
    np.testing.assert_allclose(np.linalg.norm(found.semantics, axis=1), 1, rtol=1e-5)
    assert whole.strength.min() >= 0 and whole.strength.max() == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_fraction_keeps_every_class_and_every_part(name: str) -> None:
    whole, small = classes(name).dataset, classes(name, 0.1).dataset
    for part, least in (("trainval", 2), ("test_seen", 1), ("test_unseen", 1)):
        before = np.bincount(whole.labels[getattr(whole.split, part)])
        after = np.bincount(small.labels[getattr(small.split, part)])
        assert after.tolist() == [max(least, round(0.1 * int(one))) if one else 0 for one in before]


@pytest.mark.parametrize("name", NAMES)
def test_the_least_there_can_be_is_a_sound_data_set(name: str) -> None:
    dataset = load(name, grid=1)
    assert dataset_faults(dataset) == []
    inside = validation_split(dataset)
    assert min(len(inside.fit_rows), len(inside.test_seen_rows), len(inside.test_unseen_rows)) > 0
    assert dataset.extra["simulated"] is True and store(dataset).simulated
    assert any("are simulated too" in one for one in dataset.notes)
    # What a run's record calls them is a request for the same.
    request = DataRequest(
        name, Path("nowhere"), features=dataset.features_name, regions=store(dataset).describe()["name"]
    )
    again = SimulatedSource(SimulatedSettings.model_validate(TINY | {"grid": 1})).load(request)
    assert again.sources == dataset.sources


def test_the_real_attributes_split_and_names_where_they_are(real_data: Path) -> None:
    root = real_data / "xlsa17"
    whole = classes_of(root / "SUN", "sun", catalogue().entry("sun").counts, seed=0).dataset
    split = whole.split
    found = tuple(fingerprint(one) for one in (split.trainval, split.test_seen, split.test_unseen))
    assert found == catalogue().entry("sun").split
    assert whole.class_names[0] == "abbey"
    dataset = load("sim-sun", root, semantics="original_att")
    assert dataset.attribute_names is not None and dataset.attribute_names[88] == "man-made"
    real = np.load(real_data / "attribute_vectors" / "SUN.npy")
    np.testing.assert_array_equal(dataset.attribute_vectors, real)
    assert dataset.semantics.max() > 0.9
    assert len(dataset.split.trainval) == 645 * 2
    sources = {one.array: one.file for one in dataset.sources}
    assert sources["semantics"] == "SUN/att_splits.mat"
    assert sources["regions"].startswith("simulated")
    assert store(dataset).sha256 != store(load("sim-sun")).sha256


def test_drawn_once_and_the_same_again(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "zslbench"):
        first = load("sim-awa2")
        again = load("sim-awa2")
    assert [one.message.split(" to ")[0] for one in caplog.records] == ["drawing 130 images of sim-awa2"]
    assert first.sources == again.sources
    folder = store(first).folder
    assert folder.parent == cache
    # The bits of version 1 of the drawing: whoever changes them raises its number.
    assert store(first).array_sha256 == PINNED
    for change in ({"seed": 1}, {"noise": 0.5}, {"dtype": "float32"}):
        assert store(load("sim-awa2", **change)).sha256 != store(first).sha256
    first.features[:] = 0  # of this load alone
    assert load("sim-awa2").features.any()


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_the_store_has_the_drawn_values_in_its_type(dtype: str) -> None:
    dataset = load("sim-awa2", dtype=dtype)
    regions = store(dataset)
    exact = store(load("sim-awa2", dtype="float32"))[np.arange(130)]
    assert regions.dtype.name == dtype
    error = {"float32": 0.0, "float16": 0.005, "uint8": 10 / 255 / 2 + 1e-6}[dtype]
    assert np.abs(regions[np.arange(130)] - np.minimum(exact, 10)).max() <= error
    np.testing.assert_allclose(dataset.features, regions[np.arange(130)].mean(axis=1), rtol=1e-4, atol=1e-5)
    assert regions.verify() == []


def drawn(count: int = 40, **settings: Any) -> np.ndarray:
    """Images of one class that has attribute 0 in full, attribute 1 by half and attribute 2 not at all."""
    strength = np.array([[1.0, 0.5, 0.0]], dtype=np.float32)
    vectors = np.random.default_rng(5).normal(size=(3, 4)).astype(np.float32)
    images = Images(SimulatedSettings.model_validate(settings), strength, vectors)
    labels = np.zeros(count, dtype=np.int64)
    return np.concatenate([block.copy() for block in images.blocks(labels)])


def test_noise_is_what_a_relu_leaves_of_normal_numbers() -> None:
    values = drawn(grid=4, channels=512, noise=2.0, clutter=0.0, visibility=1e-9)
    assert abs((values == 0).mean() - 0.5) < 0.005
    assert abs(values.mean() - 2 * 0.3989) < 0.01
    assert abs(np.sqrt((values**2).mean()) - 2 * np.sqrt(0.5)) < 0.01
    means = values.mean(axis=(1, 2))
    assert len(np.unique(means)) == len(means)


def test_attributes_are_squares_of_one_prototype_shown_as_often_as_the_class_has_them() -> None:
    grid, side = 10, 2
    values = drawn(400, grid=grid, channels=64, noise=0.0, clutter=0.0, visibility=1.0)
    covered = values.any(axis=2).reshape(400, grid, grid)
    # Attribute 0 always shows, attribute 1 in half of the images, attribute 2 never.
    both = covered.sum(axis=(1, 2)) > side**2
    assert 0.4 < both.mean() < 0.6  # the two may overlap, or not
    prototypes = []
    for image, places in zip(values[~both], covered[~both], strict=True):
        rows, columns = np.nonzero(places)
        assert np.ptp(rows) == side - 1 and np.ptp(columns) == side - 1
        spots = image[places.reshape(-1)]
        assert (spots == spots[0]).all()
        prototypes.append(spots[0] / np.linalg.norm(spots[0]))
    directions = np.stack(prototypes)
    alike = directions @ np.median(directions, axis=0)
    assert (alike > 0.999 * alike.max()).mean() > 0.95  # but for those where both lie at the same place
    corners = {tuple(np.argwhere(one)[0]) for one in covered[~both]}
    assert len(corners) > 50  # of 81


def test_nuisance_is_of_no_class() -> None:
    values = drawn(50, grid=10, channels=64, noise=0.0, visibility=1e-9, clutter=0.5)
    covered = values.any(axis=2).sum(axis=1)
    assert covered.min() >= 4 and covered.max() <= 16 and covered.mean() > 12


def per_class(predicted: np.ndarray, true: np.ndarray) -> float:
    return float(np.mean([np.mean(predicted[true == one] == one) for one in np.unique(true)]))


def test_unseen_classes_are_recognised_well_above_chance() -> None:
    """ESZSL (Romera-Paredes and Torr 2015) with 0/1 targets on unit-length means over regions."""
    dataset = load("sim-awa2", scale=0.02, grid=5, channels=128)
    x = dataset.features / np.linalg.norm(dataset.features, axis=1, keepdims=True)
    rows, test = dataset.split.trainval, dataset.split.test_unseen
    seen, unseen = np.unique(dataset.labels[rows]), np.unique(dataset.labels[test])
    y = np.equal.outer(dataset.labels[rows], seen).astype(float)
    s = dataset.semantics[seen].astype(float)
    left = np.linalg.inv(x[rows].T @ x[rows] + 0.1 * np.eye(x.shape[1]))
    right = np.linalg.inv(s.T @ s + 0.1 * np.eye(s.shape[1]))
    scores = x[test] @ (left @ x[rows].T @ y @ s @ right) @ dataset.semantics[unseen].T
    assert per_class(unseen[scores.argmax(axis=1)], dataset.labels[test]) > 0.25  # chance: 0.1


def test_a_full_disk_is_reported_before_drawing(cache: Path, monkeypatch: Any) -> None:
    usage = type("usage", (), {"free": 10**9})
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda path: usage)
    message = r"needs 60\.2 GB, the disk has 1\.0 GB free.*dataset\.scale=0\.1.*ZSLBENCH_CACHE"
    with pytest.raises(DataError, match=message):
        load("sim-awa2", grid=14, channels=2048, scale=1.0, dtype="float32")
    assert not any(one.is_dir() for one in cache.iterdir())


def test_requests_that_mean_files_are_refused(tmp_path: Path) -> None:
    source = SimulatedSource(SimulatedSettings.model_validate(TINY))
    for asked, message in (
        ({"features": "res101"}, "no features 'res101'"),
        ({"regions": "x"}, "no regions 'x'.*simulated"),
        ({"semantics": "sentence"}, "no class semantics 'sentence'"),
    ):
        with pytest.raises(UnknownName, match=message):
            source.load(DataRequest("sim-sun", tmp_path, **asked))


def test_labels_without_a_split_are_not_enough(tmp_path: Path, real_data: Path) -> None:
    folder = tmp_path / "SUN"
    folder.mkdir()
    (folder / "labels.mat").symlink_to(real_data / "xlsa17" / "SUN" / "labels.mat")
    assert any("are simulated too" in one for one in load("sim-sun", tmp_path).notes)
