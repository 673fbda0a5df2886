"""Reads arrays and text from MATLAB files of versions 5 to 7.3; a damaged file gives one clear error.

Version 7.3 is HDF5 with transposed arrays, text as code units and cells as object references. Earlier
versions are read by SciPy, after :mod:`zslbench.data.mat5` has checked that it can do so safely.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from zslbench.data.hdf5 import open_examined
from zslbench.data.kinds import HDF5, MATLAB_73, file_kind, require_file
from zslbench.data.mat5 import DEEPEST, MOST_ZEROS, RATIO, MalformedFile, variables
from zslbench.errors import DataError

MatValue: TypeAlias = "np.ndarray | list[str]"

_UTF = {1: "utf-8", 2: "utf-16-le", 4: "utf-32-le"}
"""Encoding by bytes per code unit."""


def read_mat(path: Path, keys: Collection[str]) -> dict[str, MatValue]:
    """The variables named in ``keys`` that the file has; others are not read.

    Numbers come as arrays with MATLAB's axis order (``att`` is attributes x classes) and the file's own
    dtype (sparse ones are made dense), text and cell arrays of text as a list of strings in column order.

    Raises:
        MissingData: there is no such file.
        DataError: the file is empty, cut off, malformed or not a MATLAB file, or a wanted variable holds
            neither real numbers nor text.
    """
    with _one_error(path):
        return _read73(path, keys) if _is_hdf5(path) else _read5(path, keys)


def mat_variables(path: Path) -> list[str]:
    """Names of all variables of a MATLAB file. Raises as :func:`read_mat`."""

    with _one_error(path):
        if not _is_hdf5(path):
            return variables(path)
        with open_examined(path) as file:
            return [name for name in file if not name.startswith("#")]


def features_files(folder: Path) -> list[str]:
    """Stems of the folder's readable .mat files that hold features."""
    found = []
    for path in sorted(folder.glob("*.mat")):
        try:
            if "features" in mat_variables(path):
                found.append(path.stem)
        except DataError:
            continue
    return found


def features_widths(folder: Path) -> set[int]:
    """Lengths of the feature vectors in the folder's readable .mat files; no values are read."""
    found = set()
    for stem in features_files(folder):
        path = folder / f"{stem}.mat"
        with contextlib.suppress(DataError), _one_error(path):
            if _is_hdf5(path):
                with open_examined(path) as file:
                    item = file["features"]
                    found.add(int(item.attrs.get("MATLAB_sparse", 0) or item.shape[-1]))
            else:
                import scipy.io

                found.add(next(shape[0] for name, shape, _ in scipy.io.whosmat(path) if name == "features"))
    return found


@contextlib.contextmanager
def _one_error(path: Path) -> Iterator[None]:
    """Turn whatever the parsers raise into one error that names the file."""
    require_file(path)
    try:
        if path.stat().st_size == 0:
            raise MalformedFile("is empty")
        yield
    except MalformedFile as fault:
        raise DataError(path, [f"the file {fault}"], fault.advice) from None
    except DataError:
        raise
    except MemoryError:
        raise DataError(path, ["the file does not fit into memory"]) from None
    except Exception as error:
        raise DataError(
            path,
            [f"the file cannot be read ({type(error).__name__}: {error})"],
            "Get a fresh copy of the file",
        ) from error


def _is_hdf5(path: Path) -> bool:
    return file_kind(path) in (HDF5, MATLAB_73)


# --- versions 5 to 7 ------------------------------------------------------------------------------


def _read5(path: Path, keys: Collection[str]) -> dict[str, MatValue]:
    names = [name for name in variables(path, keys) if name in keys]
    if not names:
        return {}
    import scipy.io

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about variables that nobody asked for
        contents = scipy.io.loadmat(path, variable_names=names)
    missing = [name for name in names if name not in contents]
    if missing:
        raise MalformedFile(f"loses {', '.join(missing)} when read")
    return {name: _numbers_or_text(name, contents[name]) for name in names}


def _numbers_or_text(name: str, value: Any) -> MatValue:
    if hasattr(value, "indptr"):  # sparse, compressed by column
        value = _dense(value.data, value.indices, value.indptr, value.shape[0])
    if value.dtype.kind in "OU":
        return _strings(name, value)
    if value.dtype.kind not in "fiub":
        raise MalformedFile(f"variable '{name}' holds values of type {value.dtype}, not real numbers or text")
    return np.asarray(value)


def _strings(name: str, value: Any) -> list[str]:
    """Text of nested object arrays in column order; an empty cell is an empty string."""
    if value.dtype.kind == "U":
        return [str(row).rstrip(" \0") for row in value.ravel(order="F")] or [""]
    strings: list[str] = []
    for cell in value.ravel(order="F"):
        if not isinstance(cell, np.ndarray) or (cell.size and cell.dtype.kind not in "OU"):
            raise MalformedFile(f"variable '{name}' is a cell array of numbers, not text")
        strings.extend(_strings(name, cell) if cell.size else [""])
    return strings


def _dense(values: np.ndarray, rows: np.ndarray, begins: np.ndarray, height: int) -> np.ndarray:
    """A dense copy of a sparse matrix stored by columns. SciPy's conversion trusts the indices and can crash.

    Args:
        values, rows: each stored value and its row.
        begins: where the values of each column begin, then where those of the last one end.
    """
    rows, begins = rows.astype(np.int64), begins.astype(np.int64)
    shape, counts = (height, len(begins) - 1), np.diff(begins)
    if height < 0 or shape[1] < 0 or begins[0] != 0 or counts.min(initial=0) < 0:
        raise MalformedFile("has a sparse array with malformed columns")
    stored = int(begins[-1])
    rows = rows[:stored]
    if (
        len(rows) != stored
        or len(values) < stored
        or rows.min(initial=0) < 0
        or rows.max(initial=-1) >= height
    ):
        raise MalformedFile("has a sparse array with malformed rows")
    if height * shape[1] > max(MOST_ZEROS, RATIO * (values.nbytes + rows.nbytes + begins.nbytes)):
        raise MalformedFile(f"has a sparse array of shape {shape} with {stored} stored values")
    dense = np.zeros(shape, values.dtype)
    dense[rows, np.repeat(np.arange(shape[1]), counts)] = values[:stored]
    return dense


# --- version 7.3 ----------------------------------------------------------------------------------


def _read73(path: Path, keys: Collection[str]) -> dict[str, MatValue]:
    found: dict[str, MatValue] = {}
    with open_examined(path) as file:
        for key in keys:
            if key in file:
                try:
                    found[key] = _value73(file, file[key], 0)
                except MalformedFile as fault:
                    raise MalformedFile(f"variable '{key}' {fault}") from None
    return found


def _value73(file: Any, item: Any, depth: int) -> MatValue:
    import h5py

    if isinstance(item, h5py.Group) and "MATLAB_sparse" in item.attrs and depth == 0:
        return _sparse73(file, item)
    if not isinstance(item, h5py.Dataset):
        raise MalformedFile("is a struct, not numbers or text")
    stored = item.id.get_storage_size()
    if item.is_virtual or item.external:
        raise MalformedFile("keeps its values in another file")
    if item.shape is None or item.ndim > 4 or item.nbytes > stored * (RATIO if item.compression else 1):
        raise MalformedFile(f"claims shape {item.shape} in {stored} stored bytes")
    if item.dtype == h5py.ref_dtype:
        if depth == DEEPEST:
            raise MalformedFile("nests cells too deeply")
        return _cells73(file, item, depth)
    matlab_class = item.attrs.get("MATLAB_class", b"")
    if matlab_class in (b"char", "char"):
        return _text73(item)
    if item.dtype.kind not in "fiub":
        raise MalformedFile(f"holds values of type {item.dtype}, not real numbers or text")
    return _array73(item).T


def _sparse73(file: Any, item: Any) -> np.ndarray:
    """A sparse matrix (rows x columns): ``data`` and ``ir``, which are missing if all is zero, and ``jc``."""
    parts = [_value73(file, item[key], 1) if key in item else np.zeros(0) for key in ("data", "ir", "jc")]
    values, rows, begins = (np.ravel(np.asarray(one)) for one in parts)
    return _dense(values, rows, begins, int(item.attrs["MATLAB_sparse"]))


def _array73(item: Any) -> np.ndarray:
    if not item.attrs.get("MATLAB_empty", 0):
        return np.asarray(item[()])
    # MATLAB stores an empty array as its dimensions, marked by an attribute.
    shape = tuple(int(n) for n in np.ravel(item[()])[::-1])
    if 0 not in shape:
        raise MalformedFile(f"is marked empty with shape {shape}")
    return np.zeros(shape, item.dtype)


def _cells73(file: Any, item: Any, depth: int) -> list[str]:
    """Strings of a cell array in MATLAB's (column) order."""
    strings: list[str] = []
    if item.attrs.get("MATLAB_empty", 0):
        return strings
    for reference in np.ravel(item[()]):
        if not reference:
            raise MalformedFile("has a cell that refers to nothing")
        target = file[reference]
        value = _value73(file, target, depth + 1)
        # Files written by other tools often lack the class mark; code units of two bytes are text.
        if isinstance(value, np.ndarray) and target.dtype == np.uint16:
            value = _text73(target)
        if isinstance(value, np.ndarray):
            raise MalformedFile("is a cell array of numbers, not text")
        strings.extend(value)
    return strings


def _text73(item: Any) -> list[str]:
    """One string per row of the character array (one row unless it is a matrix)."""
    if item.attrs.get("MATLAB_empty", 0):
        return [""]
    if item.dtype.kind != "u" or item.dtype.itemsize not in _UTF or item.ndim > 2:
        raise MalformedFile(f"holds text of type {item.dtype} and shape {item.shape}")
    rows = np.atleast_2d(_array73(item).T)
    little = rows.astype(rows.dtype.newbyteorder("<"))
    return [row.tobytes().decode(_UTF[item.dtype.itemsize]).rstrip(" \0") for row in little]
