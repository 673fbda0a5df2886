"""Copies of a data set that differ only in their test images."""

from __future__ import annotations

import copy
from dataclasses import fields, replace

import numpy as np

from zslbench.data import ArrayRegions, array_sha256
from zslbench.experiment import arrays
from zslbench.plugin import Dataset, Indices

_STRENGTH = 50.0
"""Standard deviation of the noise relative to the features', so large that a mean or scale gives it away."""


def copied(dataset: Dataset) -> Dataset:
    """A deep copy, so that writing to it affects no other run."""
    regions = None if dataset.regions is None else ArrayRegions(_regions(dataset).copy())
    return replace(copy.deepcopy(replace(dataset, regions=None)), regions=regions)


def with_noise(dataset: Dataset, seed: int) -> Dataset:
    """Features and regions of every test image replaced by strong normal noise, or pictures by uniform noise;
    labels stay."""
    random = np.random.default_rng([seed, 0])
    changed = copied(dataset)
    rows = test_rows(dataset)
    changed.features[rows] = _noise(random, changed.features[rows])
    if changed.regions is None:
        return changed
    regions = _regions(changed)
    regions[rows] = _noise(random, regions[rows])
    return replace(changed, regions=ArrayRegions(regions))


def with_other_labels(dataset: Dataset, seed: int) -> Dataset:
    """Test images get random classes of their own side (seen or unseen), in uneven numbers.

    A permutation would preserve the number of images per class, which is information about test images too.
    Every class gets at least one image, so that the same classes are evaluated.
    """
    random = np.random.default_rng([seed, 1])
    changed = copied(dataset)
    for rows in (dataset.split.test_seen, dataset.split.test_unseen):
        classes = np.unique(dataset.labels[rows])
        weights = np.arange(1, len(classes) + 1)
        drawn = random.choice(classes, size=len(rows), p=weights / weights.sum())
        drawn[random.permutation(len(rows))[: len(classes)]] = classes
        changed.labels[rows] = drawn
    return changed


def with_fewer_rows(dataset: Dataset, seed: int) -> Dataset:
    """Half of the test images of each side, in another order."""
    random = np.random.default_rng([seed, 2])

    def some(rows: Indices) -> Indices:
        return random.permutation(rows)[: max(1, len(rows) // 2)]

    changed = copied(dataset)
    split = changed.split
    fewer = replace(split, test_seen=some(split.test_seen), test_unseen=some(split.test_unseen))
    return replace(changed, split=fewer)


def test_rows(dataset: Dataset) -> Indices:
    """Rows of all test images."""
    return np.concatenate([dataset.split.test_seen, dataset.split.test_unseen])


def digests(dataset: Dataset) -> dict[str, str]:
    """sha256 of every array of a data set by its name."""
    found = {one.array: one.sha256 for one in arrays(replace(dataset, sources=()))}
    parts = {one.name: getattr(dataset.split, one.name) for one in fields(dataset.split)}
    return found | {name: array_sha256(part) for name, part in parts.items() if part is not None}


def _noise(random: np.random.Generator, like: np.ndarray) -> np.ndarray:
    if like.dtype == np.uint8:  # pictures
        return random.integers(0, 256, like.shape, dtype=np.uint8)
    return np.asarray(_STRENGTH * like.std() * random.normal(size=like.shape), dtype=like.dtype)


def _regions(dataset: Dataset) -> np.ndarray:
    """All regions in memory; the data set of an audit is small."""
    assert dataset.regions is not None
    if isinstance(dataset.regions, ArrayRegions):
        return dataset.regions.array
    return np.asarray(dataset.regions[np.arange(len(dataset.labels))])
