"""Checks of data sets and extractors."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslbench.data.locations import data_root
from zslbench.data.validate import dataset_faults
from zslbench.errors import DataError, MissingData
from zslbench.evaluation.splits import validation_split
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.declarations import Component
from zslbench.plugin.lookup import Registered
from zslbench.plugin.settings import ComponentSettings
from zslbench.plugin.targets import load_class
from zslbench.testing.check import (
    Fault,
    NotApplicable,
    global_seed,
    require,
    require_by_row,
    require_floats,
    require_pure,
    unchanged,
)
from zslbench.testing.harness import ComponentCase


@dataclass(frozen=True)
class DatasetCase:
    """A data set with the settings and data root of its checks."""

    registered: Registered[Component]
    settings: ComponentSettings
    root: Path | None = None

    def load(self, root: Path | None = None) -> Any:
        """The result of ``load``."""
        request = DataRequest(self.registered.name, data_root(root or self.root))
        return load_class(self.registered)(self.settings).load(request)

    @cached_property
    def dataset(self) -> Any:
        """The data set; NotApplicable if it is not on this machine."""
        try:
            return self.load()
        except MissingData as error:
            raise NotApplicable(
                f"data set '{self.registered.name}' is not on this machine: {error}"
            ) from None


def loads_or_says_what_is_missing(case: DatasetCase) -> None:
    """If its files are missing, ``load`` raises MissingData that says what to do."""
    with tempfile.TemporaryDirectory() as empty:
        try:
            case.load(Path(empty))
        except MissingData as error:
            require(error.advice, "MissingData without advice; name the command or link that gets the files")
        except Exception as error:
            raise Fault(
                f"load from an empty folder raises {type(error).__name__}; raise MissingData with advice"
            ) from None
        require(not any(Path(empty).iterdir()), "load writes into the data root; it must only read")


def dataset_valid(case: DatasetCase) -> None:
    """``load`` returns a Dataset without faults, and a validation split can be made of it."""
    dataset = case.dataset
    if not isinstance(dataset, Dataset):
        raise Fault(f"load returns a {type(dataset).__name__}, not a Dataset")
    if found := dataset_faults(dataset):
        raise Fault("; ".join(found))
    for name in ("name", "features_name", "semantics_name"):
        require(getattr(dataset, name), f"{name} is empty; results quote it")
    try:
        split = validation_split(dataset)
    except DataError as error:
        raise Fault(f"no validation split can be made: {error}") from None
    require(len(split.fit_rows), "the validation split leaves no image to fit on")


def dataset_deterministic(case: DatasetCase) -> None:
    """Loading twice gives the same arrays, whatever the global random state, in separate memory."""
    first = case.dataset
    with global_seed(1):
        second = case.load()
    arrays, others = _arrays(first), _arrays(second)
    for name, array in arrays.items():
        other = others.get(name)
        if other is None or not np.array_equal(array, other, equal_nan=array.dtype.kind == "f"):
            raise Fault(f"{name} differs from one load to the next; use no randomness without a fixed seed")
        shared = array.size and np.shares_memory(array, other) and array.flags.writeable
        require(not shared, f"{name} is one writable array for all loads; return a copy")
    names = (first.class_names, first.attribute_names) == (second.class_names, second.attribute_names)
    require(names, "names of classes or attributes differ from one load to the next")


def _arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    everything = {**vars(dataset), **vars(dataset.split), "regions": None}
    return {name: one for name, one in everything.items() if isinstance(one, np.ndarray)}


def regions_by_row(case: DatasetCase) -> None:
    """There are float32 region features for every image, and rows are read in the order given."""
    dataset = case.dataset
    regions, images = dataset.regions, len(dataset.labels)
    if regions is None:
        raise NotApplicable("the data set has no region features")
    require(regions.shape[0] == images, f"regions of {regions.shape[0]} images, but there are {images}")
    order = np.array([images - 1, 0])
    part = regions[order]
    require(
        part.dtype == np.float32 and part.shape == (2, *regions.shape[1:]),
        f"regions of two images are {part.dtype} {part.shape}, not float32 (2, regions, dv)",
    )
    require(np.isfinite(part).all(), "regions hold NaN or infinite values")
    ordered = all(np.array_equal(regions[order[i : i + 1]][0], part[i]) for i in range(2))
    require(ordered, "regions are not in the order of the rows given")


# --- extractors ----------------------------------------------------------------------------------


def sample_images(case: ComponentCase) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Images, and a function that extracts features with a new extractor."""
    size = case.cls(case.settings).image_size
    valid = isinstance(size, int) and size >= 1
    require(valid, f"image_size is {size!r}; set it to the images' height and width in pixels")
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((case.inputs.images, 3, size, size), generator=generator).to(case.device)
    return images, torch.no_grad()(lambda images: case.cls(case.settings).extract(images))


def extracts_regions(case: ComponentCase) -> None:
    """Images (b, 3, h, w) become finite region features (b, regions, dv) and do not change."""
    images, extract = sample_images(case)
    with unchanged("extract", {"images": images}):
        found = extract(images)
    require_floats("extract", found, len(images), "regions", "dv")
    require(not found.requires_grad, "features require gradients; freeze the backbone")


def extraction_repeats(case: ComponentCase) -> None:
    """Two extractors with the same settings give the same bits, whatever the global random state."""
    images, extract = sample_images(case)
    advice = "load frozen weights and put the backbone into eval mode"
    require_pure("extract", lambda: extract(images), {"images": images}, advice)


def images_independent(case: ComponentCase) -> None:
    """An image's features do not depend on the other images of its batch."""
    images, extract = sample_images(case)
    require_by_row("extract", extract, images)
