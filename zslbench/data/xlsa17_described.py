"""What a folder in the xlsa17 format says of its images and classes, without any features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from zslbench.data import xlsa17_classes as classes
from zslbench.data.locations import SPLITS_FILE
from zslbench.data.matfile import mat_variables, read_mat
from zslbench.data.xlsa17_variables import Variables
from zslbench.errors import DataError
from zslbench.plugin.dataset import OfficialSplit

_PARTS = ("trainval", "test_seen", "test_unseen")


@dataclass(frozen=True)
class Described:
    """Labels, split and class attributes of a data set, as in its files."""

    labels: Int[np.ndarray, " images"]
    """0-based, int64."""
    class_names: tuple[str, ...]
    att: Float[np.ndarray, "classes attributes"]
    original_att: Float[np.ndarray, "classes attributes"] | None
    """Before normalisation; -1 where nobody rated."""
    split: OfficialSplit
    notes: tuple[str, ...]


def read_described(folder: Path) -> Described | None:
    """Read ``att_splits.mat`` and the labels of ``labels.mat`` or of any features file.

    Returns:
        None where one of the two is not there.

    Raises:
        DataError: they can be read but are unusable; lists the faults.
    """
    labels_file = _labels_file(folder)
    if labels_file is None or not (folder / SPLITS_FILE).is_file():
        return None
    splits = read_mat(folder / SPLITS_FILE, {*classes.SPLIT_VARIABLES, "att", "original_att"})
    faults: list[str] = []
    notes: list[str] = []
    found = Variables(faults)
    labels = found.indices(read_mat(labels_file, {"labels"}), labels_file.name, "labels")
    att = found.matrix(splits, SPLITS_FILE, "att")
    original = found.matrix(splits, SPLITS_FILE, "original_att") if "original_att" in splits else None
    rows = {part: found.indices(splits, SPLITS_FILE, f"{part}_loc") for part in _PARTS}
    train, val = (
        found.indices(splits, SPLITS_FILE, f"{part}_loc", optional=True) for part in ("train", "val")
    )
    if labels is None or att is None or any(one is None for one in rows.values()):
        raise DataError(folder, faults)
    trainval, test_seen, test_unseen = (one for one in rows.values() if one is not None)
    split = OfficialSplit(trainval, test_seen, test_unseen)
    names = classes.class_names(folder, splits, att.shape[1], labels, test_unseen, notes)
    if len(names) != att.shape[1]:
        faults.append(f"semantics of {att.shape[1]} classes, names of {len(names)}")
    indices = np.concatenate([trainval, test_seen, test_unseen])
    outside = np.count_nonzero((indices < 0) | (indices >= len(labels)))
    if outside:
        faults.append(f"{outside} indices of the split are outside 1 to {len(labels)}")
    if faults:
        raise DataError(folder, faults)
    validation = classes.validation_classes(folder, names, labels, split, train, val, faults, notes)
    if faults:
        raise DataError(folder, faults)
    return Described(
        labels=labels,
        class_names=names,
        att=np.ascontiguousarray(att.T, dtype=np.float32),
        original_att=None if original is None else np.ascontiguousarray(original.T, dtype=np.float32),
        split=OfficialSplit(trainval, test_seen, test_unseen, validation),
        notes=tuple(notes),
    )


def _labels_file(folder: Path) -> Path | None:
    for path in (folder / "labels.mat", *sorted(folder.glob("*.mat"))):
        if path.is_file() and "labels" in mat_variables(path):
            return path
    return None
