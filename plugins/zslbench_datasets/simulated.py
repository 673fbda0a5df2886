"""``sim-cub``, ``sim-sun`` and ``sim-awa2``: simulated region features of true size, for speed and memory.

There are as many classes, images, attributes and regions as in the real data sets. Class attributes, names,
word vectors and the split are the real ones if they are under the data root
(``zslbench_datasets.simulated_classes``). Images are drawn (``zslbench_datasets.simulated_images`` has the
equations) and written once to a region store in the cache; a run's record says that they are simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from zslbench.data import (
    RegionStore,
    RegionWriter,
    array_sha256,
    cached_store,
    find_folder,
    source,
)
from zslbench.plugin import DataRequest, Dataset, DatasetSource, Source
from zslbench_data import catalogue
from zslbench_datasets.requests import FEATURES, check_request, recorded
from zslbench_datasets.settings import SimulatedSettings
from zslbench_datasets.simulated_classes import SIMULATED_BY, Classes, classes_of, part_of
from zslbench_datasets.simulated_images import Images

PREFIX = "sim-"

_ADVICE = "Draw fewer images (--set dataset.scale=0.1), or set ZSLBENCH_CACHE to a folder on a larger disk"
_VERSION = 1
"""Of the drawing; increased when the same settings give other images."""
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
        entry = catalogue().entry(name.removeprefix(PREFIX))
        folder = find_folder(request.root, entry.folder)
        whole = classes_of(folder, entry.name, entry.counts, self.settings.seed)
        classes = part_of(whole, self.settings.scale)
        return _dataset(name, classes, _store(name, self.settings, classes), semantics_name, self.settings)


def _store(name: str, settings: SimulatedSettings, classes: Classes) -> RegionStore:
    """The images' regions, drawn unless the cache has them."""
    labels, vectors = classes.dataset.labels, classes.dataset.attribute_vectors
    assert vectors is not None
    arrays = {"strength": classes.strength, "labels": labels, "vectors": vectors}
    content = settings.model_dump(mode="json")
    key = {"version": _VERSION, "settings": content} | {
        key: array_sha256(array) for key, array in arrays.items()
    }

    shape = len(labels), settings.grid**2, settings.channels
    scale = _UINT8_MAX / 255 if settings.dtype == "uint8" else None
    dtype = np.dtype(settings.dtype)

    def make(folder: Path, advance: Callable[[int], None]) -> None:
        with RegionWriter(
            folder,
            shape,
            dtype,
            scale,
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

    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    task = f"drawing {len(labels)} images of {name}"
    return cached_store(name, key, make, task=task, size=size, known_as=FEATURES)


def _dataset(
    name: str, classes: Classes, store: RegionStore, semantics_name: str, settings: SimulatedSettings
) -> Dataset:
    described, features = classes.dataset, np.array(store.features)
    semantics = np.array(described.semantics if semantics_name == "att" else classes.original_att)
    vectors = np.array(described.attribute_vectors)
    sources = [source("features", SIMULATED_BY, features), Source("regions", SIMULATED_BY, store.sha256)]
    given = {"labels": described.labels, "semantics": semantics, "attribute_vectors": vectors}
    given |= described.split.parts
    sources += [source(key, classes.where, array) for key, array in given.items()]
    return replace(
        described,
        name=name,
        features=features,
        semantics=semantics,
        features_name=FEATURES,
        semantics_name=semantics_name,
        attribute_vectors=vectors,
        regions=store,
        finetuned=False,
        sources=tuple(sources),
        extra=recorded(settings),
    )
