"""Region features in the HDF5 layout of DAZLE and SC-EGG.

==================  ==================  =====================================================
data set            shape               meaning
==================  ==================  =====================================================
``feature_map``     (N, dv, h, w)       float16, float32, float64, or uint8 with the attribute ``scale``;
                                        or (N, h, w, dv), if its sizes or its attribute ``layout`` say so
``labels``          (N,)                class ids, 0-based
``trainval_loc``    (n,)                rows of images, 0-based; ``test_seen_loc``, ``test_unseen_loc`` too
``att``             (C, A)              class attributes; ``original_att`` too
``w2v_att``         (A, words)          word vectors of the attributes
``image_files``     (N,)                names of the images
==================  ==================  =====================================================

Only ``feature_map`` and ``labels`` are required. A region is one cell of the h x w map, row by row.
Source: hbdat/cvpr20_DAZLE and HHHZM/SC-EGG, extract_feature and preprocessing scripts.

A contiguous feature map is memory-mapped, after one pass for its digest and the mean over regions, which are
stored in the cache. A chunked one (compressed or not) is copied to the cache once: reading 64 images at
random from it would decompress a whole chunk for each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Int, Shaped

from zslbench.data.hdf5 import open_examined
from zslbench.data.kinds import HDF5, MATLAB_73, UNKNOWN, file_kind, require_file
from zslbench.data.once import file_state, is_known, remember
from zslbench.data.provenance import ArrayDigest
from zslbench.data.regions.cache import Advance, cached_store
from zslbench.data.regions.layout import (
    BLOCK_BYTES,
    LAYOUTS,
    STORED_TYPES,
    as_float32,
    as_stored,
    find_layout,
    stored_type,
)
from zslbench.data.regions.store import DESCRIPTION, RegionStore
from zslbench.data.regions.writer import RegionWriter
from zslbench.data.validate import PARTS
from zslbench.errors import DataError

FEATURE_MAP = "feature_map"
HDF5_SUFFIXES = (".hdf5", ".h5")

_CHECK = "region file"
_VECTORS = {"labels": "labels", **{f"{part}_loc": part for part in PARTS}}
_MATRICES = {"att": "att", "original_att": "original_att", "w2v_att": "attribute_vectors"}
"""Names in the file, and in a store."""


def is_region_file(path: Path) -> bool:
    """Whether an HDF5 file has region features."""
    try:
        with open_examined(path) as file:
            return isinstance(file.get(FEATURE_MAP), h5py.Dataset)
    except DataError:
        return True  # opening it says what is wrong
    except (OSError, RuntimeError, KeyError):
        return False


def open_hdf5(path: Path, widths: Collection[int] = ()) -> RegionStore:
    """Region features of an HDF5 file, as a store in the cache; a contiguous feature map is not copied.

    Args:
        widths: lengths of feature vectors of the same images.

    Raises:
        DataError: it cannot be read, or is not in this layout.
    """
    file = RegionFile(path, widths=widths)
    mapped, found, state = file.offset is not None, path.stat(), [file_state(path)]

    def make(folder: Path, advance: Advance) -> None:
        file.copy(folder, None if mapped else file.dtype, advance)

    store = cached_store(
        path.stem,
        {
            "path": str(path.resolve()),
            "size": found.st_size,
            "changed": found.st_mtime_ns,
            **({"layout": file.layout} if file.layout != LAYOUTS[0] else {}),
        },
        make,
        task=f"reading digest and means of {path}" if mapped else f"copying {path}",
        size=int(np.prod(file.shape, dtype=np.int64)) * file.dtype.itemsize,
        known_as=path,
    )
    made = (store.folder / DESCRIPTION).stat().st_mtime_ns
    if found.st_ctime_ns > made and not is_known(_CHECK, state):
        # The file changed after the copy was made, but its size and modification time are still the same.
        if not _still_matches(file, store):
            fault = f"changed after {store.folder} was made from it, but its modification time was set back"
            raise DataError(path, [fault], f"Delete {store.folder}; it will be made again")
        remember(_CHECK, state)
    return store


def _still_matches(file: RegionFile, store: RegionStore) -> bool:
    """Whether the file still has the values of the store that was made from it."""
    digest = ArrayDigest(store.dtype, store.shape)
    for block in file.blocks():
        digest.update(as_stored(block, file.dtype, file.scale))
    return (
        digest.hexdigest() == store.array_sha256
        and np.array_equal(file.labels, store.labels)
        and file.image_files == store.image_files
        and file.companions.keys() == store.companions.keys()
        and all(np.array_equal(one, store.companions[name]) for name, one in file.companions.items())
    )


class RegionFile:
    """An HDF5 file with region features; all but the feature map is read at once.

    Args:
        layout: of the feature map; None: as the file says, or else as :func:`find_layout` infers it.
        widths: lengths of feature vectors of the same images.

    Raises:
        DataError: it cannot be read, or is not in this layout.
    """

    def __init__(self, path: Path, layout: str | None = None, widths: Collection[int] = ()) -> None:
        self.path = path
        with _open(path) as (file, features):
            labels = file.get("labels")
            count = labels.size if isinstance(labels, h5py.Dataset) else features.shape[0]
            if features.shape[0] != count == features.shape[-1]:
                fault = f"{FEATURE_MAP} is {features.shape}, with the images last, as MATLAB saves it"
                raise DataError(path, [fault], "Reverse its axes before saving: permute(x, [4 3 2 1])")
            layout = layout or _text(features.attrs.get("layout"))
            self.layout = find_layout(features.shape[1:], path, layout, widths)
            last = self.layout == "channels-last"
            images, channels, height, width = [
                features.shape[one] for one in ((0, 3, 1, 2) if last else range(4))
            ]
            self.shape = (images, height * width, channels)
            self.dtype = STORED_TYPES.get(features.dtype.name, STORED_TYPES["float32"])
            """The type that a store has for its values; float64 becomes float32."""
            self.scale: float | None = None
            if "scale" in features.attrs:
                self.scale = float(np.asarray(features.attrs["scale"]).reshape(-1)[0])
                stored_type(self.dtype, self.scale, path)
            self.provenance = {"source": path.name, "grid": [height, width], "simulated": False}
            if layout in LAYOUTS:
                self.provenance["layout"] = self.layout
            for name, kind in (("backbone", str), ("simulated", bool)):
                if name in features.attrs:
                    self.provenance[name] = kind(features.attrs[name])
            self.companions = {
                name: _numbers(path, key, np.asarray(file[key][()]), 1 if key in _VECTORS else 2)
                for key, name in {**_VECTORS, **_MATRICES}.items()
                if isinstance(file.get(key), h5py.Dataset)
            }
            if "labels" not in self.companions:
                raise DataError(path, ["has no 'labels'"])
            self.labels: Int[np.ndarray, " images"] = self.companions.pop("labels")
            self.image_files: tuple[str, ...] | None = None
            if isinstance(file.get("image_files"), h5py.Dataset):
                names = np.asarray(file["image_files"][()]).reshape(-1)
                self.image_files = tuple(
                    one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in names
                )
            for key, given in (("labels", self.labels), ("image_files", self.image_files)):
                if given is not None and len(given) != images:
                    raise DataError(path, [f"has {len(given)} {key} for {images} images"])
            mappable = features.chunks is None and features.dtype == self.dtype
            self.offset = features.id.get_offset() if mappable else None
            """Where the feature map begins; None: it is in chunks or of a type that is not stored."""

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
                if self.layout == "channels-last":
                    yield block.reshape(len(block), regions, channels)
                else:
                    yield block.reshape(len(block), channels, regions).swapaxes(1, 2)

    def copy(self, folder: Path, dtype: np.dtype[Any] | None, advance: Advance) -> None:
        """Copy the region features to a new store, in constant memory.

        Args:
            dtype: of the store; uint8 keeps its scale, floats are the values that it stands for. None: the
                regions are not copied, but mapped in this file.
            advance: called after each block with its bytes.

        Raises:
            DataError: the file cannot be read or has unusable values; or the store cannot be written.
        """
        offset, dtype = (self.offset, self.dtype) if dtype is None else (None, dtype)
        scale = self.scale if dtype == np.uint8 else None
        with RegionWriter(
            folder,
            self.shape,
            dtype,
            scale,
            labels=self.labels,
            image_files=self.image_files,
            companions=self.companions,
            provenance=self.provenance,
            source=self.path,
            offset=offset,
            layout=self.layout,
        ) as writer:
            for block in self.blocks():
                writer.append(block if scale == self.scale else as_float32(block, self.scale))
                advance(block.size * dtype.itemsize)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple[h5py.File, h5py.Dataset]]:
    """The file and its feature map."""
    require_file(path)
    if (kind := file_kind(path)) not in (HDF5, MATLAB_73, UNKNOWN):
        raise DataError(path, [f"is {kind}, not an HDF5 file with '{FEATURE_MAP}'"])
    try:
        with open_examined(path) as file:
            found = file.get(FEATURE_MAP)
            if not isinstance(found, h5py.Dataset):
                raise DataError(path, [f"has no '{FEATURE_MAP}': it contains no region features"])
            if found.ndim != 4 or 0 in found.shape:
                raise DataError(
                    path,
                    [f"{FEATURE_MAP} is {found.shape}, not (images, channels, height, width)"],
                )
            if found.dtype.name not in (*STORED_TYPES, "float64"):
                raise DataError(path, [f"{FEATURE_MAP} is of type {found.dtype}, not float or uint8"])
            yield file, found
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, MemoryError) as error:
        raise DataError(path, [f"cannot be read as HDF5 ({error})"]) from None


def _text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value and str(value)


def _numbers(path: Path, key: str, array: np.ndarray, axes: int) -> np.ndarray:
    """A vector of integers or a matrix of float32."""
    array = array.reshape(-1) if axes == 1 else array
    if array.ndim != axes or array.dtype.kind not in "iuf":
        raise DataError(path, [f"{key} is {array.dtype} {array.shape}, not numbers of {axes} axes"])
    if axes == 2:
        return array.astype(np.float32)
    # The comparison is false for NaN; 2**53 bounds what a float64 can count.
    strange = ~(np.abs(array.astype(np.float64)) < 2**53) | (array != np.floor(array))
    if count := int(np.count_nonzero(strange)):
        raise DataError(path, [f"{count} values of {key} are not whole numbers"])
    return array.astype(np.int64)
