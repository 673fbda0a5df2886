"""Classes, split and attributes of the simulated data sets of true size: the real ones, or invented ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from zslbench.data import (
    PARTS,
    attribute_names,
    attribute_vectors,
    no_features,
    original_attributes,
    read_without_features,
)
from zslbench.plugin import Dataset, OfficialSplit

SIMULATED_BY = "simulated by zslbench_datasets.simulated"
WORDS = 300
"""Length of an invented word vector, as of the real ones."""

_DENSITY = {"cub": 0.1, "sun": 0.08, "awa2": 0.35}
"""About the share of all attributes that a class of the real data set has."""
_VALIDATION = {"cub": 50, "sun": 65, "awa2": 13}
"""Official validation classes (Xian et al. 2018)."""
_LEAST = {"trainval": 2, "test_seen": 1, "test_unseen": 1}
"""Images of every class that stay in a part: one to fit on and one for validation, one to test."""


@dataclass(frozen=True)
class Classes:
    """A data set before its images are drawn."""

    dataset: Dataset
    """With word vectors, without features and regions; semantics are ``att``, rows of unit length."""
    original_att: Float[np.ndarray, "classes attributes"]
    where: str
    """Their file, or that they are simulated."""

    @property
    def strength(self) -> Float[np.ndarray, "classes attributes"]:
        """How strongly a class has an attribute, 0 to 1."""
        known = np.maximum(self.original_att, 0)  # -1: nobody rated it
        scaled: np.ndarray = known / known.max()
        return scaled


def classes_of(folder: Path | None, name: str, counts: Mapping[str, int], seed: int) -> Classes:
    """The classes of a data set: those in ``folder`` if it has them, else invented ones of its size.

    Args:
        name: ``cub``, ``sun`` or ``awa2``.
        counts: its official counts.
    """
    random = np.random.default_rng([seed, 1])
    dataset = None if folder is None else read_without_features(folder)
    if folder is None or dataset is None:
        return _invented(name, counts, random)
    count = dataset.semantics.shape[1]
    vectors = attribute_vectors(folder, count)
    words = random.normal(size=(count, WORDS)).astype(np.float32) if vectors is None else vectors[0]
    names = attribute_names(folder, count, words)
    note = f"classes, attributes and split are those of {folder.name}; images are simulated"
    original = original_attributes(folder)
    described = replace(
        dataset,
        attribute_names=None if names is None else names[0],
        attribute_vectors=words,
        image_files=None,
        notes=(note if vectors is not None else f"{note}, and so are word vectors",),
    )
    return Classes(
        described, dataset.semantics if original is None else original, f"{folder.name}/att_splits.mat"
    )


def _invented(name: str, counts: Mapping[str, int], random: np.random.Generator) -> Classes:
    classes, unseen, attributes = counts["classes"], counts["unseen"], counts["attributes"]
    has = random.random((classes, attributes)) < _DENSITY[name]
    has[np.arange(classes), np.arange(classes) % attributes] = True  # none without attributes
    original = np.where(has, random.uniform(0.3, 1, has.shape), random.uniform(0, 0.1, has.shape))
    original = original.astype(np.float32)
    order = random.permutation(classes)
    sides = {"trainval": order[unseen:], "test_seen": order[unseen:], "test_unseen": order[:unseen]}
    labels = [np.resize(np.sort(sides[part]), counts[part]) for part in PARTS]
    ends = np.cumsum([len(one) for one in labels])
    parts = np.split(np.arange(ends[-1]), ends[:-1])
    validation = np.sort(order[unseen : unseen + _VALIDATION[name]])
    missing = f"no folder {name.upper()} with a split and labels under the data root"
    dataset = Dataset(
        name=name,
        features=no_features(int(ends[-1])),
        labels=np.concatenate(labels).astype(np.int64),
        class_names=tuple(f"class_{one:03d}" for one in range(1, classes + 1)),
        semantics=original / np.linalg.norm(original, axis=1, keepdims=True),
        split=OfficialSplit(parts[0], parts[1], parts[2], validation),
        features_name="none",
        semantics_name="att",
        attribute_vectors=random.normal(size=(attributes, WORDS)).astype(np.float32),
        notes=(f"{missing}: classes, attributes and split are simulated too",),
    )
    return Classes(dataset, original, SIMULATED_BY)


def part_of(classes: Classes, scale: float) -> Classes:
    """The same classes with this fraction of each one's images in every part of the split, in file order."""
    if scale == 1:
        return classes
    dataset, chosen = classes.dataset, {}
    labels = dataset.labels
    for part, given in dataset.split.parts.items():
        rows = np.sort(given)
        mine = [rows[labels[rows] == one] for one in np.unique(labels[rows])]
        chosen[part] = np.concatenate([one[: max(_LEAST[part], round(scale * len(one)))] for one in mine])
    images = np.sort(np.concatenate(list(chosen.values())))
    number = np.full(len(labels), -1, dtype=np.int64)
    number[images] = np.arange(len(images))
    split = replace(dataset.split, **{part: number[rows] for part, rows in chosen.items()})
    kept = replace(dataset, features=no_features(len(images)), labels=labels[images], split=split)
    return replace(classes, dataset=kept)
