"""Writes a region store so that it can be interrupted and resumed.

It grows in ``.<name>.part`` next to its final path. A checkpoint flushes the appended rows to the disk and
then writes their number to ``progress.json``, with the settings, so that nothing else is resumed; what a
killed process wrote after that is cut off.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Shaped

from zslbench.data import BLOCK_BYTES, RegionWriter, mean_over_regions, npy_header
from zslbench.errors import DataError
from zslbench.store import parse_json, write_atomically

PROGRESS = "progress.json"


class ResumableWriter(RegionWriter):
    """A :class:`~zslbench.data.RegionWriter` that keeps the finished rows when it ends with an error.

    The caller ensures that only one process writes a store at a time.

    Args:
        restart: discard unfinished work; the others are the base class's.

    Raises:
        DataError: as the base class; or there is unfinished work with another provenance.
    """

    def __init__(self, path: Path, *arguments: Any, restart: bool = False, **options: Any) -> None:
        super().__init__(path, *arguments, **options)
        self._part = path.with_name(f".{path.name}.part")
        if restart and self._part.exists():
            shutil.rmtree(self._part)

    @property
    def done(self) -> int:
        """Number of rows written."""
        return self._done

    def add(self, block: Shaped[np.ndarray, "n regions channels"]) -> None:
        """Append the next images' regions; raises as ``append``, and DataError if values are unusable."""
        self.append(block)
        self.require_usable()

    def checkpoint(self) -> None:
        """Make the rows added so far survive a crash."""
        with self._disk_errors():
            for file in self._open.values():
                file.flush()
                os.fsync(file.fileno())
            progress = {"rows": self._done, "provenance": self._provenance}
            write_atomically(self._part / PROGRESS, json.dumps(progress).encode())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            super().__exit__(kind, error, trace)
            (self.path / PROGRESS).unlink(missing_ok=True)
            return
        with contextlib.suppress(DataError):  # the first error says more
            self.checkpoint()
        self._discard()

    def _discard(self) -> None:
        """Close the files, without removing them."""
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.close()
        self._open = {}

    def _open_files(self) -> None:
        if rows := self._finished_rows():
            self._require_space(self.shape[0] - rows)
            self._resume(rows)
        else:
            shutil.rmtree(self._part, ignore_errors=True)
            super()._open_files()

    def _finished_rows(self) -> int:
        """Rows up to the last checkpoint of an earlier process.

        Raises:
            DataError: it computed something else, or what it left cannot be read.
        """
        if not (self._part / PROGRESS).exists():
            return 0
        advice = "Pass --restart to discard it, or --name to keep it"
        try:
            progress = parse_json((self._part / PROGRESS).read_bytes())
            theirs, rows = progress["provenance"], int(progress["rows"])
        except (OSError, ValueError, KeyError, TypeError):
            fault = "an unfinished extraction that this version of zslbench cannot resume"
            raise DataError(self._part, [fault], advice) from None
        ours = parse_json(json.dumps(self._provenance))
        both = [{**found.pop("settings", {}), **found} for found in (theirs, ours)]
        if other := differences(*both):
            fault = "an unfinished extraction with other settings: " + "; ".join(other)
            raise DataError(self._part, [fault], advice)
        return min(rows, self.shape[0])

    def _resume(self, rows: int) -> None:
        """Continue after ``rows`` rows: read them for the digests, and compare the means with the regions."""
        damaged = DataError(
            self._part, ["the unfinished extraction is damaged"], "Pass --restart to discard it"
        )
        for left in self._part.iterdir():  # by a process killed while it finished the store
            if left.name != PROGRESS and left.stem not in self._digests:
                left.unlink()
        finished = {}
        for name, digest in self._digests.items():
            path, header = self._part / f"{name}.npy", npy_header(digest.dtype, digest.shape)
            file = self._open[name] = path.open("r+b")
            if file.read(len(header)) != header:
                raise damaged
            shape = (rows, *digest.shape[1:])
            try:
                finished[name] = np.memmap(path, digest.dtype, "r", len(header), shape)
            except ValueError:  # too short
                raise damaged from None
            file.truncate(len(header) + finished[name].nbytes)
            file.seek(0, os.SEEK_END)
        size = max(1, BLOCK_BYTES // (self.shape[1] * self.shape[2] * self.dtype.itemsize))
        for start in range(0, rows, size):
            stop = min(start + size, rows)
            block, means = np.array(finished["regions"][start:stop]), finished["features"][start:stop]
            if mean_over_regions(block, None).tobytes() != means.tobytes():
                raise damaged
            self._digests["regions"].update(block)
            self._digests["features"].update(means)
        self._done = self._given = rows


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """How two settings differ, e.g. ``"dtype: float16, float32"``."""
    keys = dict.fromkeys([*ours, *theirs])
    return [f"{key}: {ours.get(key)}, {theirs.get(key)}" for key in keys if ours.get(key) != theirs.get(key)]
