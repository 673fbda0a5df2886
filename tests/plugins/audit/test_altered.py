"""Altered data sets differ only in test images, as described, and share no memory."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from zslbench.data.validate import dataset_faults
from zslbench.evaluation.splits import validation_split
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.recipe import resolve
from zslbench_audit.altered import (
    copied,
    digests,
    test_rows as rows_of,
    with_fewer_rows,
    with_noise,
    with_other_labels,
)


def with_both(dataset, seed):
    return with_other_labels(with_noise(dataset, seed), seed)


ALTERED = (with_noise, with_other_labels, with_fewer_rows, with_both)


@pytest.fixture
def dataset(known, small):
    part = resolve(known, "toy", method="honest", settings=small).parts["dataset"]
    return load_dataset(part, needs_regions=True)


@pytest.mark.parametrize("alter", ALTERED)
def test_training_images_are_unchanged_and_the_data_set_is_valid(dataset, alter):
    before = digests(dataset)
    changed = alter(dataset, 3)
    train = dataset.split.trainval
    assert np.array_equal(changed.features[train], dataset.features[train])
    assert np.array_equal(changed.labels[train], dataset.labels[train])
    assert np.array_equal(changed.regions[train], dataset.regions[train])
    assert np.array_equal(changed.semantics, dataset.semantics)
    assert dataset_faults(changed) == []
    assert validation_split(changed).fingerprint() == validation_split(dataset).fingerprint()
    assert digests(dataset) == before
    assert digests(alter(dataset, 3)) == digests(changed) != digests(alter(dataset, 4))


@pytest.mark.parametrize("alter", ALTERED)
def test_no_memory_is_shared(dataset, alter):
    changed = alter(dataset, 0)
    for name in ("features", "labels", "semantics", "attribute_vectors"):
        assert not np.shares_memory(getattr(changed, name), getattr(dataset, name))
    assert not np.shares_memory(changed.regions.array, dataset.regions.array)
    for field in fields(dataset.split):
        assert not np.shares_memory(getattr(changed.split, field.name), getattr(dataset.split, field.name))


def test_a_copy_is_equal(dataset):
    assert digests(copied(dataset)) == digests(dataset)


def test_noise_reaches_every_test_image_and_its_regions(dataset):
    changed, rows = with_noise(dataset, 0), rows_of(dataset)
    assert (changed.features[rows] != dataset.features[rows]).any(axis=1).all()
    assert (changed.regions[rows] != dataset.regions[rows]).any(axis=(1, 2)).all()
    assert changed.features[rows].std() > 20 * dataset.features.std()
    assert np.array_equal(changed.labels, dataset.labels)


def test_other_labels_stay_on_their_side_and_have_other_counts(dataset):
    changed = with_other_labels(dataset, 0)
    for rows in (dataset.split.test_seen, dataset.split.test_unseen):
        old, new = dataset.labels[rows], changed.labels[rows]
        assert set(old) == set(new)
        assert (np.bincount(old, minlength=10) != np.bincount(new, minlength=10)).any()
    assert np.array_equal(changed.features, dataset.features)


def test_fewer_rows_are_half_of_each_side_in_another_order(dataset):
    changed = with_fewer_rows(dataset, 0)
    for name in ("test_seen", "test_unseen"):
        old, new = getattr(dataset.split, name), getattr(changed.split, name)
        assert len(new) == len(old) // 2
        assert set(new) < set(old)
        assert not np.array_equal(new, np.sort(new))


def test_noise_in_pictures_is_pictures(known, small):
    part = resolve(known, "toy", method="honest", settings=small).parts["dataset"]
    pictures = load_dataset(part, image_size=8)
    changed, rows = with_noise(pictures, 0), rows_of(pictures)
    assert changed.regions.array.dtype == np.uint8
    assert (changed.regions[rows] != pictures.regions[rows]).any(axis=(1, 2)).all()
    train = pictures.split.trainval
    assert np.array_equal(changed.regions[train], pictures.regions[train])
    assert digests(changed)["regions"] != digests(pictures)["regions"]
