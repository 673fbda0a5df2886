"""Reads what the files of a data set in the xlsa17 format say apart from features: labels, classes and split.

:func:`read_split` serves loading, checking and importing: it reads as much as it can and collects the faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from zslbench.data.locations import SPLITS_FILE
from zslbench.data.matfile import MatValue, mat_variables, read_mat
from zslbench.data.xlsa17_variables import Variables
from zslbench.errors import DataError
from zslbench.plugin.dataset import Dataset, Indices, OfficialSplit

PARTS = ("trainval", "test_seen", "test_unseen")
SPLIT_VARIABLES = frozenset(
    [
        "allclasses_names",
        *(f"{part}_loc" for part in ("trainval", "train", "val", "test_seen", "test_unseen")),
    ]
)
"""Variables that ``att_splits.mat`` and ``sent_splits.mat`` share."""

_EXAMPLES = 5


@dataclass
class SplitReading:
    """The split and the classes of a folder, as far as they can be read."""

    parts: dict[str, Indices] = field(default_factory=dict)
    """Rows of each readable part of the split, 0-based."""
    class_names: tuple[str, ...] = ()
    """In the order of class ids; empty without labels, class count and all three parts."""
    split: OfficialSplit | None = None
    """With the official validation classes; None where ``class_names`` is empty."""
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_split(
    folder: Path, splits: Mapping[str, MatValue], labels: Indices | None, class_count: int | None
) -> SplitReading:
    """Read the split and the classes from the variables of ``att_splits.mat`` and the class lists beside it.

    Args:
        folder: holds the class lists, if there are any.
        splits: the variables of ``att_splits.mat``.
        labels: class ids of all images; None: they could not be read.
        class_count: how many classes the semantics describe; None: they could not be read.
    """
    reading = SplitReading()
    variables = Variables(reading.faults)
    for part in PARTS:
        rows = variables.indices(splits, SPLITS_FILE, f"{part}_loc")
        if rows is not None:
            reading.parts[part] = rows
    train, val = (
        variables.indices(splits, SPLITS_FILE, f"{part}_loc", optional=True) for part in ("train", "val")
    )
    if labels is None or class_count is None or len(reading.parts) < len(PARTS):
        return reading
    split = OfficialSplit(**reading.parts)
    names = _class_names(folder, splits, class_count, labels, split.test_unseen, reading.notes)
    if len(names) != class_count:
        reading.faults.append(f"semantics of {class_count} classes, names of {len(names)}")
    validation = _validation_classes(folder, names, labels, split, train, val, reading.faults, reading.notes)
    reading.class_names = names
    reading.split = OfficialSplit(**reading.parts, validation_classes=validation)
    return reading


def no_features(images: int) -> np.ndarray:
    """Features (images, 1) of zeros in the memory of one number, for checks of everything else."""
    return np.broadcast_to(np.float32(0), (images, 1))


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

    def dataset(self, name: str) -> Dataset:
        """A data set of this, without features."""
        return Dataset(
            name=name,
            features=no_features(len(self.labels)),
            labels=self.labels,
            class_names=self.class_names,
            semantics=self.att,
            split=self.split,
            features_name="none",
            semantics_name="att",
        )


def read_described(folder: Path, labels: Indices | None = None) -> Described | None:
    """Read ``att_splits.mat`` and the labels of ``labels.mat`` or of any features file.

    Args:
        labels: those of another source (0-based), instead of those of a file.

    Returns:
        None where one of the two is missing.

    Raises:
        DataError: they can be read but are unusable; lists the faults.
    """
    labels_file = None if labels is not None else _labels_file(folder)
    if (labels is None and labels_file is None) or not (folder / SPLITS_FILE).is_file():
        return None
    splits = read_mat(folder / SPLITS_FILE, {*SPLIT_VARIABLES, "att", "original_att"})
    faults: list[str] = []
    variables = Variables(faults)
    if labels_file is not None:
        labels = variables.indices(read_mat(labels_file, {"labels"}), labels_file.name, "labels")
    att = variables.matrix(splits, SPLITS_FILE, "att")
    original = variables.matrix(splits, SPLITS_FILE, "original_att") if "original_att" in splits else None
    reading = read_split(folder, splits, labels, None if att is None else att.shape[1])
    faults += reading.faults
    if labels is not None and reading.split is not None:
        indices = np.concatenate(list(reading.parts.values()))
        outside = np.count_nonzero((indices < 0) | (indices >= len(labels)))
        if outside:
            faults.append(f"{outside} indices of the split are outside 1 to {len(labels)}")
    if faults or labels is None or att is None or reading.split is None:
        raise DataError(folder, faults)
    return Described(
        labels=labels,
        class_names=reading.class_names,
        att=np.ascontiguousarray(att.T, dtype=np.float32),
        original_att=None if original is None else np.ascontiguousarray(original.T, dtype=np.float32),
        split=reading.split,
        notes=tuple(reading.notes),
    )


def _labels_file(folder: Path) -> Path | None:
    for path in (folder / "labels.mat", *sorted(folder.glob("*.mat"))):
        if path.is_file() and "labels" in mat_variables(path):
            return path
    return None


def split_disagreements(
    splits: Mapping[str, MatValue], others: Mapping[str, MatValue], file: str
) -> list[str]:
    """Where another splits file contradicts ``att_splits.mat``: other images or another order of classes."""
    found = []
    for key in sorted(SPLIT_VARIABLES & splits.keys() & others.keys()):
        one, other = splits[key], others[key]
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
            same = np.array_equal(np.sort(one, axis=None), np.sort(other, axis=None))
        else:
            same = isinstance(one, list) and one == other
        if not same:
            found.append(f"{file}: {key} differs from that of att_splits.mat")
    return found


def _class_names(
    folder: Path,
    splits: Mapping[str, MatValue],
    count: int,
    labels: Indices,
    test_unseen: Indices,
    notes: list[str],
) -> tuple[str, ...]:
    """Names in the order of class ids.

    ``allclasses_names`` where the file has it. Otherwise the lines of ``allclasses.txt``, if there are
    ``count`` different ones and ``testclasses.txt`` (where present) lists the unseen classes by them; some
    copies sort that file otherwise than by id. Otherwise ``class_001`` and so on.
    """
    stored = splits.get("allclasses_names")
    if isinstance(stored, list):
        return tuple(name.strip() for name in stored)
    listed = tuple(_lines(folder / "allclasses.txt"))
    if len(listed) == count == len(set(listed)):
        official = set(_lines(folder / "testclasses.txt"))
        if not official or official == {
            listed[one] for one in _classes_of(labels, test_unseen) if one < count
        }:
            notes.append("class names are the lines of allclasses.txt, taken to be in the order of class ids")
            return listed
    notes.append("the data set has no class names; classes are numbered from class_001")
    return tuple(f"class_{one:03d}" for one in range(1, count + 1))


def _validation_classes(
    folder: Path,
    names: tuple[str, ...],
    labels: Indices,
    split: OfficialSplit,
    train: Indices | None,
    val: Indices | None,
    faults: list[str],
    notes: list[str],
) -> Indices | None:
    """Ids of the official validation classes, or None; cross-checked against the class lists beside the file.

    They are the classes of ``val_loc``, else those of ``valclasses1.txt``. In version 2 of the split
    ``train_loc`` and ``val_loc`` contain every test_seen image and in some copies none, so only their
    classes are used, never their images; what was found joins ``notes``.
    """
    _compare("testclasses.txt", folder, names, _classes_of(labels, split.test_unseen), "test_unseen", faults)
    if train is None or val is None:
        ids = _listed(folder / "valclasses1.txt", names, faults)
        source = (
            "no validation classes are given"
            if ids is None
            else "validation classes are those of valclasses1.txt"
        )
        notes.append(f"att_splits.mat lacks train_loc or val_loc; {source}")
        return ids
    validation = _classes_of(labels, val)
    outside = sum(np.count_nonzero((part < 0) | (part >= len(labels))) for part in (train, val))
    if outside:
        faults.append(f"train_loc and val_loc: {outside} indices outside 1 to {len(labels)}")
    shared = np.intersect1d(_classes_of(labels, train), validation)
    if len(shared):
        faults.append(f"train_loc and val_loc share {len(shared)} classes")
    both = np.union1d(train, val)
    in_unseen = len(np.intersect1d(both, split.test_unseen))
    if in_unseen:
        faults.append(f"train_loc and val_loc contain {in_unseen} test_unseen images")
    in_seen = len(np.intersect1d(both, split.test_seen))
    if in_seen:
        notes.append(f"train_loc and val_loc contain {in_seen} test_seen images, which validation leaves out")
    else:
        notes.append(f"train_loc and val_loc hold no test_seen images ({len(train)} and {len(val)} images)")
    unassigned = np.setdiff1d(_classes_of(labels, split.trainval), _classes_of(labels, both))
    if len(unassigned):
        notes.append(
            f"{len(unassigned)} seen classes are in neither train_loc nor val_loc; validation trains on them"
        )
    _compare("valclasses1.txt", folder, names, validation, "val_loc", faults)
    return validation


def _classes_of(labels: Indices, rows: Indices) -> Indices:
    return np.asarray(np.unique(labels[rows[(rows >= 0) & (rows < len(labels))]]))


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _listed(path: Path, names: tuple[str, ...], faults: list[str]) -> Indices | None:
    """Ids of the classes that a text file lists; None without such a file."""
    listed = _lines(path)
    unknown = [one for one in listed if one not in names]
    if unknown:
        faults.append(f"{path.name} lists {len(unknown)} unknown classes ({_few(unknown)})")
    ids = sorted({names.index(one) for one in listed if one in names})
    return np.array(ids, dtype=np.int64) if ids else None


def _compare(
    file: str, folder: Path, names: tuple[str, ...], ids: Indices, part: str, faults: list[str]
) -> None:
    if not (folder / file).is_file():
        return
    before = len(faults)
    listed = _listed(folder / file, names, faults)
    if len(faults) > before:
        return
    odd = np.setxor1d(ids, listed if listed is not None else ids[:0])
    if len(odd):
        shown = [names[one] if 0 <= one < len(names) else f"class id {one}" for one in odd.tolist()]
        faults.append(f"{file} and the classes of {part} differ in {len(odd)} classes ({_few(shown)})")


def _few(items: list[str]) -> str:
    return ", ".join(items[:_EXAMPLES]) + (", ..." if len(items) > _EXAMPLES else "")
