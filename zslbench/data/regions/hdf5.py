"""Region features in the HDF5 layout of DAZLE and SC-EGG.

==================  ==================  =====================================================
data set            shape               meaning
==================  ==================  =====================================================
``feature_map``     (N, dv, h, w)       float16, float32, float64, or uint8 with the attribute ``scale``
``labels``          (N,)                class ids, 0-based
``trainval_loc``    (n,)                rows of images, 0-based; ``test_seen_loc``, ``test_unseen_loc`` too
``att``             (C, A)              class attributes; ``original_att`` too
``w2v_att``         (A, words)          word vectors of the attributes
``image_files``     (N,)                names of the images
==================  ==================  =====================================================

Only ``feature_map`` and ``labels`` are required. A region is one cell of the h x w map, row by row.
Source: hbdat/cvpr20_DAZLE and HHHZM/SC-EGG, extract_feature and preprocessing scripts.

A contiguous feature map is memory-mapped. A chunked one (compressed or not) is copied once to a region store
in the cache: reading 64 images at random from it would decompress a whole chunk for each.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Int, Shaped

from zslbench.data.provenance import ArrayDigest
from zslbench.data.regions import cache
from zslbench.data.regions.layout import (
    BLOCK_BYTES,
    STORED_TYPES,
    MappedRows,
    mean_over_regions,
    not_finite,
    stored_type,
)
from zslbench.data.regions.store import StoredRegions
from zslbench.data.regions.writer import RegionWriter, log_progress
from zslbench.data.validate import PARTS
from zslbench.errors import DataError
from zslbench.store.files import write_whole

FEATURE_MAP = "feature_map"
HDF5_SUFFIXES = (".hdf5", ".h5")

_SMALL = {
    "att": "att",
    "original_att": "original_att",
    "w2v_att": "attribute_vectors",
    **{f"{part}_loc": part for part in PARTS},
}
_log = logging.getLogger("zslbench")


def is_region_file(path: Path) -> bool:
    """Whether an HDF5 file has region features."""
    try:
        with h5py.File(path, "r") as file:
            return isinstance(file.get(FEATURE_MAP), h5py.Dataset)
    except OSError:
        return False


def open_hdf5(path: Path) -> StoredRegions:
    """Region features of an HDF5 file: memory-mapped, or copied once to the cache.

    Raises:
        DataError: it cannot be read, or is not in this layout.
    """
    with _open(path) as file:
        features = _feature_map(path, file)
        scale, dtype, offset = _scale(path, features), features.dtype, features.id.get_offset()
        contiguous = features.chunks is None and offset is not None
        if contiguous and dtype.name in STORED_TYPES and dtype.newbyteorder("<") == dtype:
            images, channels, height, width = features.shape
            shape = (images, channels, height * width)
            rows = MappedRows(path, dtype, shape, offset=offset, transposed=True)
            return MappedHdf5(path, rows, scale, _companions(path, file), _provenance(path, features))
    return cache.cached_store(path.stem, cache.file_key(path), lambda folder: _copy(path, folder), path)


@dataclass(frozen=True)
class Hdf5Metadata:
    """Everything in an HDF5 file but its feature map."""

    path: Path
    shape: tuple[int, int, int]
    """(images, regions, channels)."""
    dtype: np.dtype[Any]
    """The type that a store has for its values; float64 becomes float32."""
    scale: float | None
    labels: Int[np.ndarray, " images"]
    image_files: tuple[str, ...] | None
    companions: dict[str, np.ndarray]
    provenance: dict[str, Any]


def read_hdf5_metadata(path: Path) -> Hdf5Metadata:
    """Everything in an HDF5 file but its feature map.

    Raises:
        DataError: it cannot be read, or is not in this layout.
    """
    with _open(path) as file:
        features = _feature_map(path, file)
        images, channels, height, width = features.shape
        return Hdf5Metadata(
            path,
            (images, height * width, channels),
            STORED_TYPES.get(features.dtype.name, STORED_TYPES["float32"]),
            _scale(path, features),
            _labels(path, file),
            _image_files(path, file),
            _companions(path, file),
            _provenance(path, features),
        )


def read_hdf5_blocks(path: Path) -> Iterator[Shaped[np.ndarray, "n regions dv"]]:
    """The regions of an HDF5 file as stored, in order, a bounded number at a time.

    Raises:
        DataError: it cannot be read.
    """
    with _open(path) as file:
        features = _feature_map(path, file)
        images, channels, height, width = features.shape
        chunk = features.chunks[0] if features.chunks else 1
        row = channels * height * width * features.dtype.itemsize
        # Whole chunks at a time, so that each is decompressed once.
        size = chunk * max(1, BLOCK_BYTES // (chunk * row))
        for start in range(0, images, size):
            block = features[start : start + size]
            yield block.reshape(len(block), channels, height * width).swapaxes(1, 2)


def _copy(path: Path, folder: Path) -> None:
    """Copy the region features of an HDF5 file to a new store, in constant memory.

    Raises:
        DataError: the file cannot be read or has unusable values; or the store cannot be written.
    """
    given = read_hdf5_metadata(path)
    size = int(np.prod(given.shape, dtype=np.int64)) * given.dtype.itemsize
    _log.info("copying %s to %s, once (%.1f GB)", path, folder, size / 1e9)
    with RegionWriter(
        folder,
        given.shape,
        given.dtype,
        given.scale,
        companions=given.companions,
        provenance=given.provenance,
    ) as writer:
        writer.extend(
            read_hdf5_blocks(path),
            given.labels,
            given.image_files,
            source=path,
            advance=log_progress(f"copying {path.name}", size),
        )


class MappedHdf5(StoredRegions):
    """An HDF5 file whose feature map is memory-mapped.

    Its digest and the mean over regions need one pass through the file; both are stored in the cache.
    """

    @cached_property
    def _computed(self) -> Path:
        key = {"digest": 1, **cache.file_key(self.path)}
        return cache.make_once(cache.cached_path(self.path.stem, key), self._compute)

    def _compute(self, folder: Path) -> None:
        images, regions, channels = self.shape
        size = images * regions * channels * self.dtype.itemsize
        _log.info("reading %s, once (%.1f GB), for its digest", self.path, size / 1e9)
        digest = ArrayDigest(self.dtype, self.shape)
        means = np.empty((images, channels), dtype=np.float32)
        done = 0
        for block in self.blocks():
            digest.update(block)
            means[done : done + len(block)] = mean_over_regions(block, self.scale)
            done += len(block)
        bad = np.flatnonzero(~np.isfinite(means).all(axis=1))
        if len(bad):
            raise DataError(self.path, [not_finite(len(bad), int(bad[0]), self.dtype)])
        part = folder.with_name(f".{folder.name}.new.part")
        part.mkdir()
        np.save(part / "features.npy", means)
        write_whole(part / "digest.json", json.dumps({"sha256": digest.hexdigest()}).encode())
        part.rename(folder)

    @cached_property
    def array_sha256(self) -> str:
        found = json.loads((self._computed / "digest.json").read_bytes())
        return str(found["sha256"])

    @cached_property
    def features(self) -> Float[np.ndarray, "images dv"]:
        """The mean over regions."""
        means: np.ndarray = np.load(self._computed / "features.npy")
        return means

    @cached_property
    def _metadata(self) -> Hdf5Metadata:
        return read_hdf5_metadata(self.path)

    @property
    def labels(self) -> Int[np.ndarray, " images"]:
        return self._metadata.labels

    @property
    def image_files(self) -> tuple[str, ...] | None:
        return self._metadata.image_files


@contextlib.contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(path, [f"cannot be read as HDF5 ({error})"]) from None


def _feature_map(path: Path, file: h5py.File) -> h5py.Dataset:
    found = file.get(FEATURE_MAP)
    if not isinstance(found, h5py.Dataset):
        raise DataError(path, [f"has no '{FEATURE_MAP}': it contains no region features"])
    if found.ndim != 4 or 0 in found.shape:
        raise DataError(path, [f"{FEATURE_MAP} is {found.shape}, not (images, channels, height, width)"])
    if found.dtype.name not in (*STORED_TYPES, "float64"):
        raise DataError(path, [f"{FEATURE_MAP} is of type {found.dtype}, not float or uint8"])
    return found


def _scale(path: Path, features: h5py.Dataset) -> float | None:
    given = features.attrs.get("scale")
    if given is None:
        return None
    scale = float(np.asarray(given).reshape(-1)[0])
    stored_type(features.dtype if features.dtype.name in STORED_TYPES else np.float32, scale, path)
    return scale


def _provenance(path: Path, features: h5py.Dataset) -> dict[str, Any]:
    found: dict[str, Any] = {"source": path.name, "grid": list(features.shape[2:]), "simulated": False}
    for name in ("backbone", "simulated"):
        if name in features.attrs:
            value = features.attrs[name]
            found[name] = bool(value) if name == "simulated" else str(value)
    return found


def _companions(path: Path, file: h5py.File) -> dict[str, np.ndarray]:
    found = {}
    for key, name in _SMALL.items():
        if isinstance(file.get(key), h5py.Dataset):
            axes = 1 if name in PARTS else 2
            array = np.asarray(file[key][()])
            array = array.reshape(-1) if axes == 1 else array
            if array.ndim != axes or array.dtype.kind not in "iuf":
                raise DataError(path, [f"{key} is {array.dtype} {array.shape}, not numbers of {axes} axes"])
            found[name] = array.astype(np.int64 if axes == 1 else np.float32)
    return found


def _labels(path: Path, file: h5py.File) -> Int[np.ndarray, " images"]:
    images = file[FEATURE_MAP].shape[0]
    if not isinstance(file.get("labels"), h5py.Dataset):
        raise DataError(path, ["has no 'labels'"])
    labels = np.asarray(file["labels"][()]).reshape(-1)
    if labels.dtype.kind not in "iuf" or len(labels) != images:
        raise DataError(path, [f"labels: {len(labels)} of type {labels.dtype}, images: {images}"])
    return labels.astype(np.int64)


def _image_files(path: Path, file: h5py.File) -> tuple[str, ...] | None:
    found = file.get("image_files")
    if not isinstance(found, h5py.Dataset):
        return None
    names = np.asarray(found[()]).reshape(-1)
    if len(names) != file[FEATURE_MAP].shape[0]:
        raise DataError(path, [f"image_files: {len(names)}, images: {file[FEATURE_MAP].shape[0]}"])
    return tuple(one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in names)
