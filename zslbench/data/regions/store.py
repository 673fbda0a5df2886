"""The region store: a folder with region features that are read by row, however large.

Format, version 1::

    store.json            what there is (below); written last, so a folder without it is no store
    regions.npy           (images, regions, channels) float16, float32 or uint8, C order, little-endian
    features.npy          (images, channels) float32, the mean over regions
    images.parquet        one row per image: row (int64), image_file (string or null), label (int64, 0-based)
    <companion>.npy       att, original_att (classes, attributes), attribute_vectors (attributes, words),
                          trainval, test_seen, test_unseen (0-based rows of images): those that came along

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

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from zslbench.data.provenance import array_sha256
from zslbench.data.regions.mapped import MappedRows
from zslbench.data.regions.stored import StoredRegions
from zslbench.data.regions.values import stored_type
from zslbench.errors import DataError
from zslbench.store.files import sha256_of

FORMAT = 1
DESCRIPTION = "store.json"
INDEX = "images.parquet"


def is_store(path: Path) -> bool:
    """Whether a folder is a region store."""
    return (path / DESCRIPTION).is_file()


class RegionStore(StoredRegions):
    """An open region store. Opening reads ``store.json`` and the arrays' headers alone."""

    def __init__(self, folder: Path, description: dict[str, Any], path: Path | None = None) -> None:
        self.folder = folder
        """Where the store lies; ``path`` is what it goes by, which may be the file it was copied from."""
        self._arrays: dict[str, dict[str, Any]] = description["arrays"]
        self._index: dict[str, Any] = description["index"]
        regions = self._arrays["regions"]
        scale = None if regions["scale"] is None else float(regions["scale"])
        stored_type(regions["dtype"], scale, folder / DESCRIPTION)
        mapped = {
            name: _npy(folder / one["file"], np.dtype(one["dtype"]), tuple(one["shape"]))
            for name, one in self._arrays.items()
        }
        small = {name: one.array for name, one in mapped.items() if name not in ("regions", "features")}
        super().__init__(path or folder, mapped["regions"], scale, small, description["provenance"])
        self._features = mapped["features"]
        if self.shape[0] != len(self._features) or self.shape[0] != self._index["rows"]:
            raise DataError(folder / DESCRIPTION, ["its arrays and its index count different images"])

    @classmethod
    def open(cls, path: str | Path, source: Path | None = None) -> RegionStore:
        """Open the store in this folder.

        Args:
            source: the file that it was copied from, by whose name it goes; None: by its own.

        Raises:
            DataError: there is none, it has a newer format, or a file is missing, cut off or another one.
        """
        folder = Path(path)
        try:
            description = json.loads((folder / DESCRIPTION).read_bytes())
            version = description["format"]
            if version != FORMAT:
                raise DataError(folder, [f"has format {version}, this zslbench reads format {FORMAT}"])
            return cls(folder, description, source)
        except FileNotFoundError:
            raise DataError(folder, [f"is no region store: it has no {DESCRIPTION}"]) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(folder / DESCRIPTION, [f"is damaged ({type(error).__name__}: {error})"]) from None

    @property
    def array_sha256(self) -> str:
        """As computed when it was written; :meth:`verify` computes it again."""
        return str(self._arrays["regions"]["sha256"])

    @property
    def features(self) -> Float[np.ndarray, "images dv"]:
        """The mean over regions, mapped."""
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
        damaged = []
        for name, one in self._arrays.items():
            array = _npy(self.folder / one["file"], np.dtype(one["dtype"]), tuple(one["shape"])).array
            if array_sha256(array) != one["sha256"]:
                damaged.append(name)
        if sha256_of(self.folder / self._index["file"]) != self._index["sha256"]:
            damaged.append("index")
        return damaged


def _npy(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> MappedRows:
    """A memory-mapped ``.npy`` file that must hold this array."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            found, fortran, of = read(file)
            offset = file.tell()
    except FileNotFoundError:
        raise DataError(path, ["is missing"]) from None
    except (OSError, ValueError) as error:
        raise DataError(path, [f"is no NumPy array ({error})"]) from None
    if (found, fortran, of) != (shape, False, dtype):
        raise DataError(path, [f"holds {of} {found}, {DESCRIPTION} says {dtype} {shape}"])
    return MappedRows(path, dtype, shape, offset=offset)
