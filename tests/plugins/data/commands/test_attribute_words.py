"""The words of attribute names, on all official names that are available."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zslbench_data.words.attributes import REPLACEMENTS, words_of

EXCEPTIONS = {
    "wood (not part of a tree)": "wood",  # the known vectors include the parentheses
    "man-made": "man made",  # the known vectors have one word, which has no vector
}
COMPOUNDS = {name for name, words in REPLACEMENTS.items() if " " in words} | {"quadrapedal", "flys"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("has_bill_shape::curved_(up_or_down)", "bill shape curved"),
        ("has_bill_shape::all-purpose", "bill shape all purpose"),
        ("has_size::very_large_(32_-_72_in)", "size very large"),
        ("has_upperparts_color::grey", "upper parts color gray"),
        ("has_tail_shape::fan-shaped_tail", "tail shape fan shaped tail"),
        ("has_shape::upright-perching_water-like", "shape upright perching water like"),
        ("sailing/ boating", "sailing boating"),
        ("rock/stone", "rock stone"),
        ("far-away horizon", "faraway horizon"),
        ("longneck", "long neck"),
        ("Furn. Leg", "furniture leg"),
        ("Row Wind", "row window"),
        ("Horiz Cyl", "horizontal cylinder"),
        ("Window", "window"),  # only the abbreviation is written out
        ("nested ((twice) over) brackets", "nested brackets"),
        ("greyhound", "greyhound"),
        ("", ""),
        ("_(x)_", ""),
    ],
)
def test_rules(name: str, words: str) -> None:
    assert " ".join(words_of(name)) == words


@pytest.mark.parametrize(("dataset", "count"), [("CUB", 312), ("SUN", 102), ("AWA2", 85)])
def test_official_names_give_the_known_words(real_data: Path, dataset: str, count: int) -> None:
    folder = real_data / "attribute_names"
    names = (folder / f"{dataset}.txt").read_text().splitlines()
    known = (folder / f"{dataset}_words.txt").read_text().splitlines()
    assert len(names) == len(known) == count
    for name, words in zip(names, known, strict=True):
        ours = words_of(name)
        if name in EXCEPTIONS:
            assert " ".join(ours) == EXCEPTIONS[name]
        elif name in COMPOUNDS:
            assert "".join(ours) in (name, "quadrupedal", "flies")
        else:
            assert " ".join(ours) == words
        assert all(word.isalpha() and word.islower() for word in ours)


def design(names: list[str], vocabulary: list[str]) -> np.ndarray:
    matrix = np.zeros((len(names), len(vocabulary)))
    for row, name in enumerate(names):
        for word in words_of(name):
            matrix[row, vocabulary.index(word)] += 1
    return matrix


def test_the_known_vectors_are_sums_over_these_words(real_data: Path) -> None:
    """Were a word wrong anywhere, no single set of word vectors could explain all rows as sums."""
    names: list[str] = []
    rows: list[np.ndarray] = []
    for dataset in ("CUB", "SUN", "AWA2"):
        vectors = np.load(real_data / "attribute_vectors" / f"{dataset}.npy").astype(np.float64)
        listed = (real_data / "attribute_names" / f"{dataset}.txt").read_text().splitlines()
        for name, vector in zip(listed, vectors, strict=True):
            if name not in EXCEPTIONS:
                names.append(name)
                rows.append(vector)
    vocabulary = sorted({word for name in names for word in words_of(name)})
    matrix, known = design(names, vocabulary), np.stack(rows)
    assert np.linalg.matrix_rank(matrix) < len(names) - 200  # so it could well fail
    found = np.linalg.lstsq(matrix, known, rcond=None)[0]
    assert np.abs(matrix @ found - known).max() < 1e-4
    means = matrix / matrix.sum(axis=1, keepdims=True)
    apart = np.linalg.lstsq(means, known, rcond=None)[0]
    assert np.abs(means @ apart - known).max() > 0.1  # and they are no means
