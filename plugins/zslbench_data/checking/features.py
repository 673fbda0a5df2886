"""Checks features, of whole images and of regions: values, agreement, the same image in several parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from zslbench.data import (
    PARTS,
    Findings,
    FolderContents,
    RegionFile,
    RegionStore,
    as_float32,
    disagreements,
    features_widths,
    few,
    mean_over_regions,
    open_examined,
    read_mat,
)
from zslbench.errors import DataError
from zslbench_data.download.catalogue import CatalogueEntry
from zslbench_data.exporting.xlsa17 import blocks

_ROWS = 1024
_DIGEST = 16
_FAR = 0.1
"""Differences between features and means above this share of the largest feature are a warning."""
_STORED_FAR = 1e-3
"""Likewise for the means in a store, as an error."""


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


class CheckedFolder(FolderContents):
    """What could be read of a folder that is checked."""

    entry: CatalogueEntry | None = None
    """The catalogue's entry of an official data set."""


def check_features(contents: CheckedFolder, stem: str) -> None:
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
        with open_examined(path) as file:
            item = file.get("features")
            if isinstance(item, h5py.Dataset) and item.ndim == 2 and item.dtype.kind in "fiub":
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


def check_vectors(vectors: np.ndarray, names: Sequence[str] | None, where: str, findings: Findings) -> bool:
    """Check the values of word vectors of attributes; returns whether they are finite."""
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    zero = np.flatnonzero(~vectors.any(axis=1))
    if len(bad):
        findings.error(f"word vectors are not finite (attribute {few(bad)})", where, len(bad))
    elif len(zero):
        shown = few(names[one] if names else f"number {one}" for one in zero.tolist())
        findings.warning(f"attributes have no word vector (all zero): {shown}", where, len(zero))
    else:
        findings.ok(f"{len(vectors)} word vectors of {vectors.shape[1]} numbers, none zero", where)
    return not len(bad)


def part_numbers(contents: CheckedFolder) -> np.ndarray:
    """The index of each image's part in ``PARTS``; -1: none."""
    numbers = np.full(0 if contents.images is None else len(contents.images.labels), -1)
    for number, part in enumerate(PARTS):
        rows = contents.parts.get(part, np.zeros(0, dtype=np.int64))
        numbers[rows[(rows >= 0) & (rows < len(numbers))]] = number
    return numbers


def check_duplicates(
    contents: CheckedFolder, digests: list[bytes], ignore: Sequence[int], what: str, where: str
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
            findings.warning if contents.entry else findings.error,
            "in several parts of the split",
            across,
        )
    else:
        findings.ok(f"no {what} in several parts of the split", where)
    if mixed:
        report(findings.warning, "with several labels", mixed)
    if rest:
        report(findings.ok, "several times within one part", rest)


def _float_rows(source: RegionStore | RegionFile, means: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The regions of a source as float32 rows for :func:`scan`; adds the means over them to ``means``."""
    for block in source.blocks():
        stored = np.ascontiguousarray(block)
        with np.errstate(invalid="ignore", over="ignore"):
            means.append(mean_over_regions(stored, source.scale))
        values = as_float32(stored, source.scale)
        yield values.reshape(-1, values.shape[-1])  # a channel is a dimension, whichever the region


def open_source(path: Path, folder: Path) -> RegionStore | RegionFile:
    """Region features of the data set in ``folder``; an HDF5 file is not copied to a store first."""
    return RegionStore.open(path) if path.is_dir() else RegionFile(path, widths=features_widths(folder))


def check_regions(contents: CheckedFolder, path: Path, stems: list[str]) -> None:
    """Check region features.

    Args:
        stems: features files that may be means over these regions.
    """
    findings, where = contents.findings, short_path(path, contents.folder)
    with findings.guard(where):
        source = open_source(path, contents.folder)
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


def short_path(path: Path, folder: Path) -> str:
    """A path relative to the data set's folder; of a file elsewhere, its name and its folder's."""
    if path.is_relative_to(folder):
        return path.relative_to(folder).as_posix()
    return f"{path.parent.name}/{path.name}"
