"""Reads data sets in the xlsa17 format: ``<DS>/att_splits.mat`` and ``<DS>/<features>.mat``.

Format: Xian et al., "Zero-Shot Learning - A Comprehensive Evaluation of the Good, the Bad and the Ugly"
(TPAMI 2018), archive xlsa17, version 2 of the proposed split. Indices and labels are 1-based in the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zslbench.data import validate, xlsa17_classes as classes
from zslbench.data.dataset import DataRequest, Dataset, OfficialSplit
from zslbench.data.matfile import MatValue, read_mat
from zslbench.data.provenance import source
from zslbench.data.roots import SPLITS_FILE
from zslbench.data.xlsa17_files import SEMANTICS, dataset_folder, plain_name, require
from zslbench.errors import DataError, UnknownName, did_you_mean
from zslbench.interfaces import DatasetSource

_PARTS = ("trainval", "test_seen", "test_unseen")
_Numbers = np.ndarray


@dataclass(frozen=True)
class ExpectedCounts:
    """What an official data set must count (Xian et al. 2018, table 1 and the proposed split)."""

    images: int
    classes: int
    unseen: int
    attributes: int
    """Columns of ``att`` and ``original_att``."""
    trainval: int
    test_seen: int
    test_unseen: int
    sentence: int | None = None
    """Columns of the sentence embeddings, where there are any."""


class FolderSource(DatasetSource):
    """Any folder in the xlsa17 format, under its own name."""

    def load(self, request: DataRequest) -> Dataset:
        """Read the folder called ``request.name`` (in upper or lower case) below the data root."""
        return read_xlsa17(
            dataset_folder(request, request.name),
            name=request.name,
            features=request.features or "res101",
            semantics=request.semantics or "att",
        )


def read_xlsa17(
    folder: Path,
    *,
    name: str,
    features: str = "res101",
    semantics: str = "att",
    expected: ExpectedCounts | None = None,
    image_files: bool = False,
) -> Dataset:
    """Read one data set and check it.

    Args:
        folder: holds ``att_splits.mat`` and the features file, perhaps ``sent_splits.mat`` and class lists.
        name: the data set's name.
        features: stem of the features file (variables ``features`` d x images, ``labels``).
        semantics: ``att``, ``original_att`` or ``sentence`` (the ``att`` of ``sent_splits.mat``).
        expected: counts that the data set must have.
        image_files: whether to read the images' file names too (half a second for 37,000 images).

    Raises:
        UnknownName: ``semantics`` is none of the three, or ``features`` is no plain name.
        MissingData: a file is missing; lists the features files that are there.
        DataError: a file is damaged, or the data have faults; lists all of them.
    """
    features = plain_name(features)
    if semantics not in SEMANTICS:
        raise UnknownName(f"no class semantics '{semantics}', {did_you_mean(semantics, SEMANTICS)}")
    require(folder, features, SEMANTICS[semantics])
    splits = read_mat(folder / SPLITS_FILE, {*classes.SPLIT_VARIABLES, "att", "original_att"})
    keys = {"features", "labels"} | ({"image_files"} if image_files else set())
    images = read_mat(folder / f"{features}.mat", keys)
    sentences = (
        read_mat(folder / SEMANTICS["sentence"], classes.SPLIT_VARIABLES | {"att"})
        if semantics == "sentence"
        else {}
    )
    described = sentences or splits

    faults: list[str] = []
    found = _Variables(faults)
    x = found.matrix(images, f"{features}.mat", "features")
    labels = found.indices(images, f"{features}.mat", "labels")
    a = found.matrix(described, SEMANTICS[semantics], "att" if semantics == "sentence" else semantics)
    rows = {part: found.indices(splits, SPLITS_FILE, f"{part}_loc") for part in _PARTS}
    train, val = (
        found.indices(splits, SPLITS_FILE, f"{part}_loc", optional=True) for part in ("train", "val")
    )
    if x is None or labels is None or a is None or any(one is None for one in rows.values()):
        raise DataError(folder, faults)
    trainval, test_seen, test_unseen = (one for one in rows.values() if one is not None)

    notes: list[str] = []
    names = classes.class_names(folder, splits, a.shape[1], labels, test_unseen, notes)
    if x.shape[1] != len(labels):
        faults.append(
            f"{features}.mat: features are {x.shape[0]} x {x.shape[1]} (d x images), labels {len(labels)}"
        )
    if len(names) != a.shape[1]:
        faults.append(f"semantics of {a.shape[1]} classes, names of {len(names)}")
    if sentences:
        faults += classes.disagreements(splits, sentences, SEMANTICS["sentence"])
    if expected is not None:
        faults += _counts(expected, semantics, x, labels, a, trainval, test_seen, test_unseen)
    if x.shape[1] != len(labels) or len(names) != a.shape[1]:
        raise DataError(folder, faults)

    split = OfficialSplit(trainval, test_seen, test_unseen)
    validation = classes.validation_classes(folder, names, labels, split, train, val, faults, notes)
    notes += _missing_values(splits, semantics, names)
    with np.errstate(over="ignore"):  # what does not fit into float32 is reported as infinite
        x = np.ascontiguousarray(x.T, dtype=np.float32)
        a = np.ascontiguousarray(a.T, dtype=np.float32)
    files = images.get("image_files")
    where = {"features": f"{features}.mat", "labels": f"{features}.mat", "semantics": SEMANTICS[semantics]}
    where |= dict.fromkeys(_PARTS, SPLITS_FILE)
    arrays = {"features": x, "labels": labels, "semantics": a}
    arrays |= {"trainval": trainval, "test_seen": test_seen, "test_unseen": test_unseen}
    dataset = Dataset(
        name=name,
        features=x,
        labels=labels,
        class_names=names,
        semantics=a,
        split=OfficialSplit(trainval, test_seen, test_unseen, validation),
        features_name=features,
        semantics_name=semantics,
        image_files=tuple(files) if isinstance(files, list) else None,
        sources=tuple(source(key, f"{folder.name}/{where[key]}", one) for key, one in arrays.items()),
        notes=tuple(notes),
    )
    faults += validate.faults(dataset)
    if faults:
        raise DataError(folder, faults)
    return dataset


class _Variables:
    """Takes variables out of files; what is missing or of the wrong form joins ``faults``."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults

    def matrix(self, contents: Mapping[str, MatValue], file: str, key: str) -> _Numbers | None:
        values = self._numbers(contents, file, key)
        if values is not None and values.ndim != 2:
            self.faults.append(f"{file}: {key} has {values.ndim} axes instead of 2")
            return None
        return values

    def indices(
        self, contents: Mapping[str, MatValue], file: str, key: str, optional: bool = False
    ) -> _Numbers | None:
        """A 1-based vector as 0-based int64, converted before subtracting: the files hold uint16."""
        if optional and key not in contents:
            return None
        values = self._numbers(contents, file, key)
        if values is None:
            return None
        if values.size and values.size != max(values.shape, default=1):
            self.faults.append(f"{file}: {key} is {values.shape}, not a vector")
            return None
        whole = values.ravel()
        # The comparison is false for NaN; 2**53 bounds what a float64 can count.
        strange = ~(np.abs(whole.astype(np.float64)) < 2**53) | (whole != np.floor(whole))
        if strange.any():
            self.faults.append(f"{file}: {np.count_nonzero(strange)} values of {key} are not whole numbers")
            return None
        return whole.astype(np.int64) - 1

    def _numbers(self, contents: Mapping[str, MatValue], file: str, key: str) -> _Numbers | None:
        values = contents.get(key)
        if isinstance(values, np.ndarray):
            return values
        self.faults.append(f"{file}: no variable '{key}'" if values is None else f"{file}: {key} is text")
        return None


def _counts(
    expected: ExpectedCounts,
    semantics: str,
    x: _Numbers,
    labels: _Numbers,
    a: _Numbers,
    *parts: _Numbers,
) -> list[str]:
    trainval, test_seen, test_unseen = parts
    attributes = expected.sentence if semantics == "sentence" else expected.attributes
    inside = test_unseen[(test_unseen >= 0) & (test_unseen < len(labels))]
    compared = [
        ("images", len(labels), expected.images),
        ("classes", a.shape[1], expected.classes),
        ("unseen classes", len(np.unique(labels[inside])), expected.unseen),
        ("attributes", a.shape[0], attributes),
        ("trainval images", len(trainval), expected.trainval),
        ("test_seen images", len(test_seen), expected.test_seen),
        ("test_unseen images", len(test_unseen), expected.test_unseen),
    ]
    return [f"{got} {what}, officially {want}" for what, got, want in compared if want not in (None, got)]


def _missing_values(splits: Mapping[str, MatValue], semantics: str, names: tuple[str, ...]) -> list[str]:
    """AWA marks attribute values that nobody rated by -1."""
    original = splits.get("original_att")
    if semantics == "sentence" or not isinstance(original, np.ndarray) or original.ndim != 2:
        return []
    missing = original == -1
    if not missing.any() or (original[~missing] < 0).any() or original.shape[1] != len(names):
        return []
    owners = ", ".join(names[one] for one in np.flatnonzero(missing.any(axis=0)))
    return [
        f"{np.count_nonzero(missing)} attribute values are missing (-1 in original_att) and kept: {owners}"
    ]
