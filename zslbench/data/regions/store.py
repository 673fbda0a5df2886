"""Region features: in memory, or in a region store, a folder that is read by row, however large.

Format of a store, version 1::

    store.json            describes the rest (below); written last, so a folder without it is not a store
    regions.npy           (images, regions, channels) float16, float32 or uint8, C order, little-endian
    features.npy          (images, channels) float32, the mean over regions
    images.parquet        one row per image: row (int64), image_file (string or null), label (int64, 0-based)
    <companion>.npy       att, original_att (classes, attributes), attribute_vectors (attributes, words),
                          trainval, test_seen, test_unseen (0-based rows of images): as far as available

``store.json`` is an object with

* ``sha256``: of this file, written by :func:`zslbench.store.files.checked_json`; missing in older stores;
* ``format``: 1;
* ``arrays``: for each array ``file``, ``dtype`` (NumPy's, as ``<f2``), ``shape``, ``scale`` (uint8: value =
  integer times scale; else null) and ``sha256`` of dtype, shape and values
  (:func:`zslbench.data.provenance.array_sha256`). In the cache, ``regions`` may have an ``offset``: they are
  then not copied, but mapped at this byte of the HDF5 file, as (images, channels, regions) unless their
  ``layout`` is ``channels-last``;
* ``index``: ``file`` and ``sha256`` of the Parquet file's bytes, and its number of ``rows``;
* ``provenance``: ``source`` (name of the file it was made from), ``backbone``, ``grid`` (height and width),
  ``simulated`` (true or false), ``settings`` (what produced it), ``layout`` (if the source or the user said
  whether channels come first or last).

A store is never changed. :class:`~zslbench.data.regions.writer.RegionWriter` writes one.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import threading
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from zslbench.data.kinds import absence
from zslbench.data.once import FileState, file_state, is_known, remember
from zslbench.data.provenance import ArrayDigest, array_sha256
from zslbench.data.regions.layout import BLOCK_BYTES, as_float32, stored_type
from zslbench.errors import DataError
from zslbench.plugin.dataset import Indices
from zslbench.store.files import parse_checked_json, sha256_of
from zslbench.store.parsing import parse_json

FORMAT = 1
DESCRIPTION = "store.json"
INDEX = "images.parquet"

_PREFETCH = 1 << 16
"""Bytes of a row from which the kernel is asked to read rows ahead."""


_LARGE = 1 << 30
"""Bytes from which a store is checked in the background."""

_CHECK = "region store"
_checking = threading.Lock()


class ArrayRegions:
    """Region features held in memory; a :class:`~zslbench.plugin.dataset.RegionSource`.

    Args:
        array: (images, regions, dv), float32, or uint8 of pictures.
    """

    def __init__(self, array: Shaped[np.ndarray, "images regions dv"]) -> None:
        self.array = array
        images, regions, channels = array.shape
        self.shape = (images, regions, channels)

    def __getitem__(self, rows: Indices) -> Float[np.ndarray, "n regions dv"]:
        """A float32 copy of these images' regions, in the order requested."""
        return np.asarray(self.array[rows], dtype=np.float32)


def is_region_store(path: Path) -> bool:
    """Whether a folder is a region store."""
    return (path / DESCRIPTION).is_file()


class RegionStore:
    """An open region store; a :class:`~zslbench.plugin.dataset.RegionSource`.

    Opening reads only ``store.json`` and the headers of the arrays.
    """

    def __init__(self, folder: Path, description: dict[str, Any], path: Path | None = None) -> None:
        self.folder = folder
        """The store's folder."""
        self.path = path or folder
        """What users see: the folder, or the file that the store in the cache was made from."""
        self._entries: dict[str, dict[str, Any]] = description["arrays"]
        self._index: dict[str, Any] = description["index"]
        self.provenance: dict[str, Any] = description["provenance"]
        """Where values come from: ``source``, ``backbone``, ``grid``, ``simulated``, ``settings``."""
        self._opened = self._state()
        self._damaged: list[str] | None = None
        regions = self._entries["regions"]
        self.scale = None if regions["scale"] is None else float(regions["scale"])
        """What uint8 values are multiplied with."""
        self.dtype = stored_type(regions["dtype"], self.scale, folder / DESCRIPTION)
        """The type that values are stored in."""
        arrays = {name: self._mapped(name) for name in self._entries}
        self._stored = arrays.pop("regions")
        self.features: Float[np.ndarray, "images dv"] = np.asarray(arrays.pop("features"))
        """The mean over regions, memory-mapped."""
        self.companions = {name: np.asarray(array) for name, array in arrays.items()}
        """Small arrays from the same source: ``att`` and ``original_att`` (C, A), ``attribute_vectors``
        (A, words), and rows of the split's parts (0-based)."""
        images, count, channels = regions["shape"]
        self.shape: tuple[int, int, int] = images, count, channels
        """(images, regions, channels)."""
        if not images == len(self.features) == self._index["rows"]:
            raise DataError(folder / DESCRIPTION, ["its arrays and index disagree on the number of images"])

    @classmethod
    def open(cls, path: str | Path, source: Path | None = None) -> RegionStore:
        """Open the store in this folder.

        Args:
            source: the file that it was made from, to be known by that name.

        Raises:
            DataError: it is not a store or has a newer format, or a file is missing, cut off or replaced.
        """
        folder = Path(path)
        try:
            text = (folder / DESCRIPTION).read_bytes()
            description = parse_json(text)
            version = description["format"]
            if version != FORMAT:
                raise DataError(folder, [f"has format {version}, this zslbench reads format {FORMAT}"])
            if "sha256" in description:
                parse_checked_json(text)
            return cls(folder, description, source)
        except FileNotFoundError:
            raise DataError(folder, [f"is not a region store: it has no {DESCRIPTION}"]) from None
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise DataError(folder / DESCRIPTION, [f"is damaged ({type(error).__name__}: {error})"]) from None

    def _mapped(self, name: str) -> np.memmap[Any, Any]:
        """One of the arrays."""
        entry = self._entries[name]
        path, dtype, shape = self.folder / entry["file"], np.dtype(entry["dtype"]), tuple(entry["shape"])
        if fault := absence(path):
            raise DataError(path, [fault])
        try:
            if entry.get("layout") == "channels-last":
                return np.memmap(path, dtype, "r", entry["offset"], shape)
            if "offset" in entry:
                images, regions, channels = shape
                whole = np.memmap(path, dtype, "r", entry["offset"], (images, channels, regions))
                return whole.swapaxes(1, 2)
            array = np.lib.format.open_memmap(path, mode="r")
        except Exception as error:  # NumPy evaluates the header, which can raise anything
            raise DataError(path, [f"is cut off or not a NumPy array ({error})"]) from None
        if (array.shape, array.dtype, array.flags.c_contiguous) != (shape, dtype, True):
            found = f"{array.dtype} {array.shape}"
            raise DataError(path, [f"holds {found}, {DESCRIPTION} says {dtype} {shape}"])
        return array

    @property
    def name(self) -> str:
        """Its name for ``--regions``: that of the file or folder without its suffix."""
        return self.path.stem if self.path.suffix in (".h5", ".hdf5") else self.path.name

    @property
    def simulated(self) -> bool:
        """Whether the values do not come from real images."""
        return bool(self.provenance.get("simulated", False))

    def __getitem__(self, rows: Indices) -> Float[np.ndarray, "n regions dv"]:
        """The regions of these images, float32, in the order requested."""
        return as_float32(self.raw(rows), self.scale)

    def raw(
        self, rows: Indices, out: Shaped[np.ndarray, "n regions dv"] | None = None
    ) -> Shaped[np.ndarray, "n regions dv"]:
        """The regions of these images as stored, not multiplied with ``scale``.

        Args:
            out: filled and returned; None: a new array.

        Raises:
            IndexError: a row number is out of range.
        """
        rows, images = np.asarray(rows), self.shape[0]
        outside = rows[(rows < -images) | (rows >= images)]
        if len(outside):
            raise IndexError(f"row {outside[0]} of {images}")
        out = np.empty((len(rows), *self.shape[1:]), self.dtype) if out is None else out
        numbers = rows % images
        order = np.argsort(numbers, kind="stable")  # in the order on the disk
        self._prefetch(numbers[order].tolist())
        for place, number in zip(order.tolist(), numbers[order].tolist(), strict=True):
            out[place] = self._stored[number]
        return out

    def _prefetch(self, numbers: list[int]) -> None:
        """Have the kernel read several rows ahead while the first ones are copied."""
        size = self._stored.nbytes // self.shape[0]
        if size < _PREFETCH or not hasattr(mmap, "MADV_WILLNEED"):
            return
        stored: Any = self._stored
        first = stored.offset % mmap.ALLOCATIONGRANULARITY  # NumPy maps from the array's page on
        for number in numbers:
            start = first + number * size
            page = start - start % mmap.PAGESIZE
            stored._mmap.madvise(mmap.MADV_WILLNEED, page, start + size - page)

    def blocks(self) -> Iterator[Shaped[np.ndarray, "n regions dv"]]:
        """All regions as stored, in order, a bounded number at a time."""
        images, regions, channels = self.shape
        size = max(1, BLOCK_BYTES // (regions * channels * self.dtype.itemsize))
        for start in range(0, images, size):
            yield self.raw(np.arange(start, min(start + size, images)))

    @property
    def array_sha256(self) -> str:
        """sha256 of the stored array, as computed when it was written; :meth:`verify` computes it again."""
        return str(self._entries["regions"]["sha256"])

    @property
    def sha256(self) -> str:
        """sha256 of the values: that of the stored array together with its scale."""
        digest, scale = self.array_sha256, self.scale
        return digest if scale is None else hashlib.sha256(f"{digest} times {scale!r}".encode()).hexdigest()

    @cached_property
    def labels(self) -> Int[np.ndarray, " images"]:
        """Class id of every image, 0-based, int64."""
        return np.array(self._column("label").to_numpy(), dtype=np.int64)

    @cached_property
    def image_files(self) -> tuple[str, ...] | None:
        """File name of every image; None: unknown."""
        column = self._column("image_file")
        return None if column.null_count else tuple(column.to_pylist())

    def _column(self, name: str) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        path = self.folder / self._index["file"]
        if fault := absence(path) or ("" if self._has_its_index() else "is damaged (sha256)"):
            raise DataError(path, [fault])
        try:
            table = parquet.read_table(path, columns=[name])
        except (OSError, pa.ArrowException) as error:
            raise DataError(path, [f"is damaged ({type(error).__name__})"]) from None
        if table.num_rows != self.shape[0] or table.column_names != [name]:
            raise DataError(path, [f"has {table.num_rows} rows, the regions {self.shape[0]}"])
        return table.column(name)

    def verify(self) -> list[str]:
        """Names of the store's arrays (and ``index``) whose bytes are not those that were written."""
        found = {"regions": self._stored_sha256(), "features": array_sha256(self.features)}
        found |= {name: array_sha256(one) for name, one in self.companions.items()}
        damaged = [name for name, one in self._entries.items() if found[name] != one["sha256"]]
        return damaged if self._has_its_index() else [*damaged, "index"]

    def _has_its_index(self) -> bool:
        path = self.folder / self._index["file"]
        return not absence(path) and sha256_of(path) == self._index["sha256"]

    def _stored_sha256(self) -> str:
        images, regions, channels = self.shape
        digest = ArrayDigest(self.dtype, self.shape)
        size = max(1, BLOCK_BYTES // (regions * channels * self.dtype.itemsize))
        for start in range(0, images, size):
            digest.update(np.ascontiguousarray(self._stored[start : start + size]))
        return digest.hexdigest()

    def require_sound(self) -> None:
        """Make sure that all values read since the store was opened are those that were written.

        The digests are computed once for each state of the files; after that a call takes microseconds.

        Raises:
            DataError: names the arrays that differ from their digests; or a file changed after the store was
                opened, so that what was read before is unknown even if the values are right now.
        """
        with _checking:
            self.require_unchanged()
            if self._damaged is None:
                self._damaged = [] if (known := is_known(_CHECK, self._opened)) else self.verify()
                self.require_unchanged()
                if not known and not self._damaged:
                    remember(_CHECK, self._opened)
            if self._damaged:
                own = self.path == self.folder
                how = "Import or extract it again" if own else f"Delete {self.folder}, which is made from it"
                fault = f"{', '.join(self._damaged)} changed since they were written (sha256)"
                raise DataError(
                    self.path, [fault], f"{how}; --trust-store uses it anyway and marks runs as unverified"
                )

    @property
    def is_unchanged(self) -> bool:
        """Whether all files are as they were when the store was opened: in size, inode and times."""
        return self._state() == self._opened

    @property
    def files_digest(self) -> str:
        """sha256 of the state of all files, wherever they are, when the store was opened."""
        return hashlib.sha256(repr([state[1:] for state in self._opened]).encode()).hexdigest()

    def require_unchanged(self) -> None:
        """As :attr:`is_unchanged`, with a DataError if they are not."""
        if not self.is_unchanged:
            raise DataError(self.path, ["changed while it was in use"], "Run the same command again")

    def begin_check(self) -> None:
        """Start :meth:`require_sound`, in the background if large; a later call then raises its error."""
        if self._stored.nbytes < _LARGE:
            self.require_sound()
        else:
            threading.Thread(target=self._check_quietly, daemon=True).start()

    def _check_quietly(self) -> None:
        with contextlib.suppress(DataError):
            self.require_sound()

    def _state(self) -> list[FileState]:
        """The state of all files."""
        files = [DESCRIPTION, self._index["file"], *(one["file"] for one in self._entries.values())]
        return [file_state(self.folder / file) for file in files]

    def describe(self) -> dict[str, Any]:
        """Its entry in a run's record, as plain data."""
        recorded = ("source", "backbone", "grid", "finetuned")
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype.name,
            "scale": self.scale,
            "sha256": self.sha256,
            "simulated": self.simulated,
            **{key: self.provenance[key] for key in recorded if key in self.provenance},
        }
