"""Checks labels, splits, counts, class semantics, and the order of classes against the images' folders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from zslbench.data import (
    PARTS,
    SEMANTICS_FILES,
    SPLITS_FILE,
    Findings,
    FolderContents,
    ImageLabels,
    count_differences,
    dataset_findings,
    few,
    label_files,
)
from zslbench.evaluation import fingerprint
from zslbench_data.checking.features import duplicates, official, part_numbers

_DEEPEST = 3


def compare_labels(folder: Path, findings: Findings) -> ImageLabels | None:
    """Labels and image names of the first file that has them; all other files must agree."""
    first: ImageLabels | None = None
    for found in label_files(folder, findings):
        if first is None:
            first = found
            continue
        if len(found.labels) != len(first.labels):
            findings.error(f"{len(found.labels)} images, {first.file} has {len(first.labels)}", found.file)
            continue
        if differ := int(np.count_nonzero(found.labels != first.labels)):
            findings.error(f"labels differ from those of {first.file}", found.file, differ)
        if first.image_files is None:
            first = ImageLabels(first.labels, first.file, found.image_files)
        elif found.image_files is not None:
            differ = sum(a != b for a, b in zip(found.image_files, first.image_files, strict=True))
            if differ:
                findings.error("image names differ between the files with labels", found.file, differ)
    return first


def check_semantics(contents: FolderContents, names: Iterable[str]) -> None:
    """Check these class semantics, and the split with each."""
    findings, sound = contents.findings, True
    for name in names:
        file = SEMANTICS_FILES[name]
        with findings.guard(file):
            values = contents.semantics if name == "att" else contents.read_semantics(name)
            where = f"{file}: {'att' if name == 'sentence' else name}"
            sound = values is not None and _check_one(contents, name, where, values) and sound
    if sound and contents.split is not None:
        sizes = ", ".join(f"{part} {len(contents.parts[part])}" for part in PARTS)
        findings.ok(f"parts are disjoint, no unseen class has training images ({sizes})", SPLITS_FILE)
        if outside := int(np.count_nonzero(part_numbers(contents) < 0)):
            findings.ok("images are in no part of the split", SPLITS_FILE, outside)


def _check_one(contents: FolderContents, name: str, where: str, values: np.ndarray) -> bool:
    """Whether these semantics and the split are free of errors."""
    findings, entry = contents.findings, official(contents)
    dataset = contents.unchecked(name, values)
    faults = [] if dataset is None else dataset_findings(dataset)
    findings.extend(faults, where)
    if dataset is not None and entry is not None:
        wrong = count_differences(dataset, entry.counts)
        findings.extend(wrong, SPLITS_FILE)
        prints = tuple(map(fingerprint, dataset.split.parts.values()))
        if entry.split and prints != entry.split:
            text = f"the split is not the published one ({', '.join(prints)}): results cannot be compared"
            findings.warning(text, SPLITS_FILE)
        if not wrong:
            findings.ok(f"counts are the official ones of {entry.name}, with {name}", SPLITS_FILE)
    constant = np.flatnonzero((values == values[:1]).all(axis=0))
    if len(values) and len(constant):
        text = f"columns have the same value for every class ({few(constant)})"
        findings.warning(text, where, len(constant))
    zero = np.flatnonzero(~values.any(axis=1)).tolist()
    if same := duplicates([row.tobytes() for row in values], zero):
        names = contents.class_names or [str(number) for number in range(len(values))]
        groups = few(" = ".join(names[one] for one in group if one < len(names)) for group in same)
        findings.warning(f"classes have equal semantics ({groups})", where, sum(map(len, same)))
    if not faults:
        findings.ok(f"{values.shape[0]} classes, {values.shape[1]} columns", where)
    return not faults


def check_class_folders(contents: FolderContents) -> None:
    """Check that images lie in folders named after their class.

    An image's class is known where up to three of its folders, joined, are the name of one.
    """
    images, findings = contents.images, contents.findings
    if images is None or images.image_files is None or not contents.class_names:
        return
    known = {_normal(name): number for number, name in enumerate(contents.class_names)}
    classes = np.array([_class_in_path(file, known) for file in images.image_files])
    where = f"image_files, {images.file}"
    if not (classes >= 0).any():
        findings.ok("image names contain no class: the order of classes is not checked by them", where)
        return
    wrong = np.flatnonzero((classes >= 0) & (classes != images.labels))
    if len(wrong):
        row = int(wrong[0])
        example = f"image {row}: {images.image_files[row]}"
        findings.error(f"labels disagree with the images' class folders ({example})", where, len(wrong))
    else:
        count = int(np.count_nonzero(classes >= 0))
        findings.ok("labels agree with the images' class folders", where, count)


def _class_in_path(name: str, known: dict[str, int]) -> int:
    folders = PurePosixPath(name.replace("\\", "/")).parent.parts
    for depth in range(min(_DEEPEST, len(folders)), 0, -1):
        found = known.get(_normal("_".join(folders[-depth:])))
        if found is not None:
            return found
    return -1


def _normal(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")
