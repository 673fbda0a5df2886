"""The generations of finished runs: folders that are only ever added, and never change.

``runs/<id>`` is the first generation of a run; ``reruns/<id>/<n>``, with n from 2, are those that ``--force``
computed later or that replace a damaged one. The newest complete generation is the run. A generation gets its
place by a single rename, so readers always find either all of the old one or all of the new one.

An older generation stays until a newer one is an hour old, for processes that have opened it or found it in a
listing; the next write after that removes it, if that newer one is whole.

When a run is removed its newest generation goes last, so that the run is there as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from zslbench.errors import DataError
from zslbench.store.files import make_folder, sync_folder
from zslbench.store.record import BrokenRunError, RunRecord, is_whole

GRACE = 3600.0
"""Seconds for which a replaced generation stays: far more than a listing takes."""

_LATER = re.compile(r"[2-9]|[1-9]\d+", re.ASCII)
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_log = logging.getLogger("zslbench")


class RunExistsError(Exception):
    """A complete run with this id is in the store already."""


class Generations:
    """The generations of the runs of one store."""

    def __init__(self, root: Path) -> None:
        self.runs, self.reruns = root / "runs", root / "reruns"
        self._warned: set[str] = set()

    def names(self) -> list[str]:
        """Possible ids of runs, sorted; OSError if the folders cannot be read."""
        # In this order: a first generation is removed long after a later one appears.
        return sorted({one for one in (*_names(self.runs), *_names(self.reruns)) if not one.startswith(".")})

    def newest(self, run: str) -> RunRecord | None:
        """The newest complete generation, with a warning for each damaged one that is newer; None: no run.

        Raises:
            DataError: all generations are damaged.
        """
        faults = []
        for number in (*self._numbers(run), 1):
            try:
                record = self._open(run, number)
            except DataError as error:
                if os.path.lexists(self._place(run, number)):
                    faults.append(error)
            else:
                for fault in faults:
                    self.warn(fault)
                return record
        if faults:
            raise faults[0]
        return None

    def is_whole(self, run: str) -> bool:
        """Whether ``run.json`` of the newest generation is the one that was written."""
        # Strings, not paths: plans ask this of thousands of runs.
        folder = os.path.join(self.runs, run)  # noqa: PTH118
        with contextlib.suppress(DataError):
            if os.path.lexists(os.path.join(self.reruns, run)):  # noqa: PTH118
                folder = str(self._place(run, next(iter(self._numbers(run)), 1)))
            return is_whole(folder, run)
        return False

    def publish(self, folder: Path, run: str, replace: bool) -> None:
        """Rename ``folder``, whose files are on the disk, to the place of the run's next generation.

        Raises:
            RunExistsError: there is a complete run and ``replace`` is false.
            OSError: the folder cannot be renamed.
        """
        for number in itertools.count(1 + max(self._existing(run), default=0)):
            with contextlib.suppress(DataError):
                if not replace and self.newest(run) is not None:
                    raise RunExistsError
            target = self._place(run, number)
            make_folder(target.parent)
            try:
                folder.rename(target)
            except OSError as error:
                if error.errno in _TAKEN or (isinstance(error, FileNotFoundError) and folder.exists()):
                    continue  # another process took the place, or removed the empty folder around it
                if folder.exists():  # otherwise it was renamed: a network disk repeated the request
                    raise
            sync_folder(target.parent)
            return

    def remove(self, run: str, own: Path) -> bool:
        """Move all generations of a run into ``own``, a new folder of this process; whether there were any.

        Raises:
            OSError: one of them cannot be moved; it and newer ones are still there.
        """
        numbers = self._existing(run)
        for number in reversed(numbers):
            with contextlib.suppress(FileNotFoundError):  # another process has moved it
                self._place(run, number).rename(own / f"{run}-{number}")
        with contextlib.suppress(OSError):  # there is none, or another process has just written to it
            (self.reruns / run).rmdir()
        return bool(numbers)

    def clean_all(self, own: Path) -> None:
        """Clean every run that may have several generations."""
        for run in _names(self.reruns):
            self.clean(run, own)

    def clean(self, run: str, own: Path, at_once: bool = False) -> None:
        """Move older generations of a run into ``own``, a new folder of this process, and damaged ones to
        ``damaged``.

        Only generations with a newer complete one are moved, so numbers only grow.

        Args:
            at_once: whether to move damaged generations even if the newer one is not old yet.
        """
        with contextlib.suppress(OSError, DataError):  # such as when another process does the same
            self._clean(run, own, at_once)

    def warn(self, fault: DataError) -> None:
        """Warn of a damaged run, once."""
        if str(fault) not in self._warned:
            self._warned.add(str(fault))
            _log.warning("skipped: %s", fault)

    def _clean(self, run: str, own: Path, at_once: bool) -> None:
        numbers = self._existing(run)
        if not numbers:  # a removal was killed
            (self.reruns / run).rmdir()
        if len(numbers) < 2:
            return
        now = own.stat().st_mtime  # from the clock of the file system, as the times of the generations

        def is_old(number: int) -> bool:
            return now - _published(self._place(run, number)) > GRACE

        if not (at_once or is_old(numbers[-2])):
            return  # unopened: there may be thousands
        complete = sound = False  # whether one of the newer generations is
        for number in numbers:
            place = self._place(run, number)
            try:
                record = self._open(run, number)
            except BrokenRunError as error:
                if complete:
                    self._set_aside(run, place, error)
                continue
            complete = True
            if sound:
                place.rename(own / f"{run}-{number}")
            else:
                sound = is_old(number) and not record.verify()

    def _open(self, run: str, number: int) -> RunRecord:
        record = RunRecord(self._place(run, number))
        if record.info.id != run:
            fault = f"holds run {record.info.id}, which belongs elsewhere"
            raise BrokenRunError(record.folder, [fault])
        return record

    def _place(self, run: str, number: int) -> Path:
        return self.runs / run if number == 1 else self.reruns / run / str(number)

    def _numbers(self, run: str) -> list[int]:
        """Numbers of the later generations, the newest first; DataError if their folder cannot be read."""
        folder = self.reruns / run
        try:
            return sorted((int(one) for one in _names(folder) if _LATER.fullmatch(one)), reverse=True)
        except OSError as error:
            raise DataError(folder, [f"cannot be read: {error.strerror or error}"]) from None

    def _existing(self, run: str) -> list[int]:
        """Numbers of all generations, the newest first."""
        return self._numbers(run) + [1] * os.path.lexists(self.runs / run)

    def _set_aside(self, run: str, place: Path, fault: BrokenRunError) -> None:
        aside = self.runs.with_name("damaged") / f"{run}.{os.getpid()}.{secrets.token_hex(4)}"
        make_folder(aside.parent)
        place.rename(aside)
        _log.warning("run %s was damaged (%s); moved it to %s", run, "; ".join(fault.faults), aside)


def _names(folder: Path) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError):
        yield from (path.name for path in folder.iterdir())


def _published(folder: Path) -> float:
    """When it was renamed to its place (or, on Windows, written)."""
    found = folder.stat()
    return max(found.st_mtime, found.st_ctime)
