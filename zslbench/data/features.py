"""Reads the features of a MATLAB file. A large file is parsed once: its features are then kept as rows in the
user's cache folder (:mod:`zslbench.data.once`) and mapped from there, so that processes share one copy."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import logging
from pathlib import Path

import numpy as np
from filelock import FileLock
from jaxtyping import Float

from zslbench.data.folder import FileVariables, transposed
from zslbench.data.matfile import read_mat
from zslbench.data.npy import open_npy
from zslbench.data.once import cache_folder, file_state, is_known, is_settled, remember
from zslbench.data.provenance import array_sha256
from zslbench.data.validate import Findings
from zslbench.errors import DataError
from zslbench.store.names import path_name

LARGE = 1 << 24
"""A file of this many bytes or more is parsed only once. A smaller one takes a quarter of a second."""

_VERSION, _CHECK = 1, "features"
_log = logging.getLogger("zslbench")

Rows = Float[np.ndarray, "images d"]


def read_features(path: Path, findings: Findings) -> Rows | None:
    """The variable ``features`` (d x images) of a MATLAB file as float32 rows, read-only if they are mapped.

    Returns None, with a finding, if the file has no such matrix. Raises as :func:`.read_mat`.
    """
    state = file_state(path)
    if state[1] < LARGE or not is_settled(state):
        return _parse(path, findings)
    folder, place = cache_folder() / "features", f"{path_name(path.stem)}-{_digest(state[0])}"
    name = f"{place}-{_digest((_VERSION, state))}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{place}.lock"):  # only one of several processes parses
            rows = _mapped(folder, name)
            if rows is None:
                rows = _parse(path, findings)
                if rows is not None and file_state(path) == state:
                    _keep(rows, folder, place, name)
            return rows
    except (OSError, NotImplementedError) as error:  # the folder is full, read-only or cannot lock files
        _log.debug("%s: features are not kept in %s (%s)", path, folder, error)
        return _parse(path, findings)


def _parse(path: Path, findings: Findings) -> Rows | None:
    matrix = FileVariables(path.name, read_mat(path, {"features"}), findings).matrix("features")
    return None if matrix is None else transposed(matrix)


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _mapped(folder: Path, name: str) -> Rows | None:
    """The features kept under this name; None if there are none, or if they were damaged."""
    for file in folder.glob(f"{glob.escape(name)}-*.npy"):
        with contextlib.suppress(DataError):
            rows, check = np.asarray(open_npy(file)), [file_state(file)]
            if is_known(_CHECK, check) or array_sha256(rows) == file.stem.rpartition("-")[2]:
                remember(_CHECK, check)
                return rows
        _log.warning("%s is damaged; the file that it was made from is parsed again", file)
    return None


def _keep(rows: Rows, folder: Path, place: str, name: str) -> None:
    """Keep features, with their sha256 in the name, and remove those of earlier states of the file."""
    part = folder / f".{place}.part"
    with part.open("wb") as file:
        np.save(file, rows, allow_pickle=False)
    for earlier in folder.glob(f"{glob.escape(place)}-*.npy"):
        with contextlib.suppress(OSError):  # Windows does not remove mapped files
            earlier.unlink()
    part.replace(folder / f"{name}-{array_sha256(rows)}.npy")
