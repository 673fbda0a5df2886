"""Checks of global features: values, constant dimensions, and the same image in several parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from zslbench.data import read_mat
from zslbench.errors import DataError
from zslbench_data.checking.findings import Findings, few
from zslbench_data.checking.scan import Scan, repeated, scan
from zslbench_data.checking.subject import PARTS, Subject
from zslbench_data.exporting.xlsa17 import blocks

_ROWS = 1024


def check_features(subject: Subject, stem: str, findings: Findings) -> None:
    """Look a features file over."""
    file = f"{stem}.mat"
    found: Scan | None = None
    with findings.guard(file):
        found = scan(feature_blocks(subject.folder / file), digests=True)
    if found is None:
        return
    report(found, file, findings)
    if subject.labels is not None and found.rows != len(subject.labels):
        findings.error(
            f"features of {found.rows} images, labels of {len(subject.labels)} ({subject.labels_from})", file
        )
    else:
        check_repeated(subject, found.digests, found.zero_rows, "features", file, findings)


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


def report(found: Scan, where: str, findings: Findings) -> None:
    """Rows about the values of an array."""
    if found.nan or found.inf:
        findings.error(
            f"{found.nan} NaN and {found.inf} infinite values in {len(found.bad_rows)} images "
            f"(row {few(found.bad_rows)})", where, found.nan + found.inf
        )  # fmt: skip
    if found.zero_rows:
        findings.error(
            f"images are zero throughout (row {few(found.zero_rows)})", where, len(found.zero_rows)
        )
    if found.constant:
        findings.warning(
            f"dimensions have one value in every image ({few(found.constant)})", where, len(found.constant)
        )
    if not (found.nan or found.inf or found.zero_rows or found.constant):
        findings.ok(
            f"all values are finite, up to {found.largest:.4g}; no dimension is constant", where, found.rows
        )


def check_repeated(
    subject: Subject, digests: list[bytes], ignore: Sequence[int], what: str, where: str, findings: Findings
) -> None:
    """Images with the same digest: in several parts, or of several classes.

    Of an official data set they are a warning: its split is what it is.
    """
    groups = repeated(digests, ignore)
    parts = subject.part_of()
    labels = subject.labels
    across = [
        one for one in groups if len(parts) and len({int(parts[row]) for row in one if parts[row] >= 0}) > 1
    ]
    named = few(
        " = ".join(f"{row} ({PARTS[parts[row]] if parts[row] >= 0 else 'no part'})" for row in one)
        for one in across
    )
    if across:
        severity = findings.error if subject.entry is None else findings.warning
        severity(
            f"the same {what} in several parts of the split (rows {named})", where, sum(map(len, across))
        )
    mixed = [one for one in groups if labels is not None and len({int(labels[row]) for row in one}) > 1]
    if mixed:
        rows = few(" = ".join(map(str, one)) for one in mixed)
        findings.warning(f"the same {what} with several labels (rows {rows})", where, sum(map(len, mixed)))
    rest = [one for one in groups if one not in across and one not in mixed]
    if rest:
        rows = few(" = ".join(map(str, one)) for one in rest)
        findings.ok(
            f"the same {what} several times within one part (rows {rows})", where, sum(map(len, rest))
        )
    if not across:
        findings.ok(f"no {what} stand in several parts of the split", where)
