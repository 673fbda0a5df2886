"""Reads arrays and text from MATLAB files of versions 5 to 7.3; a damaged file is one clear error."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from zslbench.data.mat5 import Garbled, variables
from zslbench.errors import DataError, MissingData

MatValue: TypeAlias = "np.ndarray | list[str]"
T = TypeVar("T")


def read_mat(path: Path, keys: Collection[str]) -> dict[str, MatValue]:
    """The variables named in ``keys``; one that the file does not have is left out.

    Numbers come as arrays with MATLAB's axis order (``att`` is attributes x classes) and the file's own
    dtype, text and cell arrays of text as a list of strings in column order. Other variables are not read.

    Raises:
        MissingData: there is no such file.
        DataError: the file is empty, cut off, garbled, no MATLAB file, or a wanted variable is something
            else than real numbers or text.
    """

    def five() -> dict[str, MatValue]:
        here = [name for name in variables(path, keys) if name in keys]
        return {name: _plain(name, value) for name, value in _scipy(path, here).items()}

    def seven() -> dict[str, MatValue]:
        from zslbench.data.mat73 import read_mat73

        return read_mat73(path, keys)

    return _guarded(path, five, seven)


def mat_variables(path: Path) -> list[str]:
    """Names of all variables of a MATLAB file. Raises as :func:`read_mat`."""

    def seven() -> list[str]:
        from zslbench.data.mat73 import variables73

        return variables73(path)

    return _guarded(path, lambda: variables(path), seven)


def _guarded(path: Path, five: Callable[[], T], seven: Callable[[], T]) -> T:
    if not path.is_file():
        raise MissingData(path, ["no such file"])
    advice = "Get a fresh copy of the file"
    try:
        if path.stat().st_size == 0:
            raise Garbled("is empty")
        return seven() if _is_hdf5(path) else five()
    except Garbled as fault:
        raise DataError(path, [f"the file {fault}"], advice) from None
    except MemoryError:
        raise DataError(path, ["the file does not fit into memory"]) from None
    except Exception as error:
        # SciPy and HDF5 raise whatever their parsers stumble over; to the user it is all a damaged file.
        raise DataError(
            path, [f"the file cannot be read ({type(error).__name__}: {error})"], advice
        ) from error


def _is_hdf5(path: Path) -> bool:
    """HDF5's signature, at the start or after a header of 512, 1024, ... bytes (MATLAB uses 512)."""
    with path.open("rb") as file:
        for at in (0, 512, 1024, 2048):
            file.seek(at)
            if file.read(8) == b"\x89HDF\r\n\x1a\n":
                return True
    return False


def _scipy(path: Path, names: list[str]) -> dict[str, Any]:
    if not names:
        return {}
    import scipy.io

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about variables that nobody asked for
        contents = scipy.io.loadmat(path, variable_names=names)
    missing = [name for name in names if name not in contents]
    if missing:
        raise Garbled(f"loses {', '.join(missing)} when read")
    return {name: contents[name] for name in names}


def _plain(name: str, value: Any) -> MatValue:
    if value.dtype.kind in "OU":
        return _strings(name, value)
    if value.dtype.kind not in "fiub":
        raise Garbled(f"variable '{name}' holds values of type {value.dtype}, not real numbers or text")
    return np.asarray(value)


def _strings(name: str, value: Any) -> list[str]:
    """Text of nested object arrays, in column order; an empty cell is an empty string."""
    if value.dtype.kind == "U":
        return [str(row).rstrip(" \0") for row in value.ravel(order="F")] or [""]
    strings: list[str] = []
    for cell in value.ravel(order="F"):
        if not isinstance(cell, np.ndarray) or (cell.size and cell.dtype.kind not in "OU"):
            raise Garbled(f"variable '{name}' is a cell array of numbers, not text")
        strings.extend(_strings(name, cell) if cell.size else [""])
    return strings
