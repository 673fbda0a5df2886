"""Compares region features with a data set, and adds them with names and word vectors of its attributes.

Region files and splits have different origins. Another order of classes, attributes or images would train and
evaluate without any error, on the wrong labels.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float

from zslbench.data.attributes import attribute_names, attribute_vectors
from zslbench.data.locations import SPLITS_FILE
from zslbench.data.provenance import source as source_of
from zslbench.data.regions.hdf5 import RegionFile
from zslbench.data.regions.layout import find_layout
from zslbench.data.regions.store import RegionStore
from zslbench.data.validate import PARTS, Finding, Findings, few
from zslbench.errors import DataError
from zslbench.plugin.dataset import Dataset, Source

Attributes = Float[np.ndarray, "classes attributes"]


def attach(dataset: Dataset, source: RegionStore, folder: Path) -> Dataset:
    """The data set in ``folder`` with these regions, which must agree with it."""
    sources = [*dataset.sources, Source("regions", _recorded(source.path), source.sha256)]
    notes, count = list(dataset.notes), dataset.semantics.shape[1]
    names = vectors = None
    if dataset.semantics_name != "sentence":  # whose columns are not attributes
        vectors, file = _vectors(source, folder, count, notes)
        if vectors is not None:
            sources.append(source_of("attribute_vectors", file, vectors))
        if (found := attribute_names(folder, count, vectors)) is not None:
            names, path = found
            if path.stem.lower() not in (folder.name.lower(), "attribute_names"):
                notes.append(f"attribute names are those of {path.name}, whose attributes are the same")
        if vectors is not None and len(zero := np.flatnonzero(~vectors.any(axis=1))):
            shown = few(names[one] if names else f"number {one}" for one in zero.tolist())
            notes.append(f"{len(zero)} attributes without a word vector (all zero): {shown}")
    return replace(
        dataset,
        regions=source,
        attribute_vectors=vectors,
        attribute_names=names,
        image_files=dataset.image_files or source.image_files,
        sources=tuple(sources),
        notes=tuple(notes),
        extra=dict(dataset.extra) | ({"simulated": True} if source.simulated else {}),
    )


def _vectors(
    source: RegionStore, folder: Path, count: int, notes: list[str]
) -> tuple[np.ndarray | None, str]:
    """The word vectors that came with the regions, else those of the data set; and their file."""
    own, shared = source.companions.get("attribute_vectors"), attribute_vectors(folder, count)
    if own is None:
        return (None, "") if shared is None else (shared[0], _recorded(shared[1]))
    own = np.ascontiguousarray(own, dtype=np.float32)
    if shared is not None and not np.array_equal(own, shared[0]):
        notes.append(f"word vectors are those of {source.path.name}; {shared[1].name} has others")
    return own, _recorded(source.path)


def _recorded(path: Path) -> str:
    """A file's name in a run's record: with its folder, without the rest of its path."""
    return f"{path.parent.name}/{path.name}"


# --- agreement with the data set ------------------------------------------------------------------


def disagreements(
    source: RegionStore | RegionFile, dataset: Dataset, att: Attributes, labels_file: str
) -> list[Finding]:
    """Errors where region features contradict the data set; each names both files.

    Args:
        att: the data set's class attributes, from ``att_splits.mat``.
        labels_file: name of the file with labels and image names; the region file's own if they come from it.
    """
    findings, file, theirs = Findings(), source.path.name, source.companions
    _check_layout(source, findings)
    if file != labels_file:
        _compare_images(source, dataset, labels_file, findings)
    _compare_splits(source, dataset, findings)
    if "att" in theirs:
        _compare_attributes(theirs["att"], np.asarray(att, dtype=np.float32), file, findings)
    vectors = theirs.get("attribute_vectors")
    if vectors is not None and len(vectors) != att.shape[1]:
        hint = " (transposed?)" if len(vectors) == len(att) else ""
        ours = f"{SPLITS_FILE} {att.shape[1]} attributes{hint}"
        findings.error(f"{file} has word vectors of {len(vectors)} attributes, {ours}")
    return findings.rows


def _check_layout(source: RegionStore | RegionFile, findings: Findings) -> None:
    """Report stores of channels-last maps in which an earlier version mixed up channels and regions."""
    grid: Any = source.provenance.get("grid")
    if isinstance(source, RegionFile) or source.simulated or not grid or "layout" in source.provenance:
        return
    with contextlib.suppress(DataError):
        shape = (source.shape[2], *grid)
        if find_layout(shape, source.path) == "channels-last":
            sizes = " x ".join(map(str, shape))
            text = f"{source.path.name} was made from maps of {sizes} as if their channels were first"
            findings.error(f"{text}; import them again")


def _compare_images(
    source: RegionStore | RegionFile, dataset: Dataset, other: str, findings: Findings
) -> None:
    ours, theirs, file = dataset.labels, source.labels, source.path.name
    if len(ours) != len(theirs):
        findings.error(f"{file} has {len(theirs)} images, {other} {len(ours)}")
        return
    if dataset.image_files is not None and source.image_files is not None:
        names, given = _stems(dataset.image_files), _stems(source.image_files)
        differ = np.flatnonzero(names != given)
        if len(differ):
            row = differ[0]
            text = (
                f"{len(differ)} images differ: image {row} is {given[row]} in {file}, {names[row]} in {other}"
            )
            if np.array_equal(np.sort(names), np.sort(given)):
                text = f"image order differs: {file} has the images of {other} in another order"
            findings.error(text, count=len(differ))
            return
    different = int(np.count_nonzero(ours != theirs))
    if not different:
        return
    pairs = np.unique(np.stack([ours, theirs]), axis=1)
    # Whether the same images belong together and only the numbers of classes differ.
    renumbered = pairs.shape[1] == len(np.unique(ours)) == len(np.unique(theirs))
    if np.array_equal(ours, theirs - 1):
        text = f"labels of {file} count from 1, they must count from 0"
    elif renumbered:
        text = f"class order differs: {file} numbers the classes of {other} differently"
    elif np.array_equal(np.sort(ours), np.sort(theirs)):
        text = f"image order differs: {file} has the labels of {other} in another order"
    else:
        text = f"labels differ in {different} of {len(ours)} images between {file} and {other}"
    findings.error(text, count=different)


def _stems(files: tuple[str, ...]) -> np.ndarray:
    return np.array([PurePosixPath(Path(file).as_posix()).stem for file in files])


def _compare_splits(source: RegionStore | RegionFile, dataset: Dataset, findings: Findings) -> None:
    file = source.path.name
    ours = {part: np.sort(rows) for part, rows in dataset.split.parts.items()}
    theirs = {part: np.sort(source.companions[part]) for part in PARTS if part in source.companions}
    different = {part: rows for part, rows in theirs.items() if not np.array_equal(rows, ours[part])}
    if different and all(np.array_equal(rows - 1, ours[part]) for part, rows in different.items()):
        findings.error(f"split of {file} counts images from 1, it must count from 0")
        return
    for part, rows in different.items():
        if len(rows) != len(ours[part]):
            sizes = f"{len(rows)} images in {file} and {len(ours[part])} in {SPLITS_FILE}"
            findings.error(f"{part} has {sizes}")
        else:
            odd = len(np.setdiff1d(rows, ours[part]))
            text = f"{part} differs in {odd} of {len(rows)} images between {file} and {SPLITS_FILE}"
            findings.error(text, count=odd)


def _compare_attributes(theirs: np.ndarray, ours: np.ndarray, file: str, findings: Findings) -> None:
    if theirs.shape != ours.shape:
        transposed = " (transposed?)" if theirs.shape == ours.shape[::-1] else ""
        sizes = f"{theirs.shape[0]} classes by {theirs.shape[1]} attributes{transposed}"
        findings.error(f"{file} describes {sizes}, {SPLITS_FILE} {ours.shape[0]} by {ours.shape[1]}")
        return
    if _close(theirs, ours):
        return
    for axis, orders in ((1, "attribute order differs"), (0, "class order differs"),
                         (None, "class order and attribute order differ")):  # fmt: skip
        if _close(np.sort(theirs, axis=axis), np.sort(ours, axis=axis)):
            findings.error(f"{orders} between att of {file} and att of {SPLITS_FILE}")
            return
    odd = int(np.count_nonzero(~np.isclose(theirs, ours, rtol=1e-5, atol=1e-6).all(axis=1)))
    findings.error(f"att differs in {odd} classes between {file} and {SPLITS_FILE}", count=odd)


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-6))
