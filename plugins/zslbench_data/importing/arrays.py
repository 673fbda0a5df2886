"""Arrays of a custom data set: memory-mapped, and looked over before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zslbench.data import BLOCK_BYTES, STORED_TYPES
from zslbench.errors import DataError, MissingData
from zslbench_data.checking.scan import scan
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
    def shape(self) -> tuple[int, int, int]:
        images, regions, channels = self.array.shape
        return images, regions, channels

    def blocks(self) -> Iterator[np.ndarray]:
        """The regions as they are in the file, a bounded number at a time."""
        images, regions, channels = self.array.shape
        size = max(1, BLOCK_BYTES // (regions * channels * self.array.dtype.itemsize))
        for start in range(0, images, size):
            yield np.asarray(self.array[start : start + size])


def open_features(path: Path, faults: list[str], notes: list[str]) -> np.ndarray | None:
    """Global features (images, d) of any real type; what is wrong joins ``faults``."""
    array = open_array(path, faults)
    if array is None:
        return None
    if array.ndim != 2:
        faults.append(f"{path.name} has {array.ndim} axes: features are (images, d)")
        return None
    _values(path, blocks(array), faults, notes)
    return array


def open_regions(path: Path, dtype: str, faults: list[str], notes: list[str]) -> Regions | None:
    """Region features (images, regions, channels), or (images, channels, height, width).

    Args:
        dtype: what to store them in: ``keep``, ``float16`` or ``float32``.
    """
    array = open_array(path, faults)
    if array is None:
        return None
    grid: tuple[int, int] | None = None
    if array.ndim == 4:
        images, channels, height, width = array.shape
        grid = (height, width)
        array = array.reshape(images, channels, height * width).swapaxes(1, 2)
    if array.ndim != 3:
        faults.append(
            f"{path.name} has {array.ndim} axes: regions are (images, regions, channels) or "
            "(images, channels, height, width)"
        )
        return None
    stored = stored_as(array.dtype, dtype)
    found = Regions(path, array, grid, stored)
    _values(path, found.blocks(), faults, notes, stored)
    return found


def stored_as(given: np.dtype[Any], dtype: str) -> np.dtype[Any]:
    """The stored type that ``keep``, ``float16`` or ``float32`` means for values of a type."""
    return STORED_TYPES.get(given.name, STORED_TYPES["float32"]) if dtype == "keep" else STORED_TYPES[dtype]


def open_array(path: Path, faults: list[str]) -> np.ndarray | None:
    """A ``.npy`` file of real numbers, memory-mapped.

    Raises:
        MissingData: there is no such file.
    """
    if not path.is_file():
        raise MissingData(path, ["no such file"])
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        faults.append(f"{path.name} is no .npy array of numbers ({error})")
        return None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub" or 0 in array.shape:
        faults.append(f"{path.name} holds no table of numbers")
        return None
    return array


def axes(path: Path) -> int:
    """How many axes the array in a ``.npy`` file has.

    Raises:
        MissingData: there is no such file.
        DataError: it is no array.
    """
    faults: list[str] = []
    array = open_array(path, faults)
    if array is None:
        raise DataError(path, faults)
    return array.ndim


def _values(
    path: Path,
    rows: Iterator[np.ndarray],
    faults: list[str],
    notes: list[str],
    stored: np.dtype[Any] | None = None,
) -> None:
    found = scan(rows)
    if found.nan or found.inf:
        faults.append(
            f"{path.name}: {found.nan} NaN and {found.inf} infinite values in {len(found.bad_rows)} rows "
            f"(row {found.bad_rows[0]})"
        )
    if stored == np.float16 and found.largest > _LARGEST_HALF:
        faults.append(
            f"{path.name}: values up to {found.largest:.3g}, float16 holds up to {_LARGEST_HALF:.0f}"
        )
    if found.zero_rows:
        notes.append(f"{path.name}: {len(found.zero_rows)} rows are zero (row {found.zero_rows[0]})")
