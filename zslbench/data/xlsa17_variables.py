"""The files of a data set in the xlsa17 format, and their variables: what is missing, and what is odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zslbench.data.locations import HOW_TO_CHOOSE, SPLITS_FILE
from zslbench.data.matfile import MatValue, mat_variables
from zslbench.errors import DataError, MissingData, UnknownName
from zslbench.store.files import read_records

Numbers = np.ndarray

SEMANTICS_FILES = {"att": SPLITS_FILE, "original_att": SPLITS_FILE, "sentence": "sent_splits.mat"}
"""Class semantics by name, and the file each is in."""

HOW_TO_GET = (
    "Get it from the archive of Xian et al. (proposed split, version 2), "
    "http://datasets.d2.mpi-inf.mpg.de/xian/xlsa17.zip (FLO is in cvpr18xian.zip beside it), and unpack it; "
    f"{HOW_TO_CHOOSE}"
)


def features_stem(features: str) -> str:
    """The stem of a features file, given with or without ``.mat``."""
    stem = features.removesuffix(".mat")
    if not stem or Path(stem).name != stem:
        raise UnknownName(f"features '{features}': give the name of a .mat file in the data set's folder")
    return stem


def require(folder: Path, features: str | None, semantics_file: str) -> None:
    """Raise MissingData for every file of the data set that is not there; list the features that are.

    Args:
        features: stem of the features file; None: none is needed.
    """
    files = [] if features is None else [f"{features}.mat"]
    needed = dict.fromkeys([SPLITS_FILE, semantics_file, *files])
    absent = [one for one in needed if not (folder / one).is_file()]
    if not absent:
        return
    advice = HOW_TO_GET if absent != [f"{features}.mat"] or features == "res101" else ""
    if f"{features}.mat" in absent:
        others = features_files(folder)
        if others:
            advice = f"Found: {', '.join(others)}; pass --features {others[0]}. {advice}".rstrip()
    raise MissingData(folder, [f"{one} is missing" for one in absent], advice)


def features_files(folder: Path) -> list[str]:
    """Stems of the folder's readable .mat files that hold features."""
    found = []
    for path in sorted(folder.glob("*.mat")):
        try:
            if "features" in mat_variables(path):
                found.append(path.stem)
        except DataError:
            continue
    return found


def imported_features(folder: Path) -> str | None:
    """Stem of the features file that ``zslbench data import`` wrote for a custom set; None: there is none."""
    try:
        found = read_records(folder / "sources.json").get("imports", {}).get("custom", {}).get("features")
    except (DataError, AttributeError):  # a damaged record is told by ``zslbench data check``
        return None
    return found if isinstance(found, str) and (folder / f"{found}.mat").is_file() else None


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


class Variables:
    """Takes variables out of files; what is missing or of the wrong form joins ``faults``."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults

    def matrix(self, contents: Mapping[str, MatValue], file: str, key: str) -> Numbers | None:
        values = self._numbers(contents, file, key)
        if values is not None and values.ndim != 2:
            self.faults.append(f"{file}: {key} has {values.ndim} axes instead of 2")
            return None
        return values

    def indices(
        self, contents: Mapping[str, MatValue], file: str, key: str, optional: bool = False
    ) -> Numbers | None:
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

    def _numbers(self, contents: Mapping[str, MatValue], file: str, key: str) -> Numbers | None:
        values = contents.get(key)
        if isinstance(values, np.ndarray):
            return values
        self.faults.append(f"{file}: no variable '{key}'" if values is None else f"{file}: {key} is text")
        return None


def wrong_counts(
    expected: ExpectedCounts,
    semantics: str,
    x: Numbers,
    labels: Numbers,
    a: Numbers,
    *parts: Numbers,
) -> list[str]:
    """Every count of trainval, test_seen and test_unseen and the rest that is not the official one."""
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


def missing_values(splits: Mapping[str, MatValue], semantics: str, names: tuple[str, ...]) -> list[str]:
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
