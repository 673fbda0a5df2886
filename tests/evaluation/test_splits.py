"""Fingerprints, and the properties that make the validation split trustworthy."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from zslbench.errors import DataError
from zslbench.evaluation.splits import FoldSplit, fingerprint, split_fingerprint, validation_split
from zslbench.plugin.dataset import Dataset, OfficialSplit


def make(
    sizes: list[int], seed: int = 0, official: list[int] | None = None, unseen_images: int = 7
) -> Dataset:
    """A data set whose seen class c has ``sizes[c]`` training images, shuffled; the last class is unseen."""
    random = np.random.default_rng(seed)
    seen = len(sizes)
    kinds = np.concatenate([np.repeat(np.arange(seen), sizes), np.arange(seen), np.full(unseen_images, seen)])
    part = np.concatenate([np.zeros(sum(sizes)), np.ones(seen), np.full(unseen_images, 2)])
    order = random.permutation(len(kinds))
    labels, part = kinds[order], part[order]
    rows = [np.flatnonzero(part == one) for one in range(3)]
    return Dataset(
        name="made",
        features=random.random((len(labels), 2)).astype(np.float32),
        labels=labels,
        class_names=tuple(f"c{one}" for one in range(seen + 1)),
        semantics=random.random((seen + 1, 3)).astype(np.float32),
        split=OfficialSplit(*rows, None if official is None else np.array(official)),
        features_name="random",
        semantics_name="att",
    )


def same(one: FoldSplit, two: FoldSplit) -> bool:
    names = ("fit_rows", "test_seen_rows", "test_unseen_rows", "seen_classes", "unseen_classes")
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in names)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[list[int], int, list[int] | None]:
    """Arguments of :func:`make`."""
    sizes = draw(st.lists(st.integers(1, 23), min_size=2, max_size=9))
    official = None
    if draw(st.booleans()):
        official = draw(
            st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=len(sizes) - 1, unique=True)
        )
    return sizes, draw(st.integers(0, 5)), official


def test_fingerprint_by_hand() -> None:
    assert fingerprint(np.array([10, 0, 1])) == hashlib.sha256(b"1,2,11").hexdigest()[:12]
    assert fingerprint(np.array([1, 10, 0], dtype=np.int32)) == fingerprint(np.array([0, 1, 10]))


def test_split_fingerprint_tells_parts_apart_and_ignores_order() -> None:
    a, b, c = np.array([0, 1, 2]), np.array([3]), np.array([4, 5])
    whole = split_fingerprint(OfficialSplit(a, b, c))
    assert len(whole) == 12
    assert split_fingerprint(OfficialSplit(a[::-1], b, c[::-1])) == whole
    others = [OfficialSplit(b, a, c), OfficialSplit(a, c, b), OfficialSplit(a[:2], b, c)]
    assert whole not in map(split_fingerprint, others)


@settings(max_examples=60)
@given(shapes())
def test_parts_divide_trainval_and_classes(shape: tuple[list[int], int, list[int] | None]) -> None:
    dataset = make(*shape)
    split, labels = validation_split(dataset), dataset.labels
    parts = [split.fit_rows, split.test_seen_rows, split.test_unseen_rows]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.sort(dataset.split.trainval))
    seen = np.unique(labels[dataset.split.trainval])
    assert np.array_equal(np.sort(np.concatenate([split.seen_classes, split.unseen_classes])), seen)
    assert np.array_equal(np.unique(labels[split.fit_rows]), split.seen_classes)  # each keeps an image
    assert np.array_equal(np.unique(labels[split.test_unseen_rows]), split.unseen_classes)
    assert len(split.seen_classes) and len(split.unseen_classes)
    if dataset.split.validation_classes is None:
        assert len(split.unseen_classes) == max(1, len(seen) // 3)
    else:
        assert set(split.unseen_classes) == set(dataset.split.validation_classes)
    for one in split.seen_classes:
        total = np.count_nonzero(labels[dataset.split.trainval] == one)
        held = np.count_nonzero(labels[split.test_seen_rows] == one)
        assert held == (0 if total == 1 else max(1, int(np.floor(total / 5 + 0.5))))


@settings(max_examples=40)
@given(shapes(), st.integers(0, 2**32 - 1))
def test_independent_of_test_data_and_of_order(
    shape: tuple[list[int], int, list[int] | None], seed: int
) -> None:
    dataset = make(*shape)
    expected = validation_split(dataset)
    random = np.random.default_rng(seed)
    split = dataset.split
    test = np.concatenate([split.test_seen, split.test_unseen])
    features, labels = dataset.features.copy(), dataset.labels.copy()
    features[:] = random.random(features.shape)
    labels[test] = random.integers(len(dataset.class_names), size=len(test))
    other = OfficialSplit(
        random.permutation(split.trainval),
        random.permutation(split.test_seen)[:1],
        random.permutation(split.test_unseen),
        None if split.validation_classes is None else random.permutation(split.validation_classes),
    )
    changed = replace(dataset, features=features, labels=labels, split=other)
    assert same(validation_split(changed), expected)
    assert validation_split(changed).fingerprint() == expected.fingerprint()


def test_the_split_is_pinned() -> None:
    """The definition, spelled out: digests of row and class numbers decide."""
    dataset = make([10, 10, 10])
    split = validation_split(dataset)

    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    assert split.unseen_classes.tolist() == [
        min(range(3), key=lambda one: digest(f"zslbench validation class {one}"))
    ]
    for one in split.seen_classes.tolist():
        rows = [row for row in dataset.split.trainval.tolist() if dataset.labels[row] == one]
        rows.sort(key=lambda row: digest(f"zslbench validation image {row}"))
        assert {row for row in split.test_seen_rows.tolist() if dataset.labels[row] == one} == set(rows[:2])


def test_validation_classes_without_training_images_are_left_out() -> None:
    split = validation_split(make([5, 5, 5], official=[1, 3]))
    assert split.unseen_classes.tolist() == [1]
    assert "1 of 3 seen classes" in split.note


def test_note_says_where_the_classes_came_from() -> None:
    assert "own validation classes" in validation_split(make([5, 5, 5], official=[1])).note
    assert "chosen by zslbench" in validation_split(make([5, 5, 5])).note


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (make([5]), "1 seen class"),
        (make([5, 5], official=[0, 1]), "2 of 2 seen classes"),
        (make([5, 5], official=[2]), "0 of 2 seen classes"),
    ],
)
def test_impossible_validation_is_refused(dataset: Dataset, message: str) -> None:
    with pytest.raises(DataError, match=message):
        validation_split(dataset)
