"""Holds region features against the rest of a data set: the same images, classes, attributes and split?

Region files come from elsewhere than the splits. One that counts classes, attributes or images in another
order trains and evaluates without any error, on the wrong labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

import numpy as np

from zslbench.data.regions.stored import PARTS
from zslbench.plugin.dataset import Dataset


@runtime_checkable
class Described(Protocol):
    """What region features say of their images, as :class:`~zslbench.data.regions.stored.StoredRegions`."""

    @property
    def path(self) -> Path: ...

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def image_files(self) -> tuple[str, ...] | None: ...

    @property
    def companions(self) -> Mapping[str, np.ndarray]: ...


def disagreements(
    source: Described, dataset: Dataset, att: np.ndarray, splits_file: str, features_file: str
) -> list[str]:
    """Where region features contradict the data set, one sentence each that names both files.

    Args:
        att: the data set's class attributes (C, A), from ``splits_file``.
        splits_file: name of the file with the split and attributes.
        features_file: name of the file with labels and image names; the region file's own where they come
            from it.
    """
    faults: list[str] = []
    here = source.path.name
    if here != features_file:
        faults += _images(source, dataset, here, features_file)
    faults += _split(source, dataset, here, splits_file)
    theirs = source.companions.get("att")
    if theirs is not None:
        faults += _attributes(theirs, np.asarray(att, dtype=np.float32), here, splits_file)
    vectors = source.companions.get("attribute_vectors")
    if vectors is not None and len(vectors) != att.shape[1]:
        faults.append(
            f"{here} has word vectors of {len(vectors)} attributes, {splits_file} {att.shape[1]} attributes"
        )
    return faults


def _images(source: Described, dataset: Dataset, here: str, there: str) -> Iterator[str]:
    ours, theirs = dataset.labels, source.labels
    if len(ours) != len(theirs):
        yield f"{here} has {len(theirs)} images, {there} {len(ours)}"
        return
    names = dataset.image_files, source.image_files
    if names[0] is not None and names[1] is not None:
        one, other = (
            [PurePosixPath(Path(file).as_posix()).stem for file in files] for files in names if files
        )
        differ = [row for row, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        if differ and sorted(one) == sorted(other):
            yield f"image order differs: {here} has the images of {there} in another order"
            return
        if differ:
            row = differ[0]
            yield (
                f"{len(differ)} images are others: image {row} is {other[row]} in {here} "
                f"and {one[row]} in {there}"
            )
            return
    differ = np.flatnonzero(ours != theirs).tolist()
    if not differ:
        return
    if np.array_equal(ours, theirs - 1):
        yield f"labels of {here} count from 1, they must count from 0"
    elif np.array_equal(np.sort(ours), np.sort(theirs)) and not _renamed(ours, theirs):
        yield f"image order differs: {here} has the labels of {there} in another order"
    elif _renamed(ours, theirs):
        yield f"class order differs: {here} numbers the classes of {there} otherwise"
    else:
        yield f"labels differ in {len(differ)} of {len(ours)} images between {here} and {there}"


def _renamed(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether the same images go together and merely the numbers of classes differ."""
    pairs = np.unique(np.stack([ours, theirs]), axis=1)
    return bool(pairs.shape[1] == len(np.unique(ours)) == len(np.unique(theirs)))


def _split(source: Described, dataset: Dataset, here: str, there: str) -> Iterator[str]:
    parts = {part: getattr(dataset.split, part) for part in PARTS}
    given = {part: source.companions[part] for part in PARTS if part in source.companions}
    different = {
        part: rows for part, rows in given.items() if not np.array_equal(np.sort(rows), np.sort(parts[part]))
    }
    if different and all(np.array_equal(np.sort(given[one]) - 1, np.sort(parts[one])) for one in different):
        yield f"split of {here} counts images from 1, it must count from 0"
        return
    for part, rows in different.items():
        if len(rows) != len(parts[part]):
            yield f"{part} has {len(rows)} images in {here} and {len(parts[part])} in {there}"
        else:
            odd = len(np.setdiff1d(rows, parts[part]))
            yield f"{part} differs in {odd} of {len(rows)} images between {here} and {there}"


def _attributes(theirs: np.ndarray, ours: np.ndarray, here: str, there: str) -> Iterator[str]:
    if theirs.shape != ours.shape:
        transposed = " (transposed?)" if theirs.shape == ours.shape[::-1] else ""
        yield (
            f"{here} describes {theirs.shape[0]} classes by {theirs.shape[1]} attributes{transposed}, "
            f"{there} {ours.shape[0]} by {ours.shape[1]}"
        )
        return
    if _close(theirs, ours):
        return
    if _close(np.sort(theirs, axis=1), np.sort(ours, axis=1)):
        yield f"attribute order differs between att of {here} and att of {there}"
    elif _close(np.sort(theirs, axis=0), np.sort(ours, axis=0)):
        yield f"class order differs between att of {here} and att of {there}"
    elif _close(np.sort(theirs, axis=None), np.sort(ours, axis=None)):
        yield f"class order and attribute order differ between att of {here} and att of {there}"
    else:
        odd = np.flatnonzero(~np.isclose(theirs, ours, rtol=1e-5, atol=1e-6).all(axis=1))
        yield f"att differs in {len(odd)} classes between {here} and {there}"


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-6))
