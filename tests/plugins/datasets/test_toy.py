"""The simulated data set: shapes, determinism, and that zero-shot learning on it works but is not trivial."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from zslbench.data.validate import dataset_faults
from zslbench.errors import UnknownName
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench_datasets.settings import ToySettings
from zslbench_datasets.toy import ToySource, generate


def per_class(predicted: np.ndarray, true: np.ndarray) -> float:
    return float(np.mean([np.mean(predicted[true == one] == one) for one in np.unique(true)]))


def eszsl_czsl(dataset: Dataset) -> float:
    """Romera-Paredes and Torr 2015, 0/1 targets, unit-length features: accuracy among the unseen classes."""
    x = dataset.features / np.linalg.norm(dataset.features, axis=1, keepdims=True)
    rows, test = dataset.split.trainval, dataset.split.test_unseen
    seen, unseen = np.unique(dataset.labels[rows]), np.unique(dataset.labels[test])
    y = np.equal.outer(dataset.labels[rows], seen).astype(float)
    s = dataset.semantics[seen]
    left = np.linalg.inv(x[rows].T @ x[rows] + np.eye(x.shape[1]))
    right = np.linalg.inv(s.T @ s + 0.1 * np.eye(s.shape[1]))
    scores = x[test] @ (left @ x[rows].T @ y @ s @ right) @ dataset.semantics[unseen].T
    return per_class(unseen[scores.argmax(axis=1)], dataset.labels[test])


def test_default_size_splits_and_names() -> None:
    dataset = generate(ToySettings())
    assert dataset_faults(dataset) == []
    assert dataset.features.shape == (800, 64)
    assert dataset.semantics.shape == (20, 20)
    assert dataset.regions is not None
    assert dataset.regions.shape == (800, 9, 64)
    split = dataset.split
    assert (len(split.trainval), len(split.test_seen), len(split.test_unseen)) == (480, 120, 200)
    assert np.bincount(dataset.labels[split.test_seen], minlength=20).tolist().count(8) == 15
    assert np.sort(np.concatenate([split.trainval, split.test_seen, split.test_unseen])).tolist() == list(
        range(800)
    )
    assert split.validation_classes is not None and len(split.validation_classes) == 4
    assert dataset.attribute_names is not None and "striped" in dataset.attribute_names
    assert dataset.attribute_vectors is not None and dataset.attribute_vectors.shape == (20, 32)


def test_features_are_means_of_non_negative_regions() -> None:
    dataset = generate(ToySettings())
    assert dataset.regions is not None
    regions = dataset.regions[np.arange(800)]
    assert regions.min() == 0
    np.testing.assert_allclose(regions.mean(axis=1), dataset.features, rtol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_zero_shot_learning_beats_chance_but_is_not_perfect(seed: int) -> None:
    accuracy = eszsl_czsl(generate(ToySettings(seed=seed)))
    assert 2.5 * 0.2 <= accuracy <= 0.95


def test_classes_without_meaningful_semantics_are_at_chance() -> None:
    """What is learned comes from the attributes: with the unseen classes' mixed up, nothing is left."""
    found = []
    for seed in range(6):
        dataset = generate(ToySettings(seed=seed))
        unseen = np.unique(dataset.labels[dataset.split.test_unseen])
        dataset.semantics[unseen] = dataset.semantics[np.roll(unseen, 1)]
        found.append(eszsl_czsl(dataset))
    assert np.mean(found) < 0.2


def test_same_settings_same_bits_and_no_global_state() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    one, two = generate(ToySettings(seed=3)), generate(ToySettings(seed=3))
    assert one.sources == two.sources
    assert generate(ToySettings(seed=4)).sources[0] != one.sources[0]
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002


def test_generation_is_quick() -> None:
    generate(ToySettings())
    best = min(_seconds() for _ in range(5))
    assert best < 0.3


def _seconds() -> float:
    start = time.perf_counter()
    generate(ToySettings())
    return time.perf_counter() - start


@pytest.mark.parametrize(
    "settings",
    [
        {"classes": 4, "unseen": 1, "images_per_class": 5, "attributes": 10, "grid": 1, "channels": 8},
        {"classes": 144, "unseen": 40, "images_per_class": 5, "attributes": 10, "channels": 8},
        {"classes": 30, "unseen": 10, "attributes": 24, "noise": 0.0, "clutter": 0.0, "visibility": 1.0},
    ],
)
def test_extreme_settings_give_sound_data(settings: dict[str, float]) -> None:
    dataset = generate(ToySettings.model_validate(settings))
    assert dataset_faults(dataset) == []
    assert len({row.tobytes() for row in dataset.semantics}) == settings["classes"]


def test_settings_that_leave_too_few_seen_classes_are_refused() -> None:
    with pytest.raises(ValidationError, match="three classes must be seen"):
        ToySettings(classes=6, unseen=4)


def test_load_end_to_end(tmp_path: Path) -> None:
    source = ToySource(ToySettings(seed=1))
    dataset = source.load(DataRequest("toy", tmp_path / "nowhere", semantics="original_att"))
    assert dataset.semantics_name == "original_att"
    assert dataset.semantics.min() >= 0
    assert 0.5 < dataset.semantics.max() <= 1
    unit = source.load(DataRequest("toy", tmp_path)).semantics
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    with pytest.raises(UnknownName, match="no features 'res101'"):
        source.load(DataRequest("toy", tmp_path, features="res101"))
    with pytest.raises(UnknownName, match="no class semantics 'sentence'"):
        source.load(DataRequest("toy", tmp_path, semantics="sentence"))


def test_pictures_show_the_regions_as_coloured_blocks() -> None:
    """A grid of two cells of 4 x 4 blocks a side: at 16 pixels a block has two a side, at 8 one."""
    settings = ToySettings(classes=4, unseen=1, images_per_class=5, grid=2)
    small, large = (generate(settings, image_size=size) for size in (8, 16))
    assert small.regions is not None and large.regions is not None
    rows = np.arange(20)
    pixels = small.regions[rows].reshape(20, 8, 8, 3)
    assert np.array_equal(large.regions[rows].reshape(20, 16, 16, 3), pixels.repeat(2, 1).repeat(2, 2))
    # Features are the mean over the cells; the picture shows values from 0 to 4 as 0 to 255.
    cells = pixels.reshape(20, 2, 4, 2, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(20, 4, 48)
    means, shown = small.features, cells.mean(axis=1) * 4 / 255
    inside = (cells < 255).all(axis=1)
    np.testing.assert_allclose(shown[inside], means[inside], atol=0.01)
    assert np.array_equal(small.labels, generate(settings).labels)
