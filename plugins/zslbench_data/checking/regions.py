"""Checks region features: values, agreement with the split, means against global features, checksums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from zslbench.data import (
    Findings,
    FolderContents,
    RegionFile,
    RegionStore,
    as_float32,
    disagreements,
    mean_over_regions,
)
from zslbench.errors import DataError
from zslbench_data.checking.features import check_duplicates, feature_blocks, report_values, scan
from zslbench_data.checking.words import check_vectors, short_path

_FAR = 0.1
"""Differences between features and means are a warning from this share of the largest feature on."""
_STORED_FAR = 1e-3
"""Likewise for the means in a store, as an error."""


def _float_rows(source: RegionStore | RegionFile, means: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The regions of a source as float32 rows for :func:`scan`; adds the means over them to ``means``."""
    for block in source.blocks():
        stored = np.ascontiguousarray(block)
        with np.errstate(invalid="ignore", over="ignore"):
            means.append(mean_over_regions(stored, source.scale))
        values = as_float32(stored, source.scale)
        yield values.reshape(-1, values.shape[-1])  # a channel is a dimension, whichever the region


def open_source(path: Path) -> RegionStore | RegionFile:
    """Region features at a path; an HDF5 file is not copied to a store first."""
    return RegionStore.open(path) if path.is_dir() else RegionFile.read(path)


def check_regions(contents: FolderContents, path: Path, stems: list[str]) -> None:
    """Check region features.

    Args:
        stems: features files that may be means over these regions.
    """
    findings, where = contents.findings, short_path(path, contents.folder)
    with findings.guard(where):
        source = open_source(path)
        images, regions, _ = source.shape
        dataset = contents.unchecked("att")
        if dataset is not None and contents.images is not None:
            different = disagreements(source, dataset, dataset.semantics, contents.images.file)
            findings.extend(different, where)
            if not different:
                findings.ok("images, labels, attributes and split are those of the data set", where)
        vectors = source.companions.get("attribute_vectors")
        if vectors is not None:
            check_vectors(vectors, None, where, findings)
        parts: list[np.ndarray] = []
        found = scan(_float_rows(source, parts))
        # A row of the scan is a region; an image is zero if all of its regions are.
        numbers, counts = np.unique(np.array(found.zero_rows, np.int64) // regions, return_counts=True)
        zero = numbers[counts == regions].tolist()
        bad = sorted({row // regions for row in found.bad_rows})
        report_values(replace(found, rows=images, bad_rows=bad, zero_rows=zero), where, findings)
        means = np.concatenate(parts)
        digests = [row.tobytes() for row in np.ascontiguousarray(means)]
        check_duplicates(contents, digests, zero, "mean over regions", where)
        for stem in stems:
            with findings.guard(f"{stem}.mat"):
                _compare_means(means, contents.folder / f"{stem}.mat", where, findings)
        if isinstance(source, RegionStore):
            _check_store(source, means, where, findings)


def _compare_means(means: np.ndarray, path: Path, where: str, findings: Findings) -> None:
    """Report the largest difference between means over regions and a features file of the same width."""
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


def _check_store(store: RegionStore, means: np.ndarray, where: str, findings: Findings) -> None:
    damaged = store.verify()
    for name in damaged:
        findings.error(f"{name} differs from its checksum", where)
    if not damaged:
        findings.ok("all arrays have their checksums", where)
    gap = float(np.nanmax(np.abs(store.features - means), initial=0))
    if gap > _STORED_FAR * max(1.0, float(np.nanmax(np.abs(means), initial=0))):
        raise DataError(store.path, [f"features.npy differs from the mean over regions by up to {gap:.3g}"])
