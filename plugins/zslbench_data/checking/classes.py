"""Checks names and numbers of classes and attributes: labels, splits, counts, semantics, word vectors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from zslbench.data import (
    ATTRIBUTE_VECTORS,
    NAMED_SEMANTICS,
    PARTS,
    SEMANTICS_FILES,
    SPLITS_FILE,
    Findings,
    ImageLabels,
    array_sha256,
    attribute_names,
    attribute_vectors,
    count_differences,
    dataset_findings,
    few,
    label_files,
    read_class_vectors,
    semantics_file,
    sidecar,
)
from zslbench.evaluation import fingerprint, protocol_notes
from zslbench.store import parse_json
from zslbench_data.checking.features import CheckedFolder, check_vectors, duplicates, part_numbers, short_path
from zslbench_data.words.attributes import RECORD_FILE, words_of

_DEEPEST = 3
_MISFIT = 0.05
"""Names in the right order leave at most this share of the vectors' variance unexplained."""


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


def check_semantics(contents: CheckedFolder, names: Iterable[str]) -> None:
    """Check these class semantics, and the split with each."""
    findings, sound = contents.findings, True
    described = contents.unchecked("att")
    for note in [] if described is None else protocol_notes(described):
        findings.warning(note, SPLITS_FILE)
    for name in names:
        path = semantics_file(name, contents.folder)
        file = SEMANTICS_FILES[name] if path is None else f"{NAMED_SEMANTICS}/{path.name}"
        with findings.guard(file):
            where = file if path else f"{file}: {'att' if name == 'sentence' else name}"
            if path is not None:
                values: np.ndarray | None = read_class_vectors(path, contents.class_names).values
            else:
                values = contents.semantics if name == "att" else contents.read_semantics(name)
            sound = values is not None and _check_one(contents, name, where, values) and sound
    if sound and contents.split is not None:
        sizes = ", ".join(f"{part} {len(contents.parts[part])}" for part in PARTS)
        findings.ok(f"parts are disjoint, no unseen class has training images ({sizes})", SPLITS_FILE)
        if outside := int(np.count_nonzero(part_numbers(contents) < 0)):
            findings.ok("images are in no part of the split", SPLITS_FILE, outside)


def _check_one(contents: CheckedFolder, name: str, where: str, values: np.ndarray) -> bool:
    """Whether these semantics and the split are free of errors."""
    findings, entry = contents.findings, contents.entry
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


def check_class_folders(contents: CheckedFolder) -> None:
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


def check_words(folder: Path, count: int, findings: Findings) -> None:
    """Check the attribute names and word vectors of a data set with ``count`` attributes."""
    vectors, names, where = None, None, ATTRIBUTE_VECTORS
    if (path := sidecar(folder, ATTRIBUTE_VECTORS)) is not None:
        where = short_path(path, folder)
    with findings.guard(where):
        found = attribute_vectors(folder, count)
        vectors = None if found is None else found[0]
    with findings.guard("attribute names"):
        named = attribute_names(folder, count, vectors)
        if named is not None:
            names, file = named[0], short_path(named[1], folder)
            if twice := sorted({one for one in names if names.count(one) > 1}):
                findings.warning(f"duplicate attribute names ({few(twice)})", file, len(twice))
            else:
                findings.ok(f"{len(names)} attribute names", file)
    if vectors is not None:
        if check_vectors(vectors, names, where, findings) and names is not None:
            _order(vectors, names, where, findings)
        if path == folder / ATTRIBUTE_VECTORS:
            with findings.guard(RECORD_FILE):
                _record(folder, vectors, names, findings)


def _order(vectors: np.ndarray, names: Sequence[str], where: str, findings: Findings) -> None:
    """Check whether vectors and names can be in the same order.

    A row is the sum or the mean of its words' vectors. So where names share words, fitting one vector per
    word by least squares leaves nearly no residual in the right order, and a large one in another.
    """
    rows = np.flatnonzero(vectors.any(axis=1))
    words = [words_of(names[one]) for one in rows.tolist()]
    counts = pd.DataFrame(map(Counter, words)).fillna(0).to_numpy(dtype=np.float64)
    free = len(rows) - np.linalg.matrix_rank(counts) if counts.size else 0
    if free < len(rows) * _MISFIT:
        return  # nearly every name has a word that no other has: any order fits
    given = vectors[rows].astype(np.float64)
    residuals = []
    for table in (counts, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)):
        fitted = table @ np.linalg.lstsq(table, given, rcond=None)[0]
        residuals.append(float(np.square(given - fitted).sum() / np.square(given - given.mean(axis=0)).sum()))
    if min(residuals) > _MISFIT:
        text = f"words shared between names leave {min(residuals):.0%} of the vectors' variance unexplained"
        findings.warning(f"{text}: are names and vectors in the order of att?", where)
    else:
        findings.ok("word vectors fit the words shared between names", where)


def _record(folder: Path, vectors: np.ndarray, names: Sequence[str] | None, findings: Findings) -> None:
    """Compare with the record of how they were made."""
    path = folder / RECORD_FILE
    if not path.is_file():
        return
    record = parse_json(path.read_bytes())
    if not isinstance(record, dict) or not isinstance(record.get("words", {}), dict):
        raise ValueError("not a record of word vectors")
    if record.get("sha256") not in (None, array_sha256(vectors)):
        findings.error("word vectors differ from the recorded checksum", RECORD_FILE)
    made_for = list(record.get("words", {}))
    if names is not None and made_for and made_for != list(dict.fromkeys(names)):
        differ = sum(a != b for a, b in zip(made_for, names, strict=False)) + abs(len(made_for) - len(names))
        findings.error("word vectors were made for other names or another order", RECORD_FILE, differ)
