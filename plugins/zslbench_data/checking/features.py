"""Checks global features: values, constant dimensions, and the same image in several parts of the split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from zslbench.data import PARTS, Findings, FolderContents, few, read_mat
from zslbench.errors import DataError
from zslbench_data.download.catalogue import CatalogueEntry, catalogue
from zslbench_data.exporting.xlsa17 import blocks

_ROWS = 1024
_DIGEST = 16


@dataclass
class Scan:
    """Counts over all rows."""

    rows: int = 0
    nan: int = 0
    inf: int = 0
    bad_rows: list[int] = field(default_factory=list)
    """Rows with values that are NaN or infinite."""
    zero_rows: list[int] = field(default_factory=list)
    """Rows that are all zero."""
    constant: tuple[int, ...] = ()
    """Columns with the same value in every row."""
    largest: float = 0.0
    """The largest absolute value among finite ones."""
    digests: list[bytes] = field(default_factory=list)
    """One for each row; equal rows have equal digests."""


def scan(blocks: Iterable[np.ndarray], *, digests: bool = False) -> Scan:
    """Scan an array that comes in blocks of rows, each (n, ...) of real numbers.

    Args:
        digests: whether to compute a digest of every row.
    """
    found = Scan()
    low, high = np.array(np.inf), np.array(-np.inf)
    for given in blocks:
        if not len(given):
            continue
        block = given.reshape(len(given), -1)
        finite = np.isfinite(block)
        if not finite.all():
            found.nan += int(np.count_nonzero(np.isnan(block)))
            found.inf += int(np.count_nonzero(np.isinf(block)))
            found.bad_rows += (np.flatnonzero(~finite.all(axis=1)) + found.rows).tolist()
            found.largest = max(found.largest, float(np.abs(block[finite]).max(initial=0)))
        else:
            found.largest = max(found.largest, float(np.abs(block).max(initial=0)))
        found.zero_rows += (np.flatnonzero(~block.any(axis=1)) + found.rows).tolist()
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        if digests:
            rows = np.ascontiguousarray(block)
            found.digests += [hashlib.blake2b(one.tobytes(), digest_size=_DIGEST).digest() for one in rows]
        found.rows += len(block)
    found.constant = tuple(np.flatnonzero(low == high).tolist())  # NaN is equal to nothing
    return found


def duplicates(digests: list[bytes], ignore: Iterable[int] = ()) -> list[list[int]]:
    """Groups of two or more rows with the same digest, in the order of their first rows.

    Args:
        ignore: rows to leave out.
    """
    left_out = set(ignore)
    groups: dict[bytes, list[int]] = {}
    for row, digest in enumerate(digests):
        if row not in left_out:
            groups.setdefault(digest, []).append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def check_features(contents: FolderContents, stem: str) -> None:
    """Check a features file."""
    file, images, findings = f"{stem}.mat", contents.images, contents.findings
    with findings.guard(file):
        found = scan(feature_blocks(contents.folder / file), digests=True)
        report_values(found, file, findings)
        if images is not None and found.rows != len(images.labels):
            text = f"features of {found.rows} images, labels of {len(images.labels)} ({images.file})"
            findings.error(text, file)
        check_duplicates(contents, found.digests, found.zero_rows, "features", file)


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
    if bad := found.nan + found.inf:
        rows = f"in {len(found.bad_rows)} images (row {few(found.bad_rows)})"
        findings.error(f"{found.nan} NaN and {found.inf} infinite values {rows}", where, bad)
    if found.zero_rows:
        findings.error(f"images are all zero (row {few(found.zero_rows)})", where, len(found.zero_rows))
    if found.constant:
        text = f"dimensions have the same value in every image ({few(found.constant)})"
        findings.warning(text, where, len(found.constant))
    if not (bad or found.zero_rows or found.constant):
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
    contents: FolderContents, digests: list[bytes], ignore: Sequence[int], what: str, where: str
) -> None:
    """Check for images with the same digest in several parts of the split or of several classes.

    In an official data set, whose split is fixed, they are only a warning.
    """
    images, parts, findings = contents.images, part_numbers(contents), contents.findings
    if images is None or len(digests) != len(images.labels):
        return  # which is reported elsewhere

    def several(values: np.ndarray, group: list[int]) -> bool:
        return len({int(values[row]) for row in group if values[row] >= 0}) > 1

    def part(row: int) -> str:
        return PARTS[parts[row]] if parts[row] >= 0 else "no part"

    def report(add: Callable[[str, str, int], None], text: str, chosen: list[list[str]]) -> None:
        rows = few(" = ".join(group) for group in chosen)
        add(f"the same {what} {text} (rows {rows})", where, sum(map(len, chosen)))

    across, mixed, rest = [], [], []
    for group in duplicates(digests, ignore):
        rows = list(map(str, group))
        if several(parts, group):
            across.append([f"{row} ({part(row)})" for row in group])
        if several(images.labels, group):
            mixed.append(rows)
        elif not several(parts, group):
            rest.append(rows)
    if across:
        report(
            findings.warning if official(contents) else findings.error,
            "in several parts of the split",
            across,
        )
    else:
        findings.ok(f"no {what} in several parts of the split", where)
    if mixed:
        report(findings.warning, "with several labels", mixed)
    if rest:
        report(findings.ok, "several times within one part", rest)


def official(contents: FolderContents) -> CatalogueEntry | None:
    """The catalogue's entry of an official data set."""
    return catalogue().datasets.get(contents.folder.name.lower())
