"""Checks of data sets and extractors."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
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
from zslbench.testing.bits import close, same_bits
from zslbench.testing.check import Fault, NotApplicable
from zslbench.testing.subject import Subject, global_seed


@dataclass(frozen=True)
class Source:
    """A data set under check."""

    registered: Registered[Component]
    settings: ComponentSettings
    root: Path | None = field(default=None)

    def load(self, root: Path | None = None) -> Any:
        """What the source's ``load`` gives."""
        request = DataRequest(self.registered.name, data_root(root or self.root))
        return load_class(self.registered)(self.settings).load(request)

    @cached_property
    def _loaded(self) -> Any:
        return self.load()

    def dataset(self) -> Any:
        """The data set, read once.

        Raises:
            NotApplicable: it is not on this machine.
        """
        try:
            return self._loaded
        except MissingData as error:
            raise NotApplicable(f"data set '{self.registered.name}' is not here: {error}") from None


def loads_or_says_what_is_missing(source: Source) -> None:
    """Where its files are not there, ``load`` raises MissingData that says what to do."""
    with tempfile.TemporaryDirectory() as empty:
        try:
            source.load(Path(empty))
        except MissingData as error:
            if not error.advice:
                raise Fault(
                    "MissingData without advice; say the command or link that gets the files"
                ) from None
        except Exception as error:
            raise Fault(
                f"load from an empty folder raises {type(error).__name__}; raise MissingData with advice"
            ) from None
        if any(Path(empty).iterdir()):
            raise Fault("load writes into the data root; reading must not")


def dataset_valid(source: Source) -> None:
    """``load`` gives a Dataset without faults, and a validation split can be made of it."""
    dataset = source.dataset()
    if not isinstance(dataset, Dataset):
        raise Fault(f"load gives a {type(dataset).__name__}, not a Dataset")
    if found := dataset_faults(dataset):
        raise Fault("; ".join(found))
    for name in ("name", "features_name", "semantics_name"):
        if not getattr(dataset, name):
            raise Fault(f"{name} is empty; results quote it")
    try:
        split = validation_split(dataset)
    except DataError as error:
        raise Fault(f"no validation split can be made: {error}") from None
    if not len(split.fit_rows):
        raise Fault("the validation split leaves no image to fit on")


def dataset_deterministic(source: Source) -> None:
    """Loading twice gives the same arrays, whatever the global random state, in memory of its own."""
    first = source.dataset()
    with global_seed(1):
        second = source.load()
    for name, array in _arrays(first).items():
        other = _arrays(second).get(name)
        if other is None or not np.array_equal(array, other, equal_nan=array.dtype.kind == "f"):
            raise Fault(f"{name} differs from one load to the next")
        if array.size and np.shares_memory(array, other) and array.flags.writeable:
            raise Fault(f"{name} is one writable array for all loads; give each its own")
    if (first.class_names, first.attribute_names) != (second.class_names, second.attribute_names):
        raise Fault("names of classes or attributes differ from one load to the next")


def _arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    parts = {
        name: getattr(dataset, name) for name in ("features", "labels", "semantics", "attribute_vectors")
    }
    names = ("trainval", "test_seen", "test_unseen", "validation_classes")
    parts |= {name: getattr(dataset.split, name) for name in names}
    return {name: array for name, array in parts.items() if array is not None}


def regions_by_row(source: Source) -> None:
    """Region features are float32, as many as images, and read in the order asked for."""
    dataset = source.dataset()
    regions = dataset.regions
    if regions is None:
        raise NotApplicable("the data set has no region features")
    if regions.shape[0] != len(dataset.labels):
        raise Fault(f"regions of {regions.shape[0]} images, but there are {len(dataset.labels)}")
    order = np.array([len(dataset.labels) - 1, 0])
    part = regions[order]
    if part.dtype != np.float32 or part.shape != (2, *regions.shape[1:]):
        raise Fault(f"regions of two images are {part.dtype} {part.shape}, not float32 (2, regions, dv)")
    if not np.isfinite(part).all():
        raise Fault("regions hold NaN or infinite values")
    if not all(np.array_equal(regions[order[i : i + 1]][0], part[i]) for i in range(2)):
        raise Fault("regions do not come in the order asked for")


# --- extractors ----------------------------------------------------------------------------------


def _images(subject: Subject) -> Tensor:
    size = subject.cls(subject.settings).image_size
    if not isinstance(size, int) or size < 1:
        raise Fault(f"image_size is {size!r}; give the images' height and width in pixels")
    generator = torch.Generator().manual_seed(0)
    return torch.rand((subject.inputs.images, 3, size, size), generator=generator).to(subject.device)


def _extract(subject: Subject, images: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = subject.cls(subject.settings).extract(images)
    return found


def extracts_regions(subject: Subject) -> None:
    """Images (b, 3, h, w) become finite region features (b, regions, dv), and stay as they are."""
    images = _images(subject)
    before = images.clone()
    found = _extract(subject, images)
    if not isinstance(found, Tensor) or not found.is_floating_point() or found.ndim != 3:
        raise Fault(f"extract gives {type(found).__name__} {tuple(found.shape)}, not (b, regions, dv)")
    if len(found) != len(images):
        raise Fault(f"extract gives {len(found)} rows for {len(images)} images")
    if not bool(found.isfinite().all()):
        raise Fault("extract gives NaN or infinite values")
    if found.requires_grad:
        raise Fault("features require gradients; the backbone is frozen")
    if not same_bits(before, images):
        raise Fault("extract changes the images in place")


def extraction_repeats(subject: Subject) -> None:
    """Two extractors of the same settings give the same bits, whatever the global random state."""
    images = _images(subject)
    found = []
    for seed in (1, 2):
        with global_seed(seed):
            found.append(_extract(subject, images))
    if not same_bits(*found):
        raise Fault("extract gives other values each time; load frozen weights and switch dropout off (eval)")


def images_independent(subject: Subject) -> None:
    """An image's features do not depend on the other images of its batch."""
    images = _images(subject)
    whole = _extract(subject, images)
    if not close(_extract(subject, images[:1]), whole[:1]) or not close(
        _extract(subject, images.flip(0)), whole.flip(0)
    ):
        raise Fault("features depend on the rest of the batch; put the backbone into eval mode")
