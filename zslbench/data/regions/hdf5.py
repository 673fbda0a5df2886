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
from collections.abc import Callable, Iterator
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
    as_float32,
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

_COMPANIONS = {
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
    file = RegionFile.read(path)
    if file.offset is not None:
        return MappedHdf5(file)

    def copy(folder: Path) -> None:
        _log.info("copying %s to %s, once (%.1f GB)", path, folder, file.size / 1e9)
        file.copy(folder, file.dtype, log_progress(f"copying {path.name}", file.size))

    return cache.cached_store(path.stem, cache.file_key(path), copy, path)


@dataclass(frozen=True)
class RegionFile:
    """An HDF5 file with region features: everything in it but the feature map."""

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
    offset: int | None
    """Where the feature map begins; None: it is in chunks or of another type, and cannot be memory-mapped."""

    @classmethod
    def read(cls, path: Path) -> RegionFile:
        """Read everything but the feature map.

        Raises:
            DataError: it cannot be read, or is not in this layout.
        """
        with _open(path) as (file, features):
            images, channels, height, width = features.shape
            dtype = STORED_TYPES.get(features.dtype.name, STORED_TYPES["float32"])
            attributes = features.attrs
            scale = None
            if "scale" in attributes:
                scale = float(np.asarray(attributes["scale"]).reshape(-1)[0])
                stored_type(dtype, scale, path)
            provenance = {"source": path.name, "grid": [height, width], "simulated": False}
            for name, kind in (("backbone", str), ("simulated", bool)):
                if name in attributes:
                    provenance[name] = kind(attributes[name])
            labels = _numbers(path, file, "labels", 1)
            if labels is None:
                raise DataError(path, ["has no 'labels'"])
            image_files = None
            if isinstance(file.get("image_files"), h5py.Dataset):
                names = np.asarray(file["image_files"][()]).reshape(-1)
                image_files = tuple(
                    one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in names
                )
            for key, given in (("labels", labels), ("image_files", image_files)):
                if given is not None and len(given) != images:
                    raise DataError(path, [f"{key}: {len(given)}, images: {images}"])
            companions = {}
            for key, name in _COMPANIONS.items():
                array = _numbers(path, file, key, 1 if name in PARTS else 2)
                if array is not None:
                    companions[name] = array
            mappable = features.chunks is None and features.dtype == dtype
            return cls(
                path,
                (images, height * width, channels),
                dtype,
                scale,
                labels,
                image_files,
                companions,
                provenance,
                features.id.get_offset() if mappable else None,
            )

    @property
    def size(self) -> int:
        """Bytes of the regions in a store of the same type."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def blocks(self) -> Iterator[Shaped[np.ndarray, "n regions dv"]]:
        """The regions as in the file, in order, a bounded number at a time.

        Raises:
            DataError: it cannot be read.
        """
        with _open(self.path) as (_, features):
            images, regions, channels = self.shape
            chunk = features.chunks[0] if features.chunks else 1
            row = channels * regions * features.dtype.itemsize
            # Whole chunks at a time, so that each is decompressed once.
            size = chunk * max(1, BLOCK_BYTES // (chunk * row))
            for start in range(0, images, size):
                block = features[start : start + size]
                yield block.reshape(len(block), channels, regions).swapaxes(1, 2)

    def copy(self, folder: Path, dtype: np.dtype[Any], advance: Callable[[int], None]) -> None:
        """Copy the region features to a new store, in constant memory.

        Args:
            dtype: of the store; uint8 keeps its scale, floats are the values that it stands for.
            advance: called after each block with its bytes.

        Raises:
            DataError: the file cannot be read or has unusable values; or the store cannot be written.
        """
        scale = self.scale if dtype == np.uint8 else None
        blocks = self.blocks()
        if scale != self.scale:
            blocks = (as_float32(block, self.scale) for block in blocks)
        with RegionWriter(
            folder, self.shape, dtype, scale, companions=self.companions, provenance=self.provenance
        ) as writer:
            writer.extend(blocks, self.labels, self.image_files, source=self.path, advance=advance)


class MappedHdf5(StoredRegions):
    """An HDF5 file whose feature map is memory-mapped.

    Its digest and the mean over regions need one pass through the file; both are stored in the cache.
    """

    def __init__(self, file: RegionFile) -> None:
        images, regions, channels = file.shape
        shape = (images, channels, regions)
        rows = MappedRows(file.path, file.dtype, shape, offset=file.offset or 0, transposed=True)
        super().__init__(file.path, rows, file.scale, file.companions, file.provenance)
        self._file = file

    @cached_property
    def _computed(self) -> Path:
        key = {"digest": 1, **cache.file_key(self.path)}
        return cache.make_once(cache.cached_path(self.path.stem, key), self._compute)

    def _compute(self, folder: Path) -> None:
        images, _, channels = self.shape
        _log.info("reading %s, once (%.1f GB), for its digest", self.path, self._file.size / 1e9)
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
        return str(json.loads((self._computed / "digest.json").read_bytes())["sha256"])

    @cached_property
    def features(self) -> Float[np.ndarray, "images dv"]:
        """The mean over regions."""
        return np.asarray(np.load(self._computed / "features.npy"))

    @property
    def labels(self) -> Int[np.ndarray, " images"]:
        return self._file.labels

    @property
    def image_files(self) -> tuple[str, ...] | None:
        return self._file.image_files


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple[h5py.File, h5py.Dataset]]:
    """The file and its feature map."""
    try:
        with h5py.File(path, "r") as file:
            found = file.get(FEATURE_MAP)
            if not isinstance(found, h5py.Dataset):
                raise DataError(path, [f"has no '{FEATURE_MAP}': it contains no region features"])
            if found.ndim != 4 or 0 in found.shape:
                raise DataError(
                    path, [f"{FEATURE_MAP} is {found.shape}, not (images, channels, height, width)"]
                )
            if found.dtype.name not in (*STORED_TYPES, "float64"):
                raise DataError(path, [f"{FEATURE_MAP} is of type {found.dtype}, not float or uint8"])
            yield file, found
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(path, [f"cannot be read as HDF5 ({error})"]) from None


def _numbers(path: Path, file: h5py.File, key: str, axes: int) -> np.ndarray | None:
    """A vector of integers or a matrix of float32; None: the file has none."""
    if not isinstance(file.get(key), h5py.Dataset):
        return None
    array = np.asarray(file[key][()])
    array = array.reshape(-1) if axes == 1 else array
    if array.ndim != axes or array.dtype.kind not in "iuf":
        raise DataError(path, [f"{key} is {array.dtype} {array.shape}, not numbers of {axes} axes"])
    return array.astype(np.int64 if axes == 1 else np.float32)
