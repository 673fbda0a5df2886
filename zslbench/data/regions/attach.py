"""Adds region features to a data set, with names and word vectors of the attributes, if they agree with it.

Region files come from elsewhere than the splits. One that orders classes, attributes or images differently
would train and evaluate without any error, on the wrong labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from zslbench.data.attributes import attribute_names, attribute_vectors
from zslbench.data.provenance import source as source_of
from zslbench.data.regions.find import find_regions, open_regions
from zslbench.data.regions.store import StoredRegions
from zslbench.data.validate import PARTS, Finding, few
from zslbench.plugin.dataset import DataRequest, Dataset, Source

MEAN = "mean"
"""``--features mean``: the mean over the region features as global features."""


@dataclass(frozen=True)
class RegionRequest:
    """Which region features of a data set are read."""

    name: str | None = None
    """``--regions``; None: the only ones there are."""
    features: str | None = None
    """``--features``; None: the default features file if there is one, else the mean over regions."""
    advice: str = ""
    """Where to get them, for the message if there are none."""

    @classmethod
    def of(cls, request: DataRequest, advice: str = "") -> RegionRequest | None:
        """What a request asks for; None: no region features, and none are searched for."""
        features, name = request.features, request.regions
        if features is not None and features.endswith(f" {MEAN}"):  # as a run's record calls them
            name, features = name or features.removesuffix(f" {MEAN}"), MEAN
        if not request.needs_regions and name is None and features != MEAN:
            return None
        return cls(name, features, advice)

    def open(self, folder: Path) -> StoredRegions:
        """The region features of the data set in ``folder``."""
        return open_regions(find_regions(folder, self.name, self.advice))


def mean_name(source: StoredRegions) -> str:
    """The name of global features that are means over regions: ``"<file> mean"``."""
    return f"{source.name} {MEAN}"


def attach(
    dataset: Dataset,
    source: StoredRegions,
    folder: Path,
    att: Float[np.ndarray, "classes attributes"],
    *,
    splits_file: str,
    features_file: str,
) -> tuple[Dataset, list[Finding]]:
    """The data set with regions, or the data set unchanged and everything in which they contradict it.

    Args:
        folder: of the data set.
        att: class attributes as in ``splits_file``, whichever semantics the data set has.
        features_file: name of the file with the labels.
    """
    faults = disagreements(source, dataset, att, splits_file, features_file)
    if faults:
        return dataset, faults
    sources = [*dataset.sources, Source("regions", _recorded(source.path), source.sha256)]
    notes = list(dataset.notes)
    names: tuple[str, ...] | None = None
    vectors: np.ndarray | None = None
    if dataset.semantics_name != "sentence":  # whose columns are not attributes
        vectors, file = _vectors(source, folder, att.shape[1], notes)
        if vectors is not None:
            sources.append(source_of("attribute_vectors", file, vectors))
        names = _names(folder, att.shape[1], vectors, notes)
        if vectors is not None and len(zero := np.flatnonzero(~vectors.any(axis=1))):
            shown = few(names[one] if names else f"number {one}" for one in zero.tolist())
            notes.append(f"{len(zero)} attributes without a word vector (all zero): {shown}")
    changed = replace(
        dataset,
        regions=source,
        attribute_vectors=vectors,
        attribute_names=names,
        image_files=dataset.image_files or source.image_files,
        sources=tuple(sources),
        notes=tuple(notes),
        extra=dict(dataset.extra) | ({"simulated": True} if source.simulated else {}),
    )
    return changed, []


def _vectors(
    source: StoredRegions, folder: Path, count: int, notes: list[str]
) -> tuple[np.ndarray | None, str]:
    """Those that came with the regions, else those of the data set, and the file they are from."""
    own, shared = source.companions.get("attribute_vectors"), attribute_vectors(folder, count)
    if own is None:
        return (None, "") if shared is None else (shared[0], _recorded(shared[1]))
    own = np.ascontiguousarray(own, dtype=np.float32)
    if shared is not None and not np.array_equal(own, shared[0]):
        notes.append(f"word vectors are those of {source.path.name}; {shared[1].name} has others")
    return own, _recorded(source.path)


def _names(folder: Path, count: int, vectors: np.ndarray | None, notes: list[str]) -> tuple[str, ...] | None:
    found = attribute_names(folder, count, vectors)
    if found is None:
        return None
    names, path = found
    if path.stem.lower() not in (folder.name.lower(), "attribute_names"):
        notes.append(f"attribute names are those of {path.name}, whose attributes are the same")
    return names


def _recorded(path: Path) -> str:
    """A file's name in a run's record: with its folder, without the rest of its path."""
    return f"{path.parent.name}/{path.name}"


# --- agreement with the data set ------------------------------------------------------------------


@runtime_checkable
class RegionMetadata(Protocol):
    """What comes with region features; :class:`~zslbench.data.regions.store.StoredRegions` has it."""

    @property
    def path(self) -> Path: ...

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def image_files(self) -> tuple[str, ...] | None: ...

    @property
    def companions(self) -> Mapping[str, np.ndarray]: ...


def disagreements(
    source: RegionMetadata, dataset: Dataset, att: np.ndarray, splits_file: str, features_file: str
) -> list[Finding]:
    """Errors where region features contradict the data set; each names both files.

    Args:
        att: the data set's class attributes (C, A), from ``splits_file``.
        splits_file: name of the file with the split and attributes.
        features_file: name of the file with labels and image names; the region file's own if they come from
            it.
    """
    here = source.path.name
    found = [] if here == features_file else list(_images(source, dataset, here, features_file))
    found += _split(source, dataset, here, splits_file)
    theirs = source.companions.get("att")
    if theirs is not None:
        found += _attributes(theirs, np.asarray(att, dtype=np.float32), here, splits_file)
    vectors = source.companions.get("attribute_vectors")
    if vectors is not None and len(vectors) != att.shape[1]:
        text = (
            f"{here} has word vectors of {len(vectors)} attributes, {splits_file} {att.shape[1]} attributes"
        )
        found.append((text, None))
    return [Finding("error", what, count=count) for what, count in found]


_Fault = tuple[str, int | None]


def _images(source: RegionMetadata, dataset: Dataset, here: str, there: str) -> Iterator[_Fault]:
    ours, theirs = dataset.labels, source.labels
    if len(ours) != len(theirs):
        yield f"{here} has {len(theirs)} images, {there} {len(ours)}", None
        return
    if dataset.image_files is not None and source.image_files is not None:
        one, other = _stems(dataset.image_files), _stems(source.image_files)
        differ = [row for row, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        if differ and sorted(one) == sorted(other):
            yield f"image order differs: {here} has the images of {there} in another order", len(differ)
            return
        if differ:
            row = differ[0]
            text = f"image {row} is {other[row]} in {here} and {one[row]} in {there}"
            yield f"{len(differ)} images are not the same: {text}", len(differ)
            return
    different = int(np.count_nonzero(ours != theirs))
    if not different:
        return
    pairs = np.unique(np.stack([ours, theirs]), axis=1)
    # Whether the same images go together and only the numbers of classes differ.
    renumbered = pairs.shape[1] == len(np.unique(ours)) == len(np.unique(theirs))
    if np.array_equal(ours, theirs - 1):
        yield f"labels of {here} count from 1, they must count from 0", different
    elif renumbered:
        yield f"class order differs: {here} numbers the classes of {there} differently", different
    elif np.array_equal(np.sort(ours), np.sort(theirs)):
        yield f"image order differs: {here} has the labels of {there} in another order", different
    else:
        yield f"labels differ in {different} of {len(ours)} images between {here} and {there}", different


def _stems(files: tuple[str, ...]) -> list[str]:
    return [PurePosixPath(Path(file).as_posix()).stem for file in files]


def _split(source: RegionMetadata, dataset: Dataset, here: str, there: str) -> Iterator[_Fault]:
    ours = {part: np.sort(getattr(dataset.split, part)) for part in PARTS}
    theirs = {part: np.sort(source.companions[part]) for part in PARTS if part in source.companions}
    different = {part: rows for part, rows in theirs.items() if not np.array_equal(rows, ours[part])}
    if different and all(np.array_equal(rows - 1, ours[part]) for part, rows in different.items()):
        yield f"split of {here} counts images from 1, it must count from 0", None
        return
    for part, rows in different.items():
        if len(rows) != len(ours[part]):
            yield f"{part} has {len(rows)} images in {here} and {len(ours[part])} in {there}", None
        else:
            odd = len(np.setdiff1d(rows, ours[part]))
            yield f"{part} differs in {odd} of {len(rows)} images between {here} and {there}", odd


def _attributes(theirs: np.ndarray, ours: np.ndarray, here: str, there: str) -> Iterator[_Fault]:
    if theirs.shape != ours.shape:
        transposed = " (transposed?)" if theirs.shape == ours.shape[::-1] else ""
        sizes = f"{theirs.shape[0]} classes by {theirs.shape[1]} attributes{transposed}"
        yield f"{here} describes {sizes}, {there} {ours.shape[0]} by {ours.shape[1]}", None
        return
    if _close(theirs, ours):
        return
    if _close(np.sort(theirs, axis=1), np.sort(ours, axis=1)):
        yield f"attribute order differs between att of {here} and att of {there}", None
    elif _close(np.sort(theirs, axis=0), np.sort(ours, axis=0)):
        yield f"class order differs between att of {here} and att of {there}", None
    elif _close(np.sort(theirs, axis=None), np.sort(ours, axis=None)):
        yield f"class order and attribute order differ between att of {here} and att of {there}", None
    else:
        odd = int(np.count_nonzero(~np.isclose(theirs, ours, rtol=1e-5, atol=1e-6).all(axis=1)))
        yield f"att differs in {odd} classes between {here} and {there}", odd


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-6))
