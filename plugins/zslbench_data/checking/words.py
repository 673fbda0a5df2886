"""Checks attribute names and word vectors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from zslbench.data import (
    ATTRIBUTE_VECTORS,
    Findings,
    array_sha256,
    attribute_names,
    attribute_vectors,
    few,
    sidecar,
)
from zslbench_data.words.attributes import RECORD_FILE, words_of

_MISFIT = 0.05
"""Share of the vectors' variance that names in the right order leave unexplained at most."""


def check_words(folder: Path, count: int, findings: Findings) -> None:
    """Check the attribute names and word vectors of a data set with ``count`` attributes."""
    vectors, names, where = None, None, ATTRIBUTE_VECTORS
    if (path := sidecar(folder, ATTRIBUTE_VECTORS)) is not None:
        where = short_path(path, folder)
    with findings.guard(where):
        found = attribute_vectors(folder, count)
        vectors = None if found is None else found[0]
    with findings.guard("attribute names"):
        named = attribute_names(folder, count, vectors)
        if named is not None:
            names = named[0]
            _names(names, short_path(named[1], folder), findings)
    if vectors is not None:
        check_vectors(vectors, names, where, findings)
        if path == folder / ATTRIBUTE_VECTORS:
            with findings.guard(RECORD_FILE):
                _record(folder, vectors, names, findings)


def check_vectors(vectors: np.ndarray, names: Sequence[str] | None, where: str, findings: Findings) -> None:
    """Check the values of word vectors, and their order against the names."""
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        findings.error(f"word vectors are not finite (attribute {few(bad)})", where, len(bad))
        return
    zero = np.flatnonzero(~vectors.any(axis=1))
    if len(zero):
        shown = few(names[one] if names else f"number {one}" for one in zero.tolist())
        findings.warning(f"attributes have no word vector (all zero): {shown}", where, len(zero))
    else:
        findings.ok(f"{len(vectors)} word vectors of {vectors.shape[1]} numbers, none zero", where)
    if names is not None:
        _order(vectors, names, where, findings)


def _names(names: Sequence[str], where: str, findings: Findings) -> None:
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        findings.warning(f"duplicate attribute names ({few(twice)})", where, len(twice))
    else:
        findings.ok(f"{len(names)} attribute names", where)


def _order(vectors: np.ndarray, names: Sequence[str], where: str, findings: Findings) -> None:
    """Check whether vectors and names can be in the same order.

    A row is the sum or the mean of its words' vectors. So where names share words, fitting one vector per
    word by least squares leaves nearly no residual in the right order, and a large one in another.
    """
    rows = np.flatnonzero(vectors.any(axis=1))
    words = [words_of(names[one]) for one in rows.tolist()]
    counts = pd.DataFrame(map(Counter, words)).fillna(0).to_numpy(dtype=np.float64)
    free = len(rows) - np.linalg.matrix_rank(counts) if counts.size else 0
    if free < len(rows) * _MISFIT:
        return  # nearly every name has a word that no other has: any order fits
    given = vectors[rows].astype(np.float64)
    residuals = []
    for table in (counts, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)):
        fitted = table @ np.linalg.lstsq(table, given, rcond=None)[0]
        residuals.append(float(np.square(given - fitted).sum() / np.square(given - given.mean(axis=0)).sum()))
    if min(residuals) > _MISFIT:
        text = f"words shared between names leave {min(residuals):.0%} of the vectors' variance unexplained"
        findings.warning(f"{text}: are names and vectors in the order of att?", where)
    else:
        findings.ok("word vectors fit the words shared between names", where)


def _record(folder: Path, vectors: np.ndarray, names: Sequence[str] | None, findings: Findings) -> None:
    """Compare with the record of how they were made."""
    path = folder / RECORD_FILE
    if not path.is_file():
        return
    record = json.loads(path.read_bytes())
    if record.get("sha256") not in (None, array_sha256(vectors)):
        findings.error("word vectors differ from the recorded checksum", RECORD_FILE)
    made_for = list(record.get("words", {}))
    if names is not None and made_for and made_for != list(dict.fromkeys(names)):
        differ = sum(a != b for a, b in zip(made_for, names, strict=False)) + abs(len(made_for) - len(names))
        findings.error("word vectors were made for other names or another order", RECORD_FILE, differ)


def short_path(path: Path, folder: Path) -> str:
    """A path relative to the data set's folder; of a file elsewhere, its name and its folder's."""
    if path.is_relative_to(folder):
        return path.relative_to(folder).as_posix()
    return f"{path.parent.name}/{path.name}"
