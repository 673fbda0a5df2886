"""Writes a region store block by block in constant memory; it appears atomically."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from jaxtyping import Int, Shaped
from rich.filesize import decimal

from zslbench.data.provenance import ArrayDigest, array_sha256
from zslbench.data.regions.layout import as_stored, mean_over_regions, not_finite, stored_type
from zslbench.data.regions.store import DESCRIPTION, FORMAT, INDEX
from zslbench.errors import DataError
from zslbench.store.files import sha256_of, sync_folder, write_synced

_log = logging.getLogger("zslbench")
_LOG_SECONDS = 30


class RegionWriter:
    """Writes a region store; used as a context, at whose end the store appears::

        with RegionWriter(path, (images, regions, channels), "float16") as writer:
            for block, labels in blocks:
                writer.append(block, labels)

    Everything is written to a folder ``.<name>.<random>.part`` next to the target, flushed to the disk and
    renamed. An error removes that folder; a killed process leaves it, and it is never taken for a store.

    Args:
        path: the store's folder; it must not exist.
        shape: (images, regions, channels).
        dtype: ``float16``, ``float32`` or ``uint8``.
        scale: for uint8: value = integer times scale.
        companions: small arrays to store with them, by the names in :mod:`zslbench.data.regions.store`.
        provenance: ``source``, ``backbone``, ``grid``, ``simulated``, ``settings``; plain data.
        advice: what to do if the disk has too little space.

    Raises:
        DataError: wrong type or scale, the folder exists, or the disk fails or (before anything is written)
            has too little space.
    """

    def __init__(
        self,
        path: str | Path,
        shape: tuple[int, int, int],
        dtype: Any,
        scale: float | None = None,
        *,
        companions: Mapping[str, np.ndarray] | None = None,
        provenance: Mapping[str, Any] | None = None,
        advice: str = "",
    ) -> None:
        self.path, self.shape, self.scale = Path(path), shape, scale
        self.dtype = stored_type(dtype, scale, self.path)
        if min(shape) < 1:
            raise DataError(self.path, [f"no regions to write: shape {shape}"])
        self._companions = dict(companions or {})
        self._provenance = {"simulated": False, **(provenance or {})}
        self._advice = advice
        self._done = 0
        self._labels: list[np.ndarray] = []
        self._files: list[str | None] = []
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
            self._open[name] = (self._part / f"{name}.npy").open("xb")
            self._open[name].write(npy_header(digest.dtype, digest.shape))

    def _require_space(self, images: int) -> None:
        _, regions, channels = self.shape
        row = channels * (regions * self.dtype.itemsize + 4)
        require_space(self.path, images * row, self._advice)

    def append(
        self,
        block: Shaped[np.ndarray, "n regions channels"],
        labels: Int[np.ndarray, " n"],
        image_files: Sequence[str] | None = None,
    ) -> None:
        """Write the next images.

        Args:
            block: their regions, in the stored type or as floats to be converted.
            labels: their class ids, 0-based.
            image_files: their names, if known.

        Raises:
            ValueError: they do not fit the announced shape.
            DataError: a value is NaN, infinite or too large for the type; or the disk fails.
        """
        first = self._done
        if bad := self._write(block, labels, image_files):
            raise DataError(self.path, [not_finite(len(bad), first + bad[0], self.dtype)])

    def extend(
        self,
        blocks: Iterable[Shaped[np.ndarray, "_ regions channels"]],
        labels: Int[np.ndarray, " images"],
        image_files: Sequence[str] | None = None,
        *,
        source: object = None,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        """Write all images; unusable values are counted in all blocks before they are reported.

        Args:
            source: what an error about values names; None: the store.
            advance: called after each block with its bytes.

        Raises:
            ValueError, DataError: as :meth:`append`.
        """
        bad: list[int] = []
        start = 0
        for block in blocks:
            stop = start + len(block)
            files = None if image_files is None else image_files[start:stop]
            bad += [start + row for row in self._write(block, labels[start:stop], files, discard=bool(bad))]
            start = stop
            if advance is not None:
                advance(block.size * self.dtype.itemsize)
        if bad:
            fault = not_finite(len(bad), bad[0], self.dtype)
            raise DataError(self.path if source is None else source, [fault], "Nothing was written")

    def _write(
        self,
        block: np.ndarray,
        labels: np.ndarray,
        image_files: Sequence[str] | None,
        *,
        discard: bool = False,
    ) -> list[int]:
        """Write images unless values are unusable; returns the rows of the block that have some."""
        count = len(block)
        if block.shape[1:] != self.shape[1:] or self._done + count > self.shape[0]:
            raise ValueError(f"{self._done} + {block.shape} rows do not fit into {self.shape}")
        if len(labels) != count or (image_files is not None and len(image_files) != count):
            raise ValueError(f"{count} images, {len(labels)} labels")
        stored = as_stored(block, self.dtype, self.scale)
        means = mean_over_regions(stored, self.scale)
        converted = self.dtype == np.uint8 and block.dtype != np.uint8  # means of integers are always finite
        finite = np.isfinite(block.reshape(count, -1) if converted else means).all(axis=1)
        if discard or not finite.all():
            return np.flatnonzero(~finite).tolist()
        with self._disk_errors():
            for name, part in (("regions", stored), ("features", means)):
                self._digests[name].update(part)
                self._open[name].write(part.reshape(-1).view(np.uint8).data)
        self._labels.append(np.array(labels, dtype=np.int64))
        self._files.extend(image_files if image_files is not None else [None] * count)
        self._done += count
        return []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            if self._done != self.shape[0]:
                raise ValueError(f"{self._done} of {self.shape[0]} images were written")
            with self._disk_errors():
                self._publish()
        except BaseException:
            self._discard()
            raise

    def _publish(self) -> None:
        arrays: dict[str, dict[str, Any]] = {}
        for name, file in self._open.items():
            self._sync(file)
            digest = self._digests[name]
            arrays[name] = _entry(name, digest.dtype, digest.shape, digest.hexdigest())
        self._open = {}
        arrays["regions"]["scale"] = self.scale
        for name, array in self._companions.items():
            little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            with (self._part / f"{name}.npy").open("xb") as file:
                np.save(file, little)
                self._sync(file)
            arrays[name] = _entry(name, little.dtype, little.shape, array_sha256(little))
        self._write_index(self._part / INDEX)
        index = {"file": INDEX, "rows": self.shape[0], "sha256": sha256_of(self._part / INDEX)}
        description = {"format": FORMAT, "arrays": arrays, "index": index, "provenance": self._provenance}
        write_synced(self._part / DESCRIPTION, json.dumps(description, indent=1).encode())
        sync_folder(self._part)
        self._part.rename(self.path)
        sync_folder(self.path.parent)

    def _write_index(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        table = pa.table(
            {
                "row": pa.array(np.arange(self.shape[0], dtype=np.int64)),
                "image_file": pa.array(self._files, type=pa.string()),
                "label": pa.array(np.concatenate(self._labels)),
            }
        )
        with path.open("xb") as file:
            parquet.write_table(table, file)
            self._sync(file)

    @staticmethod
    def _sync(file: IO[bytes]) -> None:
        file.flush()
        os.fsync(file.fileno())
        file.close()

    def _discard(self) -> None:
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.close()
        self._open = {}
        shutil.rmtree(self._part, ignore_errors=True)

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Report an error of the disk in one line that names the store."""
        try:
            yield
        except OSError as error:
            raise DataError(self.path, [f"cannot be written ({error.strerror or error})"]) from None


def log_progress(text: str, size: int) -> Callable[[int], None]:
    """A callback for the number of bytes done; it logs their share of ``size`` every 30 seconds."""
    done, logged = 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, logged
        done += count
        if time.monotonic() - logged > _LOG_SECONDS:
            logged = time.monotonic()
            _log.info("%s: %d %%", text, 100 * done // size)

    return advance


def require_space(path: Path, needed: int, advice: str = "") -> None:
    """Raise if the disk lacks space.

    Args:
        path: what will be written.
        needed: bytes.
        advice: what to do.

    Raises:
        DataError: names the space that is needed and that is free.
    """
    parent = next(one for one in path.absolute().parents if one.exists())
    free = shutil.disk_usage(parent).free
    if free < needed:
        fault = f"needs {decimal(needed)}, the disk has {decimal(free)} free; nothing was written"
        raise DataError(path, [fault], advice)


def _entry(name: str, dtype: np.dtype[Any], shape: tuple[int, ...], digest: str) -> dict[str, Any]:
    """An array's entry in ``store.json``."""
    return {
        "file": f"{name}.npy",
        "dtype": dtype.str,
        "shape": list(shape),
        "scale": None,
        "sha256": digest,
    }


def npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The bytes of a ``.npy`` file before the values."""
    header = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()
