"""Loads a recipe's data set through its plugin and refuses what cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zslbench.data.provenance import source
from zslbench.data.regions.array import ArrayRegions
from zslbench.data.regions.stored import StoredRegions
from zslbench.data.roots import data_root
from zslbench.data.validate import check
from zslbench.errors import MissingData, PluginError
from zslbench.evaluation.splits import split_fingerprint, validation_split
from zslbench.experiment.fitting import embedding_inputs
from zslbench.experiment.recipe import Part, Recipe
from zslbench.plugin.dataset import DataRequest, Dataset, Source
from zslbench.plugin.targets import load_class


def load_dataset(
    part: Part,
    *,
    root: str | Path | None,
    features: str | None,
    semantics: str | None,
    regions: str | None = None,
    needs_regions: bool = False,
) -> Dataset:
    """Read and validate a data set.

    Args:
        regions: which region features, see :class:`~zslbench.plugin.dataset.DataRequest`.
        needs_regions: whether the run reads region features.

    Raises:
        MissingData: it is not there, with what to do.
        DataError: all its faults.
    """
    request = DataRequest(part.name, data_root(root), features, semantics, needs_regions, regions)
    dataset = load_class(part.registered)(part.settings).load(request)
    if not isinstance(dataset, Dataset):
        raise PluginError(
            f"plugin '{part.registered.plugin.name}': data set '{part.name}' loaded "
            f"a {type(dataset).__name__}, not a zslbench.plugin.dataset.Dataset"
        )
    check(dataset, f"data set '{part.name}'")
    return dataset


def arrays(dataset: Dataset) -> tuple[Source, ...]:
    """sha256 of every array that a run's numbers depend on, as handed to the run."""
    of: dict[str, np.ndarray[Any, Any] | None] = {
        "features": dataset.features,
        "labels": dataset.labels,
        "semantics": dataset.semantics,
        "attribute_vectors": dataset.attribute_vectors,
    }
    if isinstance(dataset.regions, ArrayRegions):
        of["regions"] = dataset.regions.array
    known = {one.array: one for one in dataset.sources}
    found = [known.get(name) or source(name, "", array) for name, array in of.items() if array is not None]
    return (*found, *(one for name, one in known.items() if name not in of))


def provenance(dataset: Dataset) -> dict[str, Any]:
    """What a run's record says of its data."""
    split = validation_split(dataset)
    return {
        "dataset": dataset.name,
        "features": dataset.features_name,
        "finetuned": dataset.finetuned,
        "semantics": dataset.semantics_name,
        "regions": dataset.regions.describe() if isinstance(dataset.regions, StoredRegions) else None,
        "images": len(dataset.labels),
        "classes": len(dataset.class_names),
        "unseen_classes": len(np.unique(dataset.labels[dataset.split.test_unseen])),
        "split_fingerprint": split_fingerprint(dataset.split),
        "validation_fingerprint": split.fingerprint(),
        "validation_note": split.note,
        "arrays": [{"array": one.array, "file": one.file, "sha256": one.sha256} for one in arrays(dataset)],
        "extra": json.loads(json.dumps(dict(dataset.extra), default=str)),
    }


@dataclass(frozen=True)
class Which:
    """Which of a data set's files: arguments of :func:`load_dataset`."""

    features: str | None = None
    semantics: str | None = None
    regions: str | None = None


class Data:
    """The data sets of several runs, one in memory at a time, with and without region features.

    Args:
        root: where data sets lie, as ``--data-root`` gives it.
        say: told of what is remarkable about a data set.
        which: ``features``, ``semantics`` and ``regions``, where a call does not say.
    """

    def __init__(self, root: str | Path | None, say: Callable[[str], None], **which: str | None) -> None:
        self._root, self._say, self._which = root, say, Which(**which)
        self._loaded: dict[tuple[str, str], tuple[Dataset, dict[str, Any]]] = {}
        self._faults: dict[tuple[str, str], str | None] = {}

    def fault(self, recipe: Recipe, which: Which | None = None) -> str | None:
        """Why the recipe's data set cannot be had; None: it is there.

        Raises:
            DataError: it is there and cannot be used.
        """
        key = self._key(recipe, which)
        if key not in self._faults:
            try:
                self.of(recipe, which)
                self._faults[key] = None
            except MissingData as error:
                self._faults[key] = str(error)
        return self._faults[key]

    def of(self, recipe: Recipe, which: Which | None = None) -> tuple[Dataset, dict[str, Any]]:
        """The data set and its provenance.

        Raises:
            MissingData: it is not there.
            DataError: it cannot be used.
        """
        key, part = self._key(recipe, which), recipe.parts["dataset"]
        if key not in self._loaded:
            self._loaded = {one: it for one, it in self._loaded.items() if one[0] == key[0]}
            needs = embedding_inputs(recipe) == "regions"
            chosen = asdict(which or self._which)
            found = load_dataset(part, root=self._root, needs_regions=needs, **chosen)
            if key not in self._faults:  # told once, though it be read again
                for note in found.notes:
                    self._say(note)
            self._loaded[key] = (found, provenance(found))
        return self._loaded[key]

    def _key(self, recipe: Recipe, which: Which | None) -> tuple[str, str]:
        part, chosen = recipe.parts["dataset"], asdict(which or self._which)
        return part.name, json.dumps([part.values(), embedding_inputs(recipe), chosen], sort_keys=True)
