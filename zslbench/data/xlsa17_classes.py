"""What the xlsa17 format says about classes: their names, and which serve validation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zslbench.data.matfile import MatValue
from zslbench.plugin.dataset import Indices, OfficialSplit

SPLIT_VARIABLES = frozenset(
    [
        "allclasses_names",
        *(f"{part}_loc" for part in ("trainval", "train", "val", "test_seen", "test_unseen")),
    ]
)
"""Variables that ``att_splits.mat`` and ``sent_splits.mat`` share."""

_EXAMPLES = 5


def class_names(
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


def validation_classes(
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
