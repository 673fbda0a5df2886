"""Writes a region store block by block in constant memory; it appears atomically."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from jaxtyping import Int, Shaped
from rich.filesize import decimal

from zslbench.data.provenance import ArrayDigest, array_sha256
from zslbench.data.regions.layout import Layout, as_stored, mean_over_regions, stored_type
from zslbench.data.regions.store import DESCRIPTION, FORMAT, INDEX
from zslbench.errors import DataError
from zslbench.store.files import checked_json, sha256_of, sync_folder, write_synced


class RegionWriter:
    """Writes a region store; used as a context, at whose end the store appears::

        with RegionWriter(path, (images, regions, channels), "float16", labels=labels) as writer:
            for block in blocks:
                writer.append(block)

    Everything is written to a folder ``.<name>.<random>.part`` next to the target, flushed to the disk and
    renamed. An error removes that folder; a killed process leaves it, and it is never taken for a store.

    Args:
        path: the store's folder; it must not exist.
        shape: (images, regions, channels).
        dtype: ``float16``, ``float32`` or ``uint8``.
        scale: for uint8: value = integer times scale.
        labels: class ids of all images, 0-based.
        image_files: their names, if known.
        companions: small arrays to store with them, by the names in :mod:`zslbench.data.regions.store`.
        provenance: ``source``, ``backbone``, ``grid``, ``simulated``, ``settings``; plain data.
        source: what an error about values names; None: the store.
        offset: the regions are not written, but mapped at this byte of the HDF5 file ``source``.
        layout: of the maps in ``source``.
        advice: what to do if the disk has too little space.

    Raises:
        ValueError: labels or names are not those of ``shape``'s images, or not all images were written.
        DataError: wrong type or scale; the folder exists; the disk fails or (before anything is written) has
            too little space; or, at the end, images have values that are NaN, infinite or too large.
    """

    def __init__(
        self,
        path: str | Path,
        shape: tuple[int, int, int],
        dtype: Any,
        scale: float | None = None,
        *,
        labels: Int[np.ndarray, " images"],
        image_files: Sequence[str] | None = None,
        companions: Mapping[str, np.ndarray] | None = None,
        provenance: Mapping[str, Any] | None = None,
        source: Path | None = None,
        offset: int | None = None,
        layout: Layout = "channels-first",
        advice: str = "",
    ) -> None:
        self.path, self.shape, self.scale = Path(path), shape, scale
        self.dtype = stored_type(dtype, scale, self.path)
        if min(shape) < 1:
            raise DataError(self.path, [f"no regions to write: shape {shape}"])
        self._labels, self._files = labels, [None] * shape[0] if image_files is None else list(image_files)
        if not shape[0] == len(labels) == len(self._files):
            raise ValueError(f"{shape[0]} images, {len(labels)} labels, {len(self._files)} names")
        self._companions = dict(companions or {})
        self._provenance = {"simulated": False, **(provenance or {})}
        self._source, self._offset, self._layout, self._advice = source, offset, layout, advice
        # Images appended, and written: from the first with unusable values on, none is.
        self._given = self._done = 0
        self._bad: list[int] = []
        self._digests = {
            "regions": ArrayDigest(self.dtype, shape),
            "features": ArrayDigest(np.dtype("<f4"), (shape[0], shape[2])),
        }
        self._open: dict[str, IO[bytes]] = {}
        self._part = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.part")

    def __enter__(self) -> RegionWriter:
        if self.path.exists():
            raise DataError(self.path, ["already exists"])
        try:
            with self._disk_errors():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._open_files()
        except BaseException:
            self._discard()
            raise
        return self

    def _open_files(self) -> None:
        self._require_space(self.shape[0])
        self._part.mkdir()
        # Values are written, not memory-mapped: a full disk is then an error and not a signal that kills the
        # process.
        for name, digest in self._digests.items():
            if name == "features" or self._offset is None:
                self._open[name] = (self._part / f"{name}.npy").open("xb")
                self._open[name].write(npy_header(digest.dtype, digest.shape))

    def _require_space(self, images: int) -> None:
        _, regions, channels = self.shape
        stored = regions * self.dtype.itemsize if self._offset is None else 0
        require_space(self.path, images * channels * (stored + 4), self._advice)

    def append(self, block: Shaped[np.ndarray, "n regions channels"]) -> None:
        """Write the regions of the next images, in the stored type or as floats to be converted.

        Unusable values are reported at the end, with the number of images in all blocks.

        Raises:
            ValueError: they do not fit the announced shape.
            DataError: the disk fails.
        """
        count, first = len(block), self._given
        if block.shape[1:] != self.shape[1:] or first + count > self.shape[0]:
            raise ValueError(f"{first} + {block.shape} rows do not fit into {self.shape}")
        stored = as_stored(block, self.dtype, self.scale)
        means = mean_over_regions(stored, self.scale)
        converted = self.dtype == np.uint8 and block.dtype != np.uint8  # means of integers are always finite
        finite = np.isfinite(block.reshape(count, -1) if converted else means).all(axis=1)
        self._bad += (first + np.flatnonzero(~finite)).tolist()
        self._given += count
        if self._bad:
            return
        with self._disk_errors():
            for name, part in (("regions", stored), ("features", means)):
                self._digests[name].update(part)
                if name in self._open:
                    self._open[name].write(part.reshape(-1).view(np.uint8).data)
        self._done += count

    def require_usable(self) -> None:
        """Raise DataError if images appended so far have unusable values."""
        if self._bad:
            kind = ", or too large for float16" if self.dtype == np.float16 else ""
            fault = f"{len(self._bad)} images have NaN or infinite regions{kind} (row {self._bad[0]})"
            raise DataError(self._source or self.path, [fault])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.require_usable()
                if self._done != self.shape[0]:
                    raise ValueError(f"{self._done} of {self.shape[0]} images were written")
                with self._disk_errors():
                    self._publish()
        finally:
            self._discard()

    def _publish(self) -> None:
        arrays = {name: _entry(name, one, one.hexdigest()) for name, one in self._digests.items()}
        arrays["regions"]["scale"] = self.scale
        if self._offset is not None and self._source is not None:
            arrays["regions"] |= {
                "file": str(self._source.resolve()),
                "offset": self._offset,
                "layout": self._layout,
            }
        for file in self._open.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        for name, array in self._companions.items():
            little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            data = npy_header(little.dtype, little.shape) + little.tobytes()
            write_synced(self._part / f"{name}.npy", data)
            arrays[name] = _entry(name, little, array_sha256(little))
        write_synced(self._part / INDEX, self._index())
        index = {"file": INDEX, "rows": self.shape[0], "sha256": sha256_of(self._part / INDEX)}
        description = {"format": FORMAT, "arrays": arrays, "index": index, "provenance": self._provenance}
        write_synced(self._part / DESCRIPTION, checked_json(description))
        sync_folder(self._part)
        self._part.rename(self.path)
        sync_folder(self.path.parent)

    def _index(self) -> bytes:
        """The Parquet file of the images."""
        import pyarrow as pa
        import pyarrow.parquet as parquet

        table = pa.table(
            {
                "row": pa.array(np.arange(self.shape[0], dtype=np.int64)),
                "image_file": pa.array(self._files, type=pa.string()),
                "label": pa.array(np.array(self._labels, dtype=np.int64)),
            }
        )
        data = io.BytesIO()
        parquet.write_table(table, data)
        return data.getvalue()

    def _discard(self) -> None:
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.close()
        shutil.rmtree(self._part, ignore_errors=True)

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Report an error of the disk in one line that names the store."""
        try:
            yield
        except OSError as error:
            raise DataError(self.path, [f"cannot be written ({error.strerror or error})"]) from None


def require_space(path: Path, needed: int, advice: str = "") -> None:
    """Raise DataError, which names both, if the disk has less than ``needed`` bytes free to write ``path``.

    Args:
        advice: what to do.
    """
    parent = next(one for one in path.absolute().parents if one.exists())
    free = shutil.disk_usage(parent).free
    if free < needed:
        fault = f"needs {decimal(needed)}, the disk has {decimal(free)} free; nothing was written"
        raise DataError(path, [fault], advice)


def _entry(name: str, array: np.ndarray | ArrayDigest, digest: str) -> dict[str, Any]:
    """An array's entry in ``store.json``."""
    described = {"file": f"{name}.npy", "dtype": array.dtype.str, "shape": list(array.shape)}
    return {**described, "scale": None, "sha256": digest}


def npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The bytes of a ``.npy`` file before the values."""
    header = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()
