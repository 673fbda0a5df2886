"""Reads the names and word vectors of a data set's attributes.

For the data set folder ``<root>/<DS>`` (<DS> is case-insensitive), these are searched:

* vectors: ``<root>/<DS>/attribute_vectors.npy``, ``<root>/attribute_vectors/<DS>.npy``, and the same one
  folder up; rows in the order of ``att``;
* names: ``<root>/<DS>/attribute_names.txt``, ``<root>/attribute_names/<DS>.txt`` and the same one folder up;
  one name per line. Line numbers before the names, as in the data sets' own files, are dropped.

Attributes without a file of names take those of another data set with equal word vectors.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from zslbench.data.locations import ATTRIBUTE_NAMES, ATTRIBUTE_VECTORS, sidecar
from zslbench.data.npy import open_npy
from zslbench.data.validate import Finding
from zslbench.errors import DataError

Vectors = Float[np.ndarray, "attributes words"]


def transposition(
    what: str, semantics: np.ndarray, classes: Mapping[str, int], attributes: Mapping[str, int]
) -> Finding | None:
    """An error if semantics (classes, attributes) seem to be transposed; None: they do not.

    They do if only the transposed shape agrees with a count that is known from elsewhere.

    Args:
        what: names the semantics in the message.
        classes, attributes: known counts by origin, for example ``{"labels": 200}``.
    """
    rows, columns = semantics.shape
    if rows in classes.values() or columns in attributes.values():
        return None
    against = [f"{origin}: {count} classes" for origin, count in classes.items() if count == columns]
    against += [f"{origin}: {count} attributes" for origin, count in attributes.items() if count == rows]
    if not against:
        return None
    text = f"{what} describes {rows} classes by {columns} attributes ({', '.join(against)}); transposed?"
    return Finding("error", text, fix="Transpose it, or name the classes in allclasses_names")


def attribute_count(folder: Path) -> dict[str, int]:
    """The number of attributes in each file of names or word vectors; unreadable files are left out."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        if (path := sidecar(folder, ATTRIBUTE_NAMES)) is not None:
            found[path.name] = len(listed_lines(path))
    with contextlib.suppress(DataError):
        if (path := sidecar(folder, ATTRIBUTE_VECTORS)) is not None:
            found[path.name] = len(read_vectors(path))
    return found


def attribute_vectors(folder: Path, count: int) -> tuple[Vectors, Path] | None:
    """Word vectors of the attributes and their file; None: there are none.

    Raises:
        DataError: the file has another number of attributes, or is not a matrix of numbers.
    """
    path = sidecar(folder, ATTRIBUTE_VECTORS)
    if path is None:
        return None
    vectors = read_vectors(path)
    if len(vectors) != count:
        raise DataError(path, [f"has vectors of {len(vectors)} attributes, the data set {count} attributes"])
    return vectors, path


def attribute_names(folder: Path, count: int, vectors: Vectors | None) -> tuple[tuple[str, ...], Path] | None:
    """Names of the attributes and their file; None: there are none.

    Raises:
        DataError: the file has another number of names.
    """
    path = sidecar(folder, ATTRIBUTE_NAMES) or _same_vectors(folder, vectors)
    if path is None:
        return None
    names = _unnumbered(listed_lines(path))
    if len(names) != count:
        raise DataError(path, [f"has {len(names)} attribute names, the data set {count} attributes"])
    return names, path


def listed_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty; none if there is no file."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _unnumbered(lines: list[str]) -> tuple[str, ...]:
    numbered = [re.fullmatch(r"(\d{1,18})[\s.:]+(.+)", line) for line in lines]
    if all(one is not None and int(one[1]) == number for number, one in enumerate(numbered, 1)):
        return tuple(one[2] for one in numbered if one is not None)
    return tuple(lines)


def _same_vectors(folder: Path, vectors: Vectors | None) -> Path | None:
    """The file of names of another data set with equal vectors."""
    if vectors is None:
        return None
    for parent in folder.absolute().parents[:2]:
        for path in sorted((parent / "attribute_vectors").glob("*.npy")):
            names = parent / "attribute_names" / f"{path.stem}.txt"
            with contextlib.suppress(DataError):
                if names.is_file() and np.array_equal(read_vectors(path), vectors):
                    return names
    return None


def read_vectors(path: Path) -> Vectors:
    """The vectors in a ``.npy`` file.

    Raises:
        DataError: it cannot be read or is not a matrix of numbers.
    """
    matrix = open_npy(path)
    if matrix.ndim != 2 or matrix.dtype.kind == "b":
        raise DataError(path, ["is not a two-dimensional array of numbers"])
    with np.errstate(over="ignore"):  # callers judge values
        return np.array(matrix, dtype=np.float32, order="C")
