"""Every fault of a data set is found and counted; a sound one has none."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from zslbench.data import ArrayRegions
from zslbench.data.validate import dataset_faults, require_valid
from zslbench.errors import DataError
from zslbench.plugin.dataset import Dataset, OfficialSplit


def altered(thing: Any, **changes: Any) -> Any:
    """A copy with changed fields, past the checks of the constructor, as a careless plugin makes it."""
    other = copy.copy(thing)
    for name, value in changes.items():
        object.__setattr__(other, name, value)
    return other


def has_facts(text: str, facts: str) -> bool:
    """Whether a message has all of these facts, separated by ``&``."""
    return all(fact in text for fact in facts.split(" & "))


def poked(array: np.ndarray, where: Any, value: Any) -> np.ndarray:
    array = array.copy()
    array[where] = value
    return array


@pytest.fixture
def sound() -> Dataset:
    """Six classes of five images; class 4 and 5 unseen; class 3 for validation."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 5)
    rows = np.arange(30).reshape(6, 5)
    return Dataset(
        name="sound",
        features=random.random((30, 4)).astype(np.float32),
        labels=labels,
        class_names=("ant", "bee", "cat", "dog", "elk", "fox"),
        semantics=random.random((6, 3)).astype(np.float32) + 0.1,
        split=OfficialSplit(rows[:4, :4].ravel(), rows[:4, 4], rows[4:].ravel(), np.array([3])),
        features_name="random",
        semantics_name="att",
        regions=ArrayRegions(np.zeros((30, 2, 4), dtype=np.float32)),
    )


def test_a_sound_data_set_has_no_faults(sound: Dataset) -> None:
    assert dataset_faults(sound) == []
    czsl_only = altered(sound.split, test_seen=sound.split.test_seen[:0])
    assert dataset_faults(altered(sound, split=czsl_only)) == []
    require_valid(sound, "here")


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "nan": (
        {"features": lambda d: poked(d.features, (3, [0, 2]), np.nan)},
        "features & 2 NaN & 0 infinite",
    ),
    "inf": (
        {"features": lambda d: poked(d.features, (3, 1), -np.inf)},
        "features & 0 NaN & 1 infinite",
    ),
    "semantics nan": (
        {"semantics": lambda d: poked(d.semantics, (0, 0), np.nan)},
        "semantics & 1 NaN & 0 infinite",
    ),
    "no vector": (
        {"semantics": lambda d: poked(d.semantics, [1, 4], 0)},
        "2 classes & (bee, elk)",
    ),
    "nan vector": (
        {"semantics": lambda d: poked(d.semantics, 2, np.nan)},
        "1 classes & (cat)",
    ),
    "label": ({"labels": lambda d: poked(d.labels, [0, 1], [-1, 6])}, "2 labels & 0 to 5 & (-1, 6)"),
    "images": ({"features": lambda d: d.features[:-2]}, "features of 28 & labels of 30"),
    "regions": (
        {"regions": lambda d: ArrayRegions(np.zeros((9, 2, 4), np.float32))},
        "regions of 9 & labels of 30",
    ),
    "names": ({"class_names": lambda d: d.class_names[:5]}, "6 classes & names of 5"),
    "twice": ({"class_names": lambda d: (*d.class_names[:5], "ant")}, "1 duplicate & (ant)"),
    "attributes": ({"attribute_names": lambda d: ("big", "red")}, "names of 2 & semantics with 3"),
    "vectors": (
        {"attribute_vectors": lambda d: np.zeros((2, 9), np.float32)},
        "vectors of 2 & semantics with 3",
    ),
    "transposed": (
        {"semantics": lambda d: np.ascontiguousarray(d.semantics.T)},
        "3 classes & names of 6 & transposed?",
    ),
    "transposed names": ({"attribute_names": lambda d: tuple("abcdef")}, "names of 6 & transposed?"),
    "files": ({"image_files": lambda d: ("a.jpg",)}, "names of 1 & labels of 30"),
    "float64": ({"features": lambda d: d.features.astype(float)}, "features & float64 & float32"),
    "axes": ({"labels": lambda d: d.labels[:, None]}, "labels & 2 axes"),
    "list": ({"semantics": lambda d: d.semantics.tolist()}, "semantics & list"),
}


@pytest.mark.parametrize("case", CASES)
def test_faults_of_arrays(sound: Dataset, case: str) -> None:
    changes, facts = CASES[case]
    found = dataset_faults(altered(sound, **{name: change(sound) for name, change in changes.items()}))
    assert any(has_facts(fault, facts) for fault in found), found
    assert len(found) <= 2
    assert any("transposed" in fault for fault in found) == ("transposed" in case)


SPLITS: dict[str, tuple[dict[str, Any], str]] = {
    "empty": ({"test_unseen": lambda s: s.test_unseen[:0]}, "test_unseen is empty"),
    "range": (
        {"trainval": lambda s: poked(s.trainval, [0, 5], [-1, 30])},
        "trainval & 2 indices & 0 to 29",
    ),
    "double": ({"test_unseen": lambda s: poked(s.test_unseen, 1, 20)}, "test_unseen & 1 duplicate"),
    "leak": (
        {"test_seen": lambda s: np.append(s.test_seen, [0, 1, 5])},
        "trainval & test_seen & 3 images",
    ),
    "unseen": (
        {"trainval": lambda s: np.append(s.trainval, 25)},
        "1 unseen classes & (fox)",
    ),
    "shared": ({"trainval": lambda s: np.append(s.trainval, 25)}, "trainval & test_unseen & 1 images"),
    "stranger": (
        {"test_seen": lambda s: np.append(s.test_seen, 20)},
        "1 classes & test_seen & (elk)",
    ),
    "validation": (
        {"validation_classes": lambda s: np.array([3, 4, 9])},
        "2 validation classes & (elk, class id 9)",
    ),
    "no train": ({"validation_classes": lambda s: np.arange(4)}, "every seen class & validation"),
    "none": ({"validation_classes": lambda s: np.arange(0)}, "validation classes & empty"),
    "float": ({"trainval": lambda s: s.trainval.astype(float)}, "trainval & float64 & int64"),
}


@pytest.mark.parametrize("case", SPLITS)
def test_faults_of_splits(sound: Dataset, case: str) -> None:
    changes, facts = SPLITS[case]
    split = altered(sound.split, **{name: change(sound.split) for name, change in changes.items()})
    found = dataset_faults(altered(sound, split=split))
    assert any(has_facts(fault, facts) for fault in found), found


def test_all_faults_are_listed_at_once(sound: Dataset) -> None:
    split = altered(sound.split, test_seen=sound.split.trainval[:2])
    bad = altered(
        sound,
        features=poked(sound.features, 0, np.nan),
        labels=poked(sound.labels, 29, 77),
        class_names=(*sound.class_names[:5], "ant"),
        split=split,
    )
    with pytest.raises(DataError) as caught:
        require_valid(bad, "data set 'bad'")
    assert str(caught.value).startswith("data set 'bad': ")
    for part in ("4 NaN", "1 labels", "(77)", "1 duplicate class names", "share 2 images"):
        assert part in str(caught.value)
