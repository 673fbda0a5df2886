"""``sim-cub``, ``sim-sun`` and ``sim-awa2``: simulated region features of true size, for speed and memory.

There are as many classes, images, attributes and regions as in the real data sets. Class attributes, names,
word vectors and the split are the real ones if they are under the data root
(``zslbench_datasets.simulated_classes``). Images are drawn (``zslbench_datasets.simulated_images`` has the
equations) and written once to a region store in the cache; a run's record says that they are simulated.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from zslbench.data import RegionStore, RegionWriter, cached_store, find_folder, log_progress, source
from zslbench.plugin import DataRequest, Dataset, DatasetSource, Source
from zslbench_data import catalogue
from zslbench_datasets.settings import FEATURES, SimulatedSettings, check_request
from zslbench_datasets.simulated_classes import Classes, classes_of, part_of
from zslbench_datasets.simulated_images import Images

PREFIX = "sim-"

_ADVICE = "Draw fewer images (--set dataset.scale=0.1), or set ZSLBENCH_CACHE to a folder on a larger disk"
_VERSION = 1
"""Of the drawing; increased when the same settings give other images."""
_UINT8_MAX = 10.0
"""Largest value that uint8 holds; about one in a million values is larger."""
_log = logging.getLogger("zslbench")


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
    arrays = {"strength": classes.strength, "labels": classes.labels, "vectors": classes.vectors}
    content = settings.model_dump(mode="json")
    key = {"version": _VERSION, "settings": content} | {
        key: source(key, "", array).sha256 for key, array in arrays.items()
    }

    def make(folder: Path) -> None:
        images, regions = len(classes.labels), settings.grid**2
        shape = images, regions, settings.channels
        scale = _UINT8_MAX / 255 if settings.dtype == "uint8" else None
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(settings.dtype).itemsize
        with RegionWriter(
            folder,
            shape,
            settings.dtype,
            scale,
            companions={"att": classes.att, "attribute_vectors": classes.vectors},
            provenance={
                "source": f"simulated by zslbench_datasets.simulated, version {_VERSION}",
                "grid": [settings.grid, settings.grid],
                "simulated": True,
                "settings": content,
            },
            advice=_ADVICE,
        ) as writer:
            _log.info("drawing %d images of %s to %s, once (%.1f GB)", images, name, folder, size / 1e9)
            drawn = Images(settings, classes.strength, classes.vectors).blocks(classes.labels)
            writer.extend(
                (block for block, _ in drawn),
                classes.labels,
                advance=log_progress(f"drawing {name}", size),
            )

    return cached_store(name, key, make, known_as=FEATURES)


def _dataset(
    name: str, classes: Classes, store: RegionStore, semantics_name: str, settings: SimulatedSettings
) -> Dataset:
    semantics = np.array(classes.att if semantics_name == "att" else classes.original_att)
    features = np.array(store.features)
    split = classes.split
    drawn = "simulated by zslbench_datasets.simulated"
    sources = [source("features", drawn, features), Source("regions", drawn, store.sha256)]
    given = {"labels": classes.labels, "semantics": semantics, "attribute_vectors": classes.vectors}
    given |= {"trainval": split.trainval, "test_seen": split.test_seen, "test_unseen": split.test_unseen}
    sources += [source(key, classes.where, array) for key, array in given.items()]
    return Dataset(
        name=name,
        features=features,
        labels=classes.labels,
        class_names=classes.names,
        semantics=semantics,
        split=split,
        features_name=FEATURES,
        semantics_name=semantics_name,
        attribute_names=classes.attribute_names,
        attribute_vectors=np.array(classes.vectors),
        regions=store,
        finetuned=False,
        sources=tuple(sources),
        notes=classes.notes,
        extra={
            "semantics_kind": "attributes",
            "simulated": True,
            "settings": settings.model_dump(mode="json"),
        },
    )
