"""Region features: in memory, or in a region store, a folder that is read by row, however large.

Format of a store, version 1::

    store.json            describes the rest (below); written last, so a folder without it is not a store
    regions.npy           (images, regions, channels) float16, float32 or uint8, C order, little-endian
    features.npy          (images, channels) float32, the mean over regions
    images.parquet        one row per image: row (int64), image_file (string or null), label (int64, 0-based)
    <companion>.npy       att, original_att (classes, attributes), attribute_vectors (attributes, words),
                          trainval, test_seen, test_unseen (0-based rows of images): as far as available

``store.json`` is an object with

* ``format``: 1;
* ``arrays``: for each array ``file``, ``dtype`` (NumPy's, as ``<f2``), ``shape``, ``scale`` (uint8: value =
  integer times scale; else null) and ``sha256`` of dtype, shape and values
  (:func:`zslbench.data.provenance.array_sha256`);
* ``index``: ``file`` and ``sha256`` of the Parquet file's bytes, and its number of ``rows``;
* ``provenance``: ``source`` (name of the file it was made from), ``backbone``, ``grid`` (height and width),
  ``simulated`` (true or false), ``settings`` (what produced it).

A store is never changed. :class:`~zslbench.data.regions.writer.RegionWriter` writes one.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from zslbench.data.provenance import array_sha256
from zslbench.data.regions.layout import BLOCK_BYTES, MappedRows, as_float32, stored_type
from zslbench.errors import DataError
from zslbench.plugin.dataset import Indices
from zslbench.store.files import sha256_of

FORMAT = 1
DESCRIPTION = "store.json"
INDEX = "images.parquet"


class ArrayRegions:
    """Region features held in memory; a :class:`~zslbench.plugin.dataset.RegionSource`.

    Args:
        array: (images, regions, dv), float32.
    """

    def __init__(self, array: Float[np.ndarray, "images regions dv"]) -> None:
        self.array = array

    @property
    def shape(self) -> tuple[int, int, int]:
        """(images, regions, channels)."""
        images, regions, channels = self.array.shape
        return images, regions, channels

    def __getitem__(self, rows: Indices) -> Float[np.ndarray, "n regions dv"]:
        """A float32 copy of these images' regions, in the order requested."""
        return np.asarray(self.array[rows], dtype=np.float32)


class StoredRegions(ABC):
    """Region features on the disk in any layout; a :class:`~zslbench.plugin.dataset.RegionSource`.

    Args:
        path: the file or folder that users see.
        rows: its regions, (images, regions, channels).
        scale: what uint8 values are multiplied with.
        companions: small arrays from the same source: ``att`` and ``original_att`` (C, A),
            ``attribute_vectors`` (A, words), and rows of the split's parts (0-based).
        provenance: where values come from: ``source``, ``backbone``, ``grid``, ``simulated``, ``settings``.
    """

    def __init__(
        self,
        path: Path,
        rows: MappedRows,
        scale: float | None,
        companions: Mapping[str, np.ndarray],
        provenance: Mapping[str, Any],
    ) -> None:
        self.path, self.scale = path, scale
        self.companions, self.provenance = companions, provenance
        self._rows = rows

    @property
    def name(self) -> str:
        """Its name for ``--regions``: that of the file or folder without its suffix."""
        return self.path.stem if self.path.suffix in (".h5", ".hdf5") else self.path.name

    @property
    def shape(self) -> tuple[int, int, int]:
        """(images, regions, channels)."""
        regions, channels = self._rows.row
        return len(self._rows), regions, channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that values are stored in."""
        return self._rows.dtype

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
        """
        if out is None:
            out = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype)
        self._rows.gather(np.asarray(rows), out)
        return out

    def blocks(self) -> Iterator[Shaped[np.ndarray, "n regions dv"]]:
        """All regions as stored, in order, a bounded number at a time."""
        images, regions, channels = self.shape
        size = max(1, BLOCK_BYTES // (regions * channels * self.dtype.itemsize))
        for start in range(0, images, size):
            yield self.raw(np.arange(start, min(start + size, images)))

    @property
    @abstractmethod
    def array_sha256(self) -> str:
        """sha256 of the stored array, as :func:`zslbench.data.provenance.array_sha256` computes it."""

    @property
    def sha256(self) -> str:
        """sha256 of the values: that of the stored array together with its scale."""
        digest, scale = self.array_sha256, self.scale
        return digest if scale is None else hashlib.sha256(f"{digest} times {scale!r}".encode()).hexdigest()

    @property
    @abstractmethod
    def features(self) -> Float[np.ndarray, "images dv"]:
        """The mean over regions."""

    @property
    @abstractmethod
    def labels(self) -> Int[np.ndarray, " images"]:
        """Class id of every image, 0-based, int64."""

    @property
    @abstractmethod
    def image_files(self) -> tuple[str, ...] | None:
        """File name of every image; None: unknown."""

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


def is_region_store(path: Path) -> bool:
    """Whether a folder is a region store."""
    return (path / DESCRIPTION).is_file()


class RegionStore(StoredRegions):
    """An open region store. Opening reads only ``store.json`` and the headers of the arrays."""

    def __init__(self, folder: Path, description: dict[str, Any], path: Path | None = None) -> None:
        self.folder = folder
        """Of the store; ``path`` may be the file that it was copied from."""
        self._arrays: dict[str, dict[str, Any]] = description["arrays"]
        self._index: dict[str, Any] = description["index"]
        regions = self._arrays["regions"]
        scale = None if regions["scale"] is None else float(regions["scale"])
        stored_type(regions["dtype"], scale, folder / DESCRIPTION)
        mapped = {name: self._mapped(name) for name in self._arrays}
        small = {name: one.array for name, one in mapped.items() if name not in ("regions", "features")}
        super().__init__(path or folder, mapped["regions"], scale, small, description["provenance"])
        self._features = mapped["features"]
        if self.shape[0] != len(self._features) or self.shape[0] != self._index["rows"]:
            raise DataError(folder / DESCRIPTION, ["its arrays and index disagree on the number of images"])

    @classmethod
    def open(cls, path: str | Path, source: Path | None = None) -> RegionStore:
        """Open the store in this folder.

        Args:
            source: the file that it was copied from, to be known by that name.

        Raises:
            DataError: it is not a store or has a newer format, or a file is missing, cut off or replaced.
        """
        folder = Path(path)
        try:
            description = json.loads((folder / DESCRIPTION).read_bytes())
            version = description["format"]
            if version != FORMAT:
                raise DataError(folder, [f"has format {version}, this zslbench reads format {FORMAT}"])
            return cls(folder, description, source)
        except FileNotFoundError:
            raise DataError(folder, [f"is not a region store: it has no {DESCRIPTION}"]) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(folder / DESCRIPTION, [f"is damaged ({type(error).__name__}: {error})"]) from None

    @property
    def array_sha256(self) -> str:
        """As computed when it was written; :meth:`verify` computes it again."""
        return str(self._arrays["regions"]["sha256"])

    @property
    def features(self) -> Float[np.ndarray, "images dv"]:
        """The mean over regions, memory-mapped."""
        return self._features.array

    @cached_property
    def labels(self) -> Int[np.ndarray, " images"]:
        column = self._table(["label"]).column("label").to_numpy()
        return np.array(column, dtype=np.int64)

    @cached_property
    def image_files(self) -> tuple[str, ...] | None:
        column = self._table(["image_file"]).column("image_file")
        return None if column.null_count else tuple(column.to_pylist())

    def _table(self, columns: list[str]) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        path = self.folder / self._index["file"]
        try:
            table = parquet.read_table(path, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise DataError(path, [f"is damaged ({type(error).__name__})"]) from None
        if table.num_rows != self.shape[0] or table.column_names != columns:
            raise DataError(path, [f"has {table.num_rows} rows, the regions {self.shape[0]}"])
        return table

    def verify(self) -> list[str]:
        """Names of the store's arrays (and ``index``) whose bytes are not those that were written."""
        damaged = [
            name
            for name, one in self._arrays.items()
            if array_sha256(self._mapped(name).array) != one["sha256"]
        ]
        if sha256_of(self.folder / self._index["file"]) != self._index["sha256"]:
            damaged.append("index")
        return damaged

    def _mapped(self, name: str) -> MappedRows:
        one = self._arrays[name]
        return _map_npy(self.folder / one["file"], np.dtype(one["dtype"]), tuple(one["shape"]))


def _map_npy(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> MappedRows:
    """Memory-map a ``.npy`` file that must hold this array."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0(file)  # the version that is written
            offset = file.tell()
    except FileNotFoundError:
        raise DataError(path, ["is missing"]) from None
    except (OSError, ValueError) as error:
        raise DataError(path, [f"is not a NumPy array ({error})"]) from None
    if header != (shape, False, dtype):
        raise DataError(path, [f"holds {header[2]} {header[0]}, {DESCRIPTION} says {dtype} {shape}"])
    return MappedRows(path, dtype, shape, offset=offset)
