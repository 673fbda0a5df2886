"""``sim-cub``, ``sim-sun`` and ``sim-awa2``: simulated region features of true size, for speed and memory.

There are as many classes, images, attributes and regions as in the real data sets. Class attributes, names,
word vectors and the split are the real ones if they are under the data root, else invented. Images are drawn
(``zslbench_datasets.simulated_images`` has the equations) and written once to a region store in the cache; a
run's record says that they are simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from zslbench.data import (
    PARTS,
    RegionStore,
    RegionWriter,
    array_sha256,
    attribute_names,
    attribute_vectors,
    cached_store,
    find_folder,
    no_features,
    original_attributes,
    read_without_features,
    source,
)
from zslbench.plugin import DataRequest, Dataset, DatasetSource, OfficialSplit, Source
from zslbench_data import catalogue
from zslbench_datasets.settings import SimulatedSettings
from zslbench_datasets.simulated_images import Images
from zslbench_datasets.toy import FEATURES, check_request, recorded

SIMULATED_BY = "simulated by zslbench_datasets.simulated"
WORDS = 300
"""Length of an invented word vector, as of the real ones."""

_DENSITY = {"cub": 0.1, "sun": 0.08, "awa2": 0.35}
"""About the share of all attributes that a class of the real data set has."""
_VALIDATION = {"cub": 50, "sun": 65, "awa2": 13}
"""Official validation classes (Xian et al. 2018)."""
_LEAST = {"trainval": 2, "test_seen": 1, "test_unseen": 1}
"""Images of every class that stay in a part: one to fit on and one for validation, one to test."""
_ADVICE = "Draw fewer images (--set dataset.scale=0.1), or set ZSLBENCH_CACHE to a folder on a larger disk"
_VERSION = 1
"""Version of the drawing; increased when the same settings give other images."""
_UINT8_MAX = 10.0
"""Largest value that uint8 holds; about one in a million values is larger."""


class SimulatedSource(DatasetSource):
    """Draws the data set that the request names, once."""

    settings: SimulatedSettings

    def load(self, request: DataRequest) -> Dataset:
        """The simulated data set, with ``att`` (rows of unit length) or ``original_att``.

        Raises:
            UnknownName: other features, regions or semantics were requested.
            DataError: the disk has no space for the regions, or files of the real data set are unusable.
        """
        name = request.name.lower()
        semantics_name = check_request(request, regions=(FEATURES,))
        entry = catalogue().entry(name.removeprefix("sim-"))
        folder = find_folder(request.root, entry.folder)
        classes = classes_of(folder, entry.name, entry.counts, self.settings.seed)
        classes = part_of(classes, self.settings.scale)
        store, described = self._store(name, classes), classes.dataset
        arrays = {
            "labels": described.labels,
            "semantics": np.array(described.semantics if semantics_name == "att" else classes.original_att),
            "attribute_vectors": np.array(described.attribute_vectors),
            **described.split.parts,
        }
        features = np.array(store.features)
        sources = [source("features", SIMULATED_BY, features), Source("regions", SIMULATED_BY, store.sha256)]
        sources += [source(key, classes.where, array) for key, array in arrays.items()]
        return replace(
            described,
            name=name,
            features=features,
            semantics=arrays["semantics"],
            features_name=FEATURES,
            semantics_name=semantics_name,
            attribute_vectors=arrays["attribute_vectors"],
            regions=store,
            finetuned=False,
            sources=tuple(sources),
            extra=recorded(self.settings),
        )

    def _store(self, name: str, classes: Classes) -> RegionStore:
        """The images' regions, drawn unless the cache has them."""
        settings, labels, vectors = self.settings, classes.dataset.labels, classes.dataset.attribute_vectors
        assert vectors is not None
        arrays = {"strength": classes.strength, "labels": labels, "vectors": vectors}
        content = settings.model_dump(mode="json")
        key = {"version": _VERSION, "settings": content}
        key |= {array_name: array_sha256(array) for array_name, array in arrays.items()}

        shape, dtype = (len(labels), settings.grid**2, settings.channels), np.dtype(settings.dtype)

        def make(folder: Path, advance: Callable[[int], None]) -> None:
            with RegionWriter(
                folder,
                shape,
                dtype,
                _UINT8_MAX / 255 if settings.dtype == "uint8" else None,
                labels=labels,
                companions={"att": classes.dataset.semantics, "attribute_vectors": vectors},
                provenance={
                    "source": f"{SIMULATED_BY}, version {_VERSION}",
                    "grid": [settings.grid, settings.grid],
                    "simulated": True,
                    "settings": content,
                },
                advice=_ADVICE,
            ) as writer:
                for block in Images(settings, classes.strength, vectors).blocks(labels):
                    writer.append(block)
                    advance(block.size * dtype.itemsize)

        task, size = f"drawing {len(labels)} images of {name}", math.prod(shape) * dtype.itemsize
        return cached_store(name, key, make, task=task, size=size, known_as=FEATURES)


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
    ends = np.cumsum([len(part) for part in labels])
    parts = np.split(np.arange(ends[-1]), ends[:-1])
    validation = np.sort(order[unseen : unseen + _VALIDATION[name]])
    missing = f"no folder {name.upper()} with a split and labels under the data root"
    dataset = Dataset(
        name=name,
        features=no_features(int(ends[-1])),
        labels=np.concatenate(labels).astype(np.int64),
        class_names=tuple(f"class_{number:03d}" for number in range(1, classes + 1)),
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
        mine = [rows[labels[rows] == label] for label in np.unique(labels[rows])]
        chosen[part] = np.concatenate([rows[: max(_LEAST[part], round(scale * len(rows)))] for rows in mine])
    images = np.sort(np.concatenate(list(chosen.values())))
    number = np.full(len(labels), -1, dtype=np.int64)
    number[images] = np.arange(len(images))
    split = replace(dataset.split, **{part: number[rows] for part, rows in chosen.items()})
    kept = replace(dataset, features=no_features(len(images)), labels=labels[images], split=split)
    return replace(classes, dataset=kept)
