"""Checks of splits, counts, class semantics, and of the order of classes against the images' names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np

from zslbench.data import (
    SEMANTICS_FILES,
    SPLIT_VARIABLES,
    SPLITS_FILE,
    ExpectedCounts,
    MatValue,
    Variables,
    dataset_faults,
    missing_values,
    read_mat,
    split_disagreements,
    wrong_counts,
)
from zslbench.evaluation import fingerprint
from zslbench_data.checking.findings import Findings, few
from zslbench_data.checking.scan import repeated
from zslbench_data.checking.subject import PARTS, Subject

_DEEPEST = 3


def check_semantics(subject: Subject, wanted: Iterable[str], findings: Findings) -> None:
    """Every description of classes, and the split with each."""
    sound = True
    for name in wanted:
        file = SEMANTICS_FILES[name]
        with findings.guard(file):
            contents: dict[str, MatValue] = subject.splits
            if name == "sentence":
                contents = read_mat(subject.folder / file, {*SPLIT_VARIABLES, "att"})
                findings.faults(split_disagreements(subject.splits, contents, file), file)
            key = "att" if name == "sentence" else name
            faults: list[str] = []
            matrix = Variables(faults).matrix(contents, file, key)
            findings.faults(faults, file)
            if matrix is None:
                sound = False
                continue
            with np.errstate(over="ignore"):
                values = np.ascontiguousarray(matrix.T, dtype=np.float32)
            sound = _one(subject, name, f"{file}: {key}", values, findings) and sound
    if sound and subject.split is not None and subject.labels is not None:
        sizes = ", ".join(f"{part} {len(subject.rows[part])}" for part in PARTS)
        findings.ok(f"the parts are disjoint, no unseen class is trained on ({sizes})", SPLITS_FILE)
        outside = int(np.count_nonzero(subject.part_of() < 0))
        if outside:
            findings.ok("images are in no part of the split", SPLITS_FILE, outside)
    for text in missing_values(subject.splits, "original_att", subject.class_names):
        findings.ok(text, f"{SPLITS_FILE}: original_att")


def _one(subject: Subject, name: str, where: str, values: np.ndarray, findings: Findings) -> bool:
    """One description; gives whether validation finds no fault."""
    dataset = subject.dataset(values, name)
    found = findings.faults(dataset_faults(dataset), where) if dataset is not None else 0
    _counts(subject, name, values, findings)
    if len(values):
        constant = np.flatnonzero((values == values[0]).all(axis=0))
        if len(constant):
            findings.warning(f"columns say the same of every class ({few(constant)})", where, len(constant))
        alike = repeated([one.tobytes() for one in values], np.flatnonzero(~values.any(axis=1)).tolist())
        if alike:
            names = subject.class_names or [str(one) for one in range(len(values))]
            groups = few(" = ".join(names[one] for one in group if one < len(names)) for group in alike)
            count = sum(map(len, alike))
            findings.warning(f"classes have the same description ({groups})", where, count)
    if not found:
        findings.ok(f"{values.shape[0]} classes, {values.shape[1]} columns", where)
    return not found


def _counts(subject: Subject, name: str, values: np.ndarray, findings: Findings) -> None:
    """Against the official counts, and the official split."""
    if subject.entry is None or subject.labels is None or subject.split is None:
        return
    expected = ExpectedCounts(**subject.entry.counts)
    parts = [subject.rows[part] for part in PARTS]
    wrong = wrong_counts(expected, name, np.zeros((0, 0)), subject.labels, values.T, *parts)
    prints = tuple(fingerprint(one) for one in parts)
    if subject.entry.split and prints != subject.entry.split:
        findings.warning(
            f"the split is not the published one ({', '.join(prints)}): results cannot be compared",
            SPLITS_FILE,
        )
    if not findings.faults(wrong, SPLITS_FILE):
        findings.ok(f"counts are the official ones of {subject.entry.name}, with {name}", SPLITS_FILE)


def check_image_names(subject: Subject, findings: Findings) -> None:
    """Whether the folders in the images' names are the classes that the labels say.

    A name tells of a class where up to three of its folders, put together, are the name of one.
    """
    if subject.image_files is None or subject.labels is None or not subject.class_names:
        return
    known = {_plain(one): number for number, one in enumerate(subject.class_names)}
    told = np.array([_told(one, known) for one in subject.image_files])
    says = told >= 0
    where = f"image_files, {subject.labels_from}"
    if not says.any():
        findings.ok("names of images tell of no class: the order of classes is not checked by them", where)
        return
    wrong = np.flatnonzero(says & (told != subject.labels))
    if len(wrong):
        row = int(wrong[0])
        findings.error(
            f"labels are not the classes that the images' folders are named after (image {row}: "
            f"{subject.image_files[row]})", where, len(wrong)
        )  # fmt: skip
    else:
        findings.ok("labels are the classes that the images' folders are named after", where, int(says.sum()))


def _told(name: str, known: dict[str, int]) -> int:
    folders = PurePosixPath(name.replace("\\", "/")).parent.parts
    for deep in range(min(_DEEPEST, len(folders)), 0, -1):
        found = known.get(_plain("_".join(folders[-deep:])))
        if found is not None:
            return found
    return -1


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")
