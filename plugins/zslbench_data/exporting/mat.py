"""Writes MATLAB files, large matrices a few rows at a time.

Files have version 5 (which ``scipy.io.loadmat`` reads); a variable of 2 GB or more needs version 7.3 (HDF5).
 Equal contents give equal bytes. SciPy writes neither large matrices in pieces nor version 7.3.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import h5py
import numpy as np
import scipy.io

from zslbench_data.staging import staged_file

LARGEST = (1 << 31) - 1
"""Bytes of the largest variable that version 5 can hold."""

Small: TypeAlias = "np.ndarray | Sequence[str]"

# MathWorks, "MAT-File Format": data types, and the class of single-precision matrices.
_INT8, _INT32, _UINT32, _SINGLE, _MATRIX, _SINGLE_CLASS = 1, 5, 6, 7, 14, 7
_TEXT_BYTES = 116
_CLASSES = {"float64": "double", "float32": "single"}


@dataclass(frozen=True)
class Rows:
    """A matrix given in blocks of rows; files hold it transposed, one column per image."""

    shape: tuple[int, int]
    """(rows, columns)."""
    blocks: Callable[[], Iterator[np.ndarray]]
    """The rows in order, float32."""


def write_mat(path: Path, small: Mapping[str, Small], rows: Mapping[str, Rows] | None = None) -> None:
    """Write a file.

    Args:
        small: arrays in MATLAB's axis order, and lists of text, which become cell arrays (n x 1).
        rows: large matrices.

    Raises:
        DataError: it cannot be written.
    """
    large = rows or {}
    sizes = [4 * one.shape[0] * one.shape[1] for one in large.values()]
    sizes += [one.nbytes for one in small.values() if isinstance(one, np.ndarray)]
    write = _write5 if max(sizes, default=0) + 1024 <= LARGEST else _write73
    with staged_file(path) as part:
        write(part, small, large)


def cells(texts: Sequence[str]) -> np.ndarray:
    """Text as a MATLAB cell array, n x 1."""
    array = np.empty((len(texts), 1), dtype=object)
    array[:, 0] = list(texts)
    return array


def _write5(path: Path, small: Mapping[str, Small], large: Mapping[str, Rows]) -> None:
    arrays = {key: one if isinstance(one, np.ndarray) else cells(one) for key, one in small.items()}
    with path.open("xb") as file:
        scipy.io.savemat(cast(Any, file), arrays)
        for name, one in large.items():
            _append5(file, name, one)
        file.seek(0)  # SciPy writes the time there
        file.write(b"MATLAB 5.0 MAT-file, written by zslbench".ljust(_TEXT_BYTES))


def _append5(file: IO[bytes], name: str, rows: Rows) -> None:
    """Append a variable: a file of version 5 is a sequence of them."""
    count, columns = rows.shape
    size = 4 * count * columns
    padded = name.encode().ljust(-(-len(name) // 8) * 8, b"\0")
    head = struct.pack("<4I", _UINT32, 8, _SINGLE_CLASS, 0)
    head += struct.pack("<2I2i", _INT32, 8, columns, count)
    head += struct.pack("<2I", _INT8, len(name)) + padded
    head += struct.pack("<2I", _SINGLE, size)
    padding = -size % 8
    file.write(struct.pack("<2I", _MATRIX, len(head) + size + padding) + head)
    for block in rows.blocks():
        file.write(np.ascontiguousarray(block, dtype="<f4").reshape(-1).view(np.uint8).data)
    file.write(bytes(padding))


def _write73(path: Path, small: Mapping[str, Small], large: Mapping[str, Rows]) -> None:
    with h5py.File(path, "x", userblock_size=512) as file:
        for name, value in small.items():
            if isinstance(value, np.ndarray):
                item = file.create_dataset(name, data=np.ascontiguousarray(value.T))
                _mark(item, _CLASSES.get(value.dtype.name, value.dtype.name))
            else:
                _cells73(file, name, value)
        for name, rows in large.items():
            item = file.create_dataset(name, shape=rows.shape, dtype="<f4")
            _mark(item, "single")
            done = 0
            for block in rows.blocks():
                item[done : done + len(block)] = block
                done += len(block)
    with path.open("r+b") as raw:
        text = b"MATLAB 7.3 MAT-file, written by zslbench".ljust(_TEXT_BYTES)
        raw.write(text + bytes(8) + b"\x00\x02IM")


def _cells73(file: h5py.File, name: str, texts: Sequence[str]) -> None:
    references = np.empty((1, len(texts)), dtype=h5py.ref_dtype)
    for place, text in enumerate(texts):
        units = np.frombuffer(text.encode("utf-16-le"), dtype="<u2").reshape(-1, 1)
        data = units if text else np.zeros(2, dtype=np.uint64)
        cell = file.create_dataset(f"#refs#/{name}_{place}", data=data)
        _mark(cell, "char")
        if not text:
            cell.attrs["MATLAB_empty"] = np.uint8(1)
        references[0, place] = cell.ref
    _mark(file.create_dataset(name, data=references), "cell")


def _mark(item: Any, kind: str) -> None:
    item.attrs["MATLAB_class"] = np.bytes_(kind)
