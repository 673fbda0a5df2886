"""Checks of region features: values, agreement with the splits, means against global features, checksums."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from zslbench.data import (
    SPLITS_FILE,
    RegionMetadata,
    RegionStore,
    as_float32,
    disagreements,
    mean_over_regions,
    read_hdf5_blocks,
    read_hdf5_metadata,
)
from zslbench.errors import DataError
from zslbench_data.checking.features import check_repeated, feature_blocks, report
from zslbench_data.checking.findings import Findings
from zslbench_data.checking.scan import Scan, scan
from zslbench_data.checking.subject import Subject
from zslbench_data.checking.words import check_vectors

_FAR = 0.1
"""Share of the largest global feature by which a mean over regions may differ before it is told."""
_ROW = 1e-3


class _Walk:
    """The regions of a source as float32 rows for :func:`scan`, and the mean over them on the way."""

    def __init__(self, blocks: Iterator[np.ndarray], scale: float | None) -> None:
        self._blocks, self._scale = blocks, scale
        self.means: list[np.ndarray] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            stored = np.ascontiguousarray(block)
            with np.errstate(invalid="ignore", over="ignore"):
                self.means.append(mean_over_regions(stored, self._scale))
            values = as_float32(stored, self._scale)
            yield values.reshape(-1, values.shape[-1])  # a channel is a dimension, whichever the region


def open_source(
    path: Path,
) -> tuple[RegionMetadata, tuple[int, int, int], float | None, Iterator[np.ndarray]]:
    """What a region file says, its shape, scale and blocks; an HDF5 file is read as it is, never copied."""
    if path.is_dir():
        store = RegionStore.open(path)
        return store, store.shape, store.scale, store.blocks()
    facts = read_hdf5_metadata(path)
    return facts, facts.shape, facts.scale, read_hdf5_blocks(path)


def check_regions(subject: Subject, path: Path, stems: list[str], where: str, findings: Findings) -> None:
    """Look region features over.

    Args:
        stems: features files that may be means over these regions.
        where: what to call them.
    """
    with findings.guard(where):
        source, shape, scale, blocks = open_source(path)
        _agreement(subject, source, where, findings)
        vectors = source.companions.get("attribute_vectors")
        if vectors is not None:
            check_vectors(vectors, None, where, findings)
        walk = _Walk(blocks, scale)
        found = scan(walk)
        images, regions, _ = shape
        # Rows of the walk are regions: an image is as many of them.
        of_images = Scan(
            images,
            found.nan,
            found.inf,
            sorted({row // regions for row in found.bad_rows}),
            _whole(found.zero_rows, regions),
            found.constant,
            found.largest,
        )
        report(of_images, where, findings)
        means = np.concatenate(walk.means)
        if len(means) == len(subject.part_of()):
            digests = [one.tobytes() for one in np.ascontiguousarray(means)]
            check_repeated(subject, digests, of_images.zero_rows, "means over regions", where, findings)
        for stem in stems:
            with findings.guard(f"{stem}.mat"):
                _against(means, subject.folder / f"{stem}.mat", where, findings)
        if isinstance(source, RegionStore):
            _stored(source, means, where, findings)


def _whole(zero_rows: list[int], regions: int) -> list[int]:
    """Images all of whose regions are zero."""
    numbers, counts = np.unique(np.array(zero_rows, dtype=np.int64) // regions, return_counts=True)
    return [int(one) for one in numbers[counts == regions]]


def _agreement(subject: Subject, source: RegionMetadata, where: str, findings: Findings) -> None:
    if subject.att is None:
        return
    dataset = subject.dataset(subject.att, "att")
    if dataset is None:
        return
    theirs = subject.labels_from or "labels"
    if not findings.faults(
        [one.what for one in disagreements(source, dataset, subject.att, SPLITS_FILE, theirs)], where
    ):
        findings.ok("images, labels, attributes and split are those of the data set", where)


def _against(means: np.ndarray, path: Path, where: str, findings: Findings) -> None:
    """Means over regions against a features file of the same width, as the largest difference."""
    start, largest, highest, far = 0, 0.0, 0.0, 0
    for block in feature_blocks(path):
        if block.shape[1] != means.shape[1] or start + len(block) > len(means):
            return
        gap = np.abs(block - means[start : start + len(block)])
        start += len(block)
        largest = max(largest, float(np.nanmax(gap, initial=0)))
        highest = max(highest, float(np.nanmax(np.abs(block), initial=0)))
        far += int(np.count_nonzero((gap > _FAR * max(highest, 1e-30)).any(axis=1)))
    text = (
        f"mean over regions and {path.name}: largest difference {largest:.3g} (features up to {highest:.3g})"
    )
    if far:
        findings.warning(f"{text}; are they of the same images and network?", where, far)
    else:
        findings.ok(text, where)


def _stored(store: RegionStore, means: np.ndarray, where: str, findings: Findings) -> None:
    """The store's checksums, and its means."""
    damaged = store.verify()
    for name in damaged:
        findings.error(f"the bytes of {name} are not those that were written", where)
    if not damaged:
        findings.ok("checksums of all arrays are right", where)
    gap = float(np.nanmax(np.abs(store.features - means), initial=0))
    if gap > _ROW * max(1.0, float(np.nanmax(np.abs(means), initial=0))):
        raise DataError(store.path, [f"features.npy is not the mean over regions (by up to {gap:.3g})"])
