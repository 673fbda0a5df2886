"""The arrays of a custom data set: memory-mapped, and checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zslbench.data import STORED_TYPES, Findings
from zslbench.errors import MissingData
from zslbench_data.checking.features import scan
from zslbench_data.exporting.xlsa17 import blocks

_LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Regions:
    """Region features in a ``.npy`` file."""

    path: Path
    array: np.ndarray
    """(images, regions, channels)."""
    grid: tuple[int, int] | None
    dtype: np.dtype[Any]
    """The type to store them in."""

    @property
    def size(self) -> int:
        """Bytes that they need when stored."""
        return self.array.size * self.dtype.itemsize

    def blocks(self) -> Iterator[np.ndarray]:
        """The regions as in the file, a bounded number at a time."""
        yield from blocks(self.array, self.array.dtype)


def open_features(path: Path, findings: Findings) -> np.ndarray | None:
    """Global features (images, d) of any real type; None and a finding if they are something else."""
    array = open_array(path, findings)
    if array is None:
        return None
    if array.ndim != 2:
        findings.error(f"{array.ndim} axes: features are (images, d)", path.name)
        return None
    _check_values(path, blocks(array), findings)
    return array


def open_regions(path: Path, dtype: str, findings: Findings) -> Regions | None:
    """Region features (images, regions, channels), or (images, channels, height, width).

    Args:
        dtype: to store them in: ``keep``, ``float16`` or ``float32``.
    """
    array = open_array(path, findings)
    if array is None:
        return None
    grid: tuple[int, int] | None = None
    if array.ndim == 4:
        images, channels, height, width = array.shape
        grid = (height, width)
        array = array.reshape(images, channels, height * width).swapaxes(1, 2)
    if array.ndim != 3:
        shapes = "(images, regions, channels) or (images, channels, height, width)"
        findings.error(f"{array.ndim} axes: regions are {shapes}", path.name)
        return None
    found = Regions(path, array, grid, stored_as(array.dtype, dtype))
    _check_values(path, found.blocks(), findings, found.dtype)
    return found


def stored_as(given: np.dtype[Any], dtype: str) -> np.dtype[Any]:
    """The stored type that ``keep``, ``float16`` or ``float32`` means for values of a type."""
    return STORED_TYPES.get(given.name, STORED_TYPES["float32"]) if dtype == "keep" else STORED_TYPES[dtype]


def open_array(path: Path, findings: Findings) -> np.ndarray | None:
    """A ``.npy`` file of real numbers, memory-mapped; None and a finding if it is something else.

    Raises:
        MissingData: there is no such file.
    """
    if not path.is_file():
        raise MissingData(path, ["no such file"])
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        findings.error(f"not a .npy array of numbers ({error})", path.name)
        return None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub" or 0 in array.shape:
        findings.error("not an array of numbers, or an empty one", path.name)
        return None
    return array


def _check_values(
    path: Path, rows: Iterator[np.ndarray], findings: Findings, stored: np.dtype[Any] | None = None
) -> None:
    found = scan(rows)
    if found.nan or found.inf:
        text = f"{found.nan} NaN and {found.inf} infinite values in {len(found.bad_rows)} rows"
        findings.error(f"{text} (row {found.bad_rows[0]})", path.name)
    if stored == np.float16 and found.largest > _LARGEST_HALF:
        text = f"values up to {found.largest:.3g}, float16 holds up to {_LARGEST_HALF:.0f}"
        findings.error(text, path.name)
    if found.zero_rows:
        findings.note(f"{path.name}: {len(found.zero_rows)} rows are zero (row {found.zero_rows[0]})")
