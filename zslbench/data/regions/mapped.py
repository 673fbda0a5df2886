"""Rows of an array that lies on the disk, read through a memory map: nothing is ever loaded whole."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np

from zslbench.errors import DataError
from zslbench.plugin.dataset import Indices

_ADVISED = 1 << 16
"""Bytes of a row from which the kernel is told ahead which rows are wanted."""


class MappedRows:
    """An array on the disk, C order, read by its first index.

    Args:
        path: the file.
        dtype: type of an element.
        shape: of the whole array.
        offset: where its first byte is.
        transposed: whether a row (channels, places) is handed out as (places, channels).

    Raises:
        DataError: the file cannot be opened, or is too short for the array.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        *,
        offset: int = 0,
        transposed: bool = False,
    ) -> None:
        self.path, self.dtype = path, dtype
        self._count, row = shape[0], shape[1:]
        self.row = row[::-1] if transposed else row
        self._bytes = int(np.prod(row, dtype=np.int64)) * dtype.itemsize
        self._offset = offset
        end = offset + self._count * self._bytes
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < end:
                    raise DataError(path, [f"is cut off: {size} bytes, {end} are needed"])
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise DataError(path, [f"cannot be read ({error.strerror or error})"]) from None
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(self._map, dtype=dtype, count=count, offset=offset).reshape(shape)
        self.array = array.swapaxes(1, 2) if transposed else array
        """The whole array, read-only; looking at it reads from the disk."""

    def __len__(self) -> int:
        return self._count

    def gather(self, rows: Indices, out: np.ndarray) -> None:
        """Copy rows into ``out`` (n, ...), converting to its type, in the order asked for.

        Raises:
            IndexError: a number is none of a row.
        """
        count = self._count
        if ((rows < -count) | (rows >= count)).any():
            raise IndexError(f"row {rows[(rows < -count) | (rows >= count)][0]} of {count}")
        numbers = (rows % count).tolist()
        order = np.argsort(rows % count, kind="stable").tolist()  # along the disk, whatever was asked for
        self._advise([numbers[one] for one in order])
        for one in order:
            out[one] = self.array[numbers[one]]

    def _advise(self, numbers: list[int]) -> None:
        """Have the kernel fetch rows ahead, several at once, while the first ones are copied."""
        if self._bytes < _ADVISED or not hasattr(mmap, "MADV_WILLNEED"):
            return
        for number in numbers:
            start = self._offset + number * self._bytes
            whole = start - start % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, whole, start + self._bytes - whole)
