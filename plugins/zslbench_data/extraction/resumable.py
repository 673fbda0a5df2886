"""A region store whose writing may be stopped or killed and taken up again.

It grows in ``.<name>.part`` beside its place. A checkpoint flushes what was appended to the disk and then
says in ``progress.json`` how many rows that is; what a killed process wrote after it is cut off.
``plan.json`` says what is being computed, so that nothing else is continued. The finished store has neither.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from zslbench.data import BLOCK_BYTES, MappedRows, RegionWriter, mean_over_regions, require_space
from zslbench.errors import DataError
from zslbench.store import remove_parts, write_whole
from zslbench_data.extraction.plan import differences

PLAN, PROGRESS = "plan.json", "progress.json"
_ARRAYS = ("regions", "features")


class ResumableWriter(RegionWriter):
    """A :class:`~zslbench.data.regions.writer.RegionWriter` that keeps what is done when an error leaves it.

    Of several processes only one may hold it; the caller sees to that.

    Args:
        path: the store's folder; it must not exist.
        shape: (images, regions, channels).
        dtype: ``float16`` or ``float32``.
        labels: class ids of all images, 0-based.
        names: file names of all images.
        provenance: see :mod:`zslbench.data.regions.store`; its ``settings`` tell whether what lies there is
            the same work.
        restart: whether what lies there is dropped.

    Raises:
        DataError: as its base; or what lies there is other work.
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
        self._part = part_of(path)
        self._restart = restart

    @property
    def done(self) -> int:
        """Rows that are written."""
        return self._done

    def __enter__(self) -> ResumableWriter:
        if self.path.exists():
            raise DataError(self.path, ["is already there"])
        images, regions, channels = self.shape
        row = channels * (regions * self.dtype.itemsize + 4)
        if self._restart and self._part.exists():
            shutil.rmtree(self._part)
        rows = self._rows_there()
        with self._disk_errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            require_space(self.path, (images - rows) * row, self._advice)
        if rows == 0:
            self._begin_anew()
        else:
            self._take_up(rows)
        return self

    def add(self, block: Shaped[np.ndarray, "n regions channels"]) -> None:
        """The next images' regions; raises as ``append``."""
        here = slice(self._done, self._done + len(block))
        self.append(block, self._all_labels[here], self._all_names[here])

    def checkpoint(self) -> None:
        """Put what was added on the disk for good."""
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
        with contextlib.suppress(DataError):  # the error on its way out says more
            self.checkpoint()
        self._discard()

    def _discard(self) -> None:
        """Close; what is there is kept."""
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.close()
        self._open = {}

    def _rows_there(self) -> int:
        """Rows that an earlier process has put on the disk for good.

        Raises:
            DataError: they are of other work.
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
                "Pass --restart to drop it, --name to keep it",
            )
        return min(rows, self.shape[0])

    def _begin_anew(self) -> None:
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

    def _take_up(self, rows: int) -> None:
        """Continue after ``rows`` rows: read them for the digests, and hold the means against the regions."""
        with self._disk_errors():
            remove_parts(self._part)
            known = {PLAN, PROGRESS, *(f"{name}.npy" for name in _ARRAYS)}
            for left in self._part.iterdir():  # of a process that was killed while it finished the store
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
            here = slice(start, min(start + size, rows))
            block, means = np.array(regions.array[here]), features.array[here]
            if mean_over_regions(block, None).tobytes() != means.tobytes():
                raise DataError(
                    self._part,
                    ["what an interrupted extraction left is damaged"],
                    "Pass --restart to drop it",
                )
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


def part_of(path: Path) -> Path:
    """Where a store grows."""
    return path.with_name(f".{path.name}.part")


def _offset(file: Any, dtype: np.dtype[Any], shape: tuple[int, ...], path: Path) -> int:
    """Where the values of an array begin that must have this type and shape."""
    try:
        np.lib.format.read_magic(file)
        found = np.lib.format.read_array_header_1_0(file)
    except ValueError:
        found = None
    if found != (shape, False, dtype):
        raise DataError(path, ["what an interrupted extraction left is damaged"], "Pass --restart to drop it")
    return int(file.tell())
