"""One row of word vectors for each attribute, and the record of how it was made."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from zslbench.data import ATTRIBUTE_VECTORS, array_sha256
from zslbench.errors import DataError
from zslbench.store import write_whole
from zslbench_data.words.plain import plain_words

VECTORS_FILE = ATTRIBUTE_VECTORS
"""In a data set's folder: (attributes, dimension) float32, rows in the order of ``att``'s."""

RECORD_FILE = "attribute_vectors.json"
"""Beside it: source, rule, unknown words, sha256."""

Rule = Literal["sum", "mean"]


@dataclass(frozen=True)
class Built:
    """Vectors of attributes."""

    array: Float[np.ndarray, "attributes dimension"]
    unknown: Mapping[str, tuple[str, ...]]
    """Words without a vector, each with the names they stand in."""
    empty: tuple[str, ...]
    """Names of which no word is known: their rows are zero."""


def build(
    names: Sequence[str], vectors: Mapping[str, Float[np.ndarray, " _"]], dimension: int, rule: Rule
) -> Built:
    """Put the vectors of each name's words together.

    ``sum`` adds the known words' vectors, ``mean`` divides by their number; words without a vector take no
    part. A word that stands twice in a name counts twice.
    """
    array = np.zeros((len(names), dimension), dtype=np.float32)
    unknown: dict[str, list[str]] = {}
    empty = []
    for row, name in enumerate(names):
        words = plain_words(name)
        known = [vectors[one] for one in words if one in vectors]
        for one in dict.fromkeys(one for one in words if one not in vectors):
            unknown.setdefault(one, []).append(name)
        if not known:
            empty.append(name)
            continue
        total = np.sum(np.asarray(known, dtype=np.float64), axis=0)
        array[row] = total if rule == "sum" else total / len(known)
    return Built(array, {key: tuple(one) for key, one in unknown.items()}, tuple(empty))


def read_ready(path: Path, attributes: int, where: str) -> Float[np.ndarray, "attributes dimension"]:
    """A ready array of attribute vectors, checked.

    Raises:
        DataError: it is no array of ``attributes`` finite rows.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(path, [f"is no .npy array of numbers ({error})"]) from None
    faults = []
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu":
        raise DataError(path, ["holds no table of numbers"])
    if len(array) != attributes:
        faults.append(f"has {len(array)} rows, {where} has {attributes} attributes")
    if array.shape[1] < 2:
        faults.append(f"has {array.shape[1]} columns")
    if not np.isfinite(array).all():
        faults.append("holds values that are not finite")
    if faults:
        raise DataError(path, faults)
    return np.ascontiguousarray(array, dtype=np.float32)


def write(folder: Path, array: Float[np.ndarray, "attributes dimension"], record: Mapping[str, Any]) -> None:
    """Put array and record into a data set's folder, each whole; the array comes last."""
    content = {
        **record,
        "shape": list(array.shape),
        "sha256": array_sha256(array),
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    data = io.BytesIO()
    np.save(data, array, allow_pickle=False)
    write_whole(folder / RECORD_FILE, (json.dumps(content, indent=1) + "\n").encode())
    write_whole(folder / VECTORS_FILE, data.getvalue())
