"""Classes, split and attributes of the simulated data sets of true size: the real ones, or invented ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from zslbench.data import (
    PARTS,
    attribute_names,
    attribute_vectors,
    original_attributes,
    read_without_features,
)
from zslbench.plugin import OfficialSplit

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
    """A data set without its images."""

    names: tuple[str, ...]
    att: Float[np.ndarray, "classes attributes"]
    """Rows of unit length."""
    original_att: Float[np.ndarray, "classes attributes"]
    labels: Int[np.ndarray, " images"]
    split: OfficialSplit
    vectors: Float[np.ndarray, "attributes words"]
    attribute_names: tuple[str, ...] | None
    where: str
    """Their file, or that they are simulated."""
    notes: tuple[str, ...]

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
    return Classes(
        names=dataset.class_names,
        att=dataset.semantics,
        original_att=dataset.semantics if original is None else original,
        labels=dataset.labels,
        split=dataset.split,
        vectors=words,
        attribute_names=None if names is None else names[0],
        where=f"{folder.name}/att_splits.mat",
        notes=(note if vectors is not None else f"{note}, and so are word vectors",),
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
    return Classes(
        names=tuple(f"class_{one:03d}" for one in range(1, classes + 1)),
        att=original / np.linalg.norm(original, axis=1, keepdims=True),
        original_att=original,
        labels=np.concatenate(labels).astype(np.int64),
        split=OfficialSplit(parts[0], parts[1], parts[2], validation),
        vectors=random.normal(size=(attributes, WORDS)).astype(np.float32),
        attribute_names=None,
        where="simulated by zslbench_datasets.simulated",
        notes=(
            f"no folder {name.upper()} with a split and labels under the data root: "
            "classes, attributes and split are simulated too",
        ),
    )


def part_of(classes: Classes, scale: float) -> Classes:
    """The same classes with this fraction of each one's images in every part of the split, in file order."""
    if scale == 1:
        return classes
    chosen = {}
    for part in PARTS:
        rows = np.sort(getattr(classes.split, part))
        mine = [rows[classes.labels[rows] == one] for one in np.unique(classes.labels[rows])]
        chosen[part] = np.concatenate([one[: max(_LEAST[part], round(scale * len(one)))] for one in mine])
    images = np.sort(np.concatenate(list(chosen.values())))
    number = np.full(len(classes.labels), -1, dtype=np.int64)
    number[images] = np.arange(len(images))
    return replace(
        classes,
        labels=classes.labels[images],
        split=OfficialSplit(
            **{part: number[rows] for part, rows in chosen.items()},
            validation_classes=classes.split.validation_classes,
        ),
    )
