"""Checks global features: values, constant dimensions, and the same image in several parts of the split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from zslbench.data import PARTS, Findings, FolderContents, few, read_mat
from zslbench.errors import DataError
from zslbench_data.checking.scan import Scan, duplicates, scan
from zslbench_data.download.catalogue import CatalogueEntry
from zslbench_data.exporting.xlsa17 import blocks

_ROWS = 1024


def check_features(contents: FolderContents, stem: str, entry: CatalogueEntry | None) -> None:
    """Check a features file."""
    file, images, findings = f"{stem}.mat", contents.images, contents.findings
    found: Scan | None = None
    with findings.guard(file):
        found = scan(feature_blocks(contents.folder / file), digests=True)
    if found is None:
        return
    report_values(found, file, findings)
    if images is not None and found.rows != len(images.labels):
        findings.error(
            f"features of {found.rows} images, labels of {len(images.labels)} ({images.file})", file
        )
    else:
        check_duplicates(contents, found.digests, found.zero_rows, "features", file, entry)


def feature_blocks(path: Path) -> Iterator[np.ndarray]:
    """The features of a file, (n, d) float32, some images at a time; a 7.3 file is never read whole.

    Raises:
        DataError: it has no features.
    """
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            item = file.get("features")
            if not isinstance(item, h5py.Dataset) or item.ndim != 2 or item.dtype.kind not in "fiub":
                raise DataError(path, ["no matrix 'features' of numbers"])
            for start in range(0, item.shape[0], _ROWS):
                yield np.asarray(item[start : start + _ROWS], dtype=np.float32)
        return
    array = read_mat(path, {"features"}).get("features")
    if not isinstance(array, np.ndarray) or array.ndim != 2:
        raise DataError(path, ["no matrix 'features' of numbers"])
    yield from blocks(array.T)


def report_values(found: Scan, where: str, findings: Findings) -> None:
    """Report anomalies in the values of an array."""
    if found.nan or found.inf:
        rows = f"in {len(found.bad_rows)} images (row {few(found.bad_rows)})"
        findings.error(
            f"{found.nan} NaN and {found.inf} infinite values {rows}", where, found.nan + found.inf
        )
    if found.zero_rows:
        findings.error(f"images are all zero (row {few(found.zero_rows)})", where, len(found.zero_rows))
    if found.constant:
        text = f"dimensions have the same value in every image ({few(found.constant)})"
        findings.warning(text, where, len(found.constant))
    if not (found.nan or found.inf or found.zero_rows or found.constant):
        text = f"all values are finite, up to {found.largest:.4g}; no dimension is constant"
        findings.ok(text, where, found.rows)


def part_numbers(contents: FolderContents) -> np.ndarray:
    """The index of each image's part in ``PARTS``; -1: none."""
    numbers = np.full(0 if contents.images is None else len(contents.images.labels), -1)
    for number, part in enumerate(PARTS):
        rows = contents.parts.get(part, np.zeros(0, dtype=np.int64))
        numbers[rows[(rows >= 0) & (rows < len(numbers))]] = number
    return numbers


def check_duplicates(
    contents: FolderContents,
    digests: list[bytes],
    ignore: Sequence[int],
    what: str,
    where: str,
    entry: CatalogueEntry | None,
) -> None:
    """Check for images with the same digest in several parts of the split or of several classes.

    In an official data set, whose split is fixed, they are only a warning.
    """
    groups, parts, findings = duplicates(digests, ignore), part_numbers(contents), contents.findings
    labels = np.zeros(len(digests), dtype=np.int64) if contents.images is None else contents.images.labels

    def several(values: np.ndarray, group: list[int]) -> bool:
        return len(values) > 0 and len({int(values[row]) for row in group if values[row] >= 0}) > 1

    def listed(chosen: list[list[int]]) -> str:
        return few(" = ".join(map(str, group)) for group in chosen)

    across = [group for group in groups if several(parts, group)]
    if across:
        rows = few(
            " = ".join(f"{row} ({PARTS[parts[row]] if parts[row] >= 0 else 'no part'})" for row in group)
            for group in across
        )
        findings.add(
            "error" if entry is None else "warning",
            f"the same {what} in several parts of the split (rows {rows})",
            where,
            sum(map(len, across)),
        )
    else:
        findings.ok(f"no {what} in several parts of the split", where)
    mixed = [group for group in groups if several(labels, group)]
    if mixed:
        text = f"the same {what} with several labels (rows {listed(mixed)})"
        findings.warning(text, where, sum(map(len, mixed)))
    if rest := [group for group in groups if group not in across and group not in mixed]:
        text = f"the same {what} several times within one part (rows {listed(rest)})"
        findings.ok(text, where, sum(map(len, rest)))
