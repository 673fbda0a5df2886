"""Features of other images, from a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zslbench.data import HDF5_SUFFIXES, RegionStore, open_npy, open_regions, read_mat, require_file
from zslbench.errors import DataError, SettingsError
from zslbench.experiment import FittedRun
from zslbench.training import in_chunks


class FeatureRows:
    """What the run's embedding reads, a row for each image.

    Args:
        path: a ``.npy`` array (images, d) or (images, regions, dv); a ``.mat`` file like ``res101.mat``, with
            ``features`` (d, images) and perhaps ``image_files``; or a region store or HDF5 file of regions.

    Raises:
        MissingData: there is no such file.
        DataError: it cannot be read, or its values do not fit the run's data set.
    """

    def __init__(self, run: FittedRun, path: Path) -> None:
        path = path.expanduser()
        self._values, self._names = _read(path)
        self.key = "row" if self._names is None else "file"
        inputs, dataset = run.embedding.inputs, run.dataset
        like = dataset.features if inputs == "features" else dataset.regions
        if inputs == "images" or like is None:
            raise SettingsError(
                f"run {run.record.info.id}: reads pictures, not features; give --images FOLDER"
            )
        wanted, found = tuple(like.shape[1:]), tuple(self._values.shape[1:])
        if found != wanted:
            fault = f"has {_size(found)} for each image; the run was fitted on {inputs} of {_size(wanted)}"
            raise DataError(path, [fault])
        self._run, self._path = run, path

    def __iter__(self) -> Iterator[tuple[np.ndarray, Tensor, list[str]]]:
        """Image numbers, inputs of the embedding, and an empty fault for each image."""
        first = 0
        for chunk in in_chunks(self, "cpu", rows=2**23 // len(self._run.classes())):
            if not torch.isfinite(chunk).all():
                raise DataError(self._path, ["has values that are NaN or infinite"])
            yield np.arange(first, first + len(chunk)), chunk, [""] * len(chunk)
            first += len(chunk)

    def __len__(self) -> int:
        return int(self._values.shape[0])

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        return torch.from_numpy(np.array(self._values[rows.numpy()], dtype=np.float32))

    def name(self, image: int) -> str | int:
        """The image's file name, or its row where names are unknown."""
        return image if self._names is None else self._names[image]


def _read(path: Path) -> tuple[np.ndarray | RegionStore, Sequence[str] | None]:
    """Values by row, and the images' names."""
    if path.is_dir() or path.suffix.lower() in HDF5_SUFFIXES:
        store = open_regions(path)
        return store, store.image_files
    require_file(path)
    if path.suffix.lower() == ".npy":
        array = open_npy(path)
        if array.ndim < 2:
            raise DataError(
                path, [f"has {array.ndim} axis; features are (images, d) or (images, regions, dv)"]
            )
        return array, None
    values = read_mat(path, {"features", "image_files"})
    features, names = values.get("features"), values.get("image_files")
    if not isinstance(features, np.ndarray) or features.ndim != 2:
        raise DataError(path, ["has no matrix 'features' (d x images)"])
    return features.T, names if isinstance(names, list) else None


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) + " values"
