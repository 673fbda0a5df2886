"""Writes a region store in a way that can be interrupted and resumed, in a thread of its own.

It grows in ``.<name>.part`` next to its final place. A checkpoint flushes the appended rows to the disk and
then writes their number to ``progress.json``; what a killed process wrote after that is cut off.
``plan.json`` says what is being computed, so that nothing else is resumed. The finished store has neither
file.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from zslbench.data import BLOCK_BYTES, MappedRows, RegionWriter, mean_over_regions, require_space
from zslbench.errors import DataError
from zslbench.store import remove_parts, write_whole

PLAN, PROGRESS = "plan.json", "progress.json"
_ARRAYS = ("regions", "features")
_PENDING = 2
"""Batches that may wait to be written."""


class ResumableWriter(RegionWriter):
    """A :class:`~zslbench.data.RegionWriter` that keeps the finished rows if it ends with an error.

    The caller ensures that only one process writes a store at a time.

    Args:
        path: the store's folder; it must not exist.
        shape: (images, regions, channels).
        dtype: ``float16`` or ``float32``.
        labels: class ids of all images, 0-based.
        names: file names of all images.
        provenance: as for the base class; only unfinished work with the same ``settings`` is resumed.
        restart: discard unfinished work.

    Raises:
        DataError: as the base class; or there is unfinished work with other settings.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        dtype: str,
        *,
        labels: Int[np.ndarray, " images"],
        names: Sequence[str],
        provenance: Mapping[str, Any],
        restart: bool = False,
        advice: str = "",
    ) -> None:
        super().__init__(path, shape, dtype, provenance=provenance, advice=advice)
        self._plan = dict(provenance)
        self._all_labels, self._all_names = labels, list(names)
        self._part = path.with_name(f".{path.name}.part")
        self._restart = restart

    @property
    def done(self) -> int:
        """Number of rows written."""
        return self._done

    def __enter__(self) -> ResumableWriter:
        if self.path.exists():
            raise DataError(self.path, ["is already there"])
        images, regions, channels = self.shape
        row = channels * (regions * self.dtype.itemsize + 4)
        if self._restart and self._part.exists():
            shutil.rmtree(self._part)
        rows = self._finished_rows()
        with self._disk_errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            require_space(self.path, (images - rows) * row, self._advice)
        if rows == 0:
            self._create()
        else:
            self._resume(rows)
        return self

    def add(self, block: Shaped[np.ndarray, "n regions channels"]) -> None:
        """Append the next images' regions; raises as ``append``."""
        rows = slice(self._done, self._done + len(block))
        self.append(block, self._all_labels[rows], self._all_names[rows])

    def checkpoint(self) -> None:
        """Make sure that the rows added so far survive a crash."""
        with self._disk_errors():
            for file in self._open.values():
                file.flush()
                os.fsync(file.fileno())
            write_whole(self._part / PROGRESS, json.dumps({"rows": self._done}).encode())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            super().__exit__(kind, error, trace)
            for one in (PLAN, PROGRESS):
                (self.path / one).unlink(missing_ok=True)
            return
        with contextlib.suppress(DataError):  # the first error says more
            self.checkpoint()
        self._discard()

    def _discard(self) -> None:
        """Close the files and keep them."""
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.close()
        self._open = {}

    def _finished_rows(self) -> int:
        """Rows up to the last checkpoint of an earlier process.

        Raises:
            DataError: it computed something else.
        """
        try:
            plan = json.loads((self._part / PLAN).read_bytes())
            rows = int(json.loads((self._part / PROGRESS).read_bytes())["rows"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        theirs = {**plan, **plan.get("settings", {})}
        ours = json.loads(json.dumps({**self._plan, **self._plan.get("settings", {})}))
        other = [one for one in differences(theirs, ours) if not one.startswith("settings:")]
        if other:
            raise DataError(
                self._part,
                ["an unfinished extraction with other settings: " + "; ".join(other)],
                "Pass --restart to discard it, or --name to keep it",
            )
        return min(rows, self.shape[0])

    def _create(self) -> None:
        with self._disk_errors():
            shutil.rmtree(self._part, ignore_errors=True)
            self._part.mkdir()
            write_whole(self._part / PLAN, json.dumps(self._plan).encode())
            for name, dtype, shape in self._layout():
                path = self._part / f"{name}.npy"
                header = {
                    "descr": np.lib.format.dtype_to_descr(dtype),
                    "fortran_order": False,
                    "shape": shape,
                }
                self._open[name] = path.open("x+b")
                np.lib.format.write_array_header_1_0(self._open[name], header)

    def _resume(self, rows: int) -> None:
        """Continue after ``rows`` rows: read them for the digests, and compare the means with the regions."""
        with self._disk_errors():
            remove_parts(self._part)
            known = {PLAN, PROGRESS, *(f"{name}.npy" for name in _ARRAYS)}
            for left in self._part.iterdir():  # by a process killed while it finished the store
                if left.name not in known:
                    left.unlink()
            offsets = {}
            for name, dtype, shape in self._layout():
                file = self._open[name] = (self._part / f"{name}.npy").open("r+b")
                offsets[name] = _offset(file, dtype, shape, self._part / f"{name}.npy")
        regions, features = (
            MappedRows(self._part / f"{name}.npy", dtype, (rows, *shape[1:]), offset=offsets[name])
            for name, dtype, shape in self._layout()
        )
        size = max(1, BLOCK_BYTES // (self.shape[1] * self.shape[2] * self.dtype.itemsize))
        for start in range(0, rows, size):
            stop = min(start + size, rows)
            block, means = np.array(regions.array[start:stop]), features.array[start:stop]
            if mean_over_regions(block, None).tobytes() != means.tobytes():
                raise _damaged(self._part)
            self._digests["regions"].update(block)
            self._digests["features"].update(means)
        self._done = rows
        self._labels, self._files = [self._all_labels[:rows]], list(self._all_names[:rows])
        with self._disk_errors():
            for name, dtype, shape in self._layout():
                end = offsets[name] + rows * int(np.prod(shape[1:])) * dtype.itemsize
                self._open[name].truncate(end)
                self._open[name].seek(end)

    def _layout(self) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
        images, _, channels = self.shape
        return [("regions", self.dtype, self.shape), ("features", np.dtype("<f4"), (images, channels))]


def _offset(file: Any, dtype: np.dtype[Any], shape: tuple[int, ...], path: Path) -> int:
    """Where the values of an array file begin, which must have this type and shape."""
    try:
        np.lib.format.read_magic(file)
        found = np.lib.format.read_array_header_1_0(file)
    except ValueError:
        found = None
    if found != (shape, False, dtype):
        raise _damaged(path)
    return int(file.tell())


def _damaged(path: Path) -> DataError:
    return DataError(path, ["the unfinished extraction is damaged"], "Pass --restart to discard it")


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """How two settings differ, as ``"dtype: float16, float32"``."""
    keys = dict.fromkeys([*one, *other])
    return [f"{key}: {one.get(key)}, {other.get(key)}" for key in keys if one.get(key) != other.get(key)]


class BackgroundWriter:
    """Writes batches in order in a thread, so that the backbone need not wait for the disk.

    An error in the thread is raised by the next call here.
    """

    def __init__(self, writer: ResumableWriter) -> None:
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, "zslbench-regions")
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> BackgroundWriter:
        return self

    def add(self, regions: Tensor, ready: torch.cuda.Event | None) -> None:
        """Write a batch when ``ready`` has happened."""

        def write() -> None:
            if ready is not None:
                ready.synchronize()
            self._writer.add(regions.numpy())

        self._submit(write)

    def checkpoint(self) -> None:
        """Make sure that the batches added so far survive a crash."""
        self._submit(self._writer.checkpoint)

    def _submit(self, work: Callable[[], None]) -> None:
        while len(self._pending) >= _PENDING:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(work))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(wait=True)
        if kind is None:
            for one in self._pending:
                one.result()
