"""Loads a recipe's data set through its plugin and refuses what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from zslbench.data.dataset import DataRequest, Dataset, Source
from zslbench.data.provenance import source
from zslbench.data.regions.array import ArrayRegions
from zslbench.data.regions.stored import StoredRegions
from zslbench.data.roots import data_root
from zslbench.data.validate import check
from zslbench.errors import PluginError
from zslbench.protocol.splits import split_fingerprint, validation_split
from zslbench.recipe import Part
from zslbench.registry import load_class


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
        regions: which region features, see :class:`~zslbench.data.dataset.DataRequest`.
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
            f"a {type(dataset).__name__}, not a zslbench.data.dataset.Dataset"
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
