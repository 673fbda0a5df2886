"""Scans the rows of a large array in one pass; of a row it keeps no more than a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

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
    low = high = np.zeros(0)
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
        smallest, greatest = block.min(axis=0), block.max(axis=0)
        low = smallest if not found.rows else np.minimum(low, smallest)
        high = greatest if not found.rows else np.maximum(high, greatest)
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
