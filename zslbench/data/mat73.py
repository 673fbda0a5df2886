"""Reads MATLAB 7.3 files: HDF5 with transposed arrays, text as code units, cells as object references."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zslbench.data.mat5 import Garbled

_RATIO = 1032  # deflate cannot shrink data by more
_DEEPEST = 4
_UTF = {1: "utf-8", 2: "utf-16", 4: "utf-32"}


def variables73(path: Path) -> list[str]:
    """Names of the file's variables."""
    with h5py.File(path, "r") as file:
        return [name for name in file if not name.startswith("#")]


def read_mat73(path: Path, keys: Collection[str]) -> dict[str, Any]:
    """The wanted variables that the file has: arrays with MATLAB's axis order, text as list[str].

    Raises:
        Garbled: a variable is neither an array of real numbers nor text nor cells of text, or claims more
            bytes than are stored.
        OSError, RuntimeError, ValueError, KeyError: from HDF5, for a damaged file.
    """
    found: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        for key in keys:
            if key in file:
                try:
                    found[key] = _value(file, file[key], 0)
                except Garbled as fault:
                    raise Garbled(f"variable '{key}' {fault}") from None
    return found


def _value(file: h5py.File, item: Any, depth: int) -> Any:
    if not isinstance(item, h5py.Dataset):
        raise Garbled("is a struct or a sparse array, not numbers or text")
    _plausible(item)
    if item.dtype == h5py.ref_dtype:
        if depth == _DEEPEST:
            raise Garbled("nests cells too deeply")
        return _cells(file, item, depth)
    if _matlab_class(item) == "char":
        return _text(item)
    if item.dtype.kind not in "fiub":
        raise Garbled(f"holds values of type {item.dtype}, not real numbers or text")
    return _stored(item).T


def _plausible(item: h5py.Dataset) -> None:
    stored = item.id.get_storage_size()
    if item.is_virtual or item.external:
        raise Garbled("keeps its values in another file")
    if item.shape is None or item.ndim > 4 or item.nbytes > stored * (_RATIO if item.compression else 1):
        raise Garbled(f"claims shape {item.shape} in {stored} stored bytes")


def _matlab_class(item: h5py.Dataset) -> str:
    value = item.attrs.get("MATLAB_class", b"")
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _stored(item: h5py.Dataset) -> np.ndarray:
    # MATLAB stores an empty array as its dimensions, marked by an attribute.
    if item.attrs.get("MATLAB_empty", 0):
        shape = tuple(int(n) for n in np.ravel(item[()])[::-1])
        if 0 not in shape:
            raise Garbled(f"is marked empty with shape {shape}")
        return np.zeros(shape, item.dtype)
    return np.asarray(item[()])


def _cells(file: h5py.File, item: h5py.Dataset, depth: int) -> list[str]:
    """Strings of a cell array in MATLAB's (column) order."""
    strings: list[str] = []
    if item.attrs.get("MATLAB_empty", 0):
        return strings
    for reference in np.ravel(item[()]):
        if not reference:
            raise Garbled("has a cell that refers to nothing")
        target = file[reference]
        value = _value(file, target, depth + 1)
        # Files written by other tools often lack the class mark; code units of two bytes are text.
        if not isinstance(value, list) and isinstance(target, h5py.Dataset) and target.dtype == np.uint16:
            value = _text(target)
        if not isinstance(value, list):
            raise Garbled("is a cell array of numbers, not text")
        strings.extend(value)
    return strings


def _text(item: h5py.Dataset) -> list[str]:
    """One string per row of the character array (one row unless it is a matrix)."""
    if item.attrs.get("MATLAB_empty", 0):
        return [""]
    if item.dtype.kind != "u" or item.dtype.itemsize not in _UTF or item.ndim > 2:
        raise Garbled(f"holds text of type {item.dtype} and shape {item.shape}")
    rows = np.atleast_2d(_stored(item).T)
    little = rows.astype(rows.dtype.newbyteorder("<"))
    codec = _UTF[item.dtype.itemsize] + ("" if item.dtype.itemsize == 1 else "-le")
    return [row.tobytes().decode(codec).rstrip(" \0") for row in little]
