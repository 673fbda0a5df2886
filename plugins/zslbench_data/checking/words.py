"""Checks of attribute names and word vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zslbench.data import ATTRIBUTE_VECTORS, array_sha256, attribute_names, attribute_vectors, sidecar
from zslbench_data.checking.findings import Findings, few
from zslbench_data.words.attributes import RECORD_FILE, words_of

_APART = 0.05


def check_words(folder: Path, count: int, findings: Findings) -> None:
    """Names and vectors beside a data set.

    Args:
        count: of its attributes.
    """
    vectors, names, where = None, None, ATTRIBUTE_VECTORS
    if (path := sidecar(folder, ATTRIBUTE_VECTORS)) is not None:
        where = _relative(path, folder)
    with findings.guard(where):
        found = attribute_vectors(folder, count)
        vectors = None if found is None else found[0]
    with findings.guard("attribute names"):
        named = attribute_names(folder, count, vectors)
        if named is not None:
            names = named[0]
            _names(names, _relative(named[1], folder), findings)
    if vectors is not None:
        check_vectors(vectors, names, where, findings)
        if path == folder / ATTRIBUTE_VECTORS:
            with findings.guard(RECORD_FILE):
                _record(folder, vectors, names, findings)


def check_vectors(vectors: np.ndarray, names: Sequence[str] | None, where: str, findings: Findings) -> None:
    """Word vectors of attributes: values, zero rows, and order against the names."""
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
        findings.warning(f"attribute names stand there twice ({few(twice)})", where, len(twice))
    else:
        findings.ok(f"{len(names)} attribute names", where)


def _order(vectors: np.ndarray, names: Sequence[str], where: str, findings: Findings) -> None:
    """Whether vectors and names can be in the same order.

    A row is the sum or the mean of its words' vectors, so where names share words the rows are those of a
    smaller table of words: the residual of the least-squares fit of that table is near zero in the right
    order, and large in another one.
    """
    rows = np.flatnonzero(vectors.any(axis=1))
    words = [words_of(names[one]) for one in rows.tolist()]
    vocabulary = {word: place for place, word in enumerate(sorted({one for each in words for one in each}))}
    counts = np.zeros((len(rows), len(vocabulary)))
    for row, each in enumerate(words):
        for word in each:
            counts[row, vocabulary[word]] += 1
    free = len(rows) - np.linalg.matrix_rank(counts) if counts.size else 0
    if free < len(rows) * _APART:
        return  # nearly every name has a word of its own: any order fits
    given = vectors[rows].astype(np.float64)
    residuals = []
    for table in (counts, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)):
        fitted = table @ np.linalg.lstsq(table, given, rcond=None)[0]
        residuals.append(float(np.square(given - fitted).sum() / np.square(given - given.mean(axis=0)).sum()))
    if min(residuals) > _APART:
        findings.warning(
            f"word vectors do not fit the names: {min(residuals):.0%} of their variance contradicts the "
            "words that names share; are both in the order of att?", where
        )  # fmt: skip
    else:
        findings.ok("word vectors fit the words that names share", where)


def _record(folder: Path, vectors: np.ndarray, names: Sequence[str] | None, findings: Findings) -> None:
    """Against the record of how they were made."""
    path = folder / RECORD_FILE
    if not path.is_file():
        return
    record = json.loads(path.read_bytes())
    if record.get("sha256") not in (None, array_sha256(vectors)):
        findings.error("word vectors are not those that the record describes", RECORD_FILE)
    made_for = list(record.get("words", {}))
    if names is not None and made_for and made_for != list(dict.fromkeys(names)):
        differ = sum(a != b for a, b in zip(made_for, names, strict=False)) + abs(len(made_for) - len(names))
        findings.error(
            "word vectors were made for other names, or another order of them", RECORD_FILE, differ
        )


def _relative(path: Path, folder: Path) -> str:
    return path.name if path.parent == folder else f"{path.parent.name}/{path.name}"
