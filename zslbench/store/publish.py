"""How a finished folder becomes a run of the store: one rename, or two where it replaces another run."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import time
from pathlib import Path

from zslbench.errors import DataError
from zslbench.store.files import make_folder, sync_folder
from zslbench.store.record import NoRunError, RunRecord
from zslbench.store.workspace import taken_over

_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)
_PATIENCE = 1.0
"""Seconds to wait for a living process to carry out its second rename."""
_log = logging.getLogger("zslbench")


class AlreadyThereError(Exception):
    """A whole run with this id is in the store and stays."""


def open_run(folder: Path, run: str) -> RunRecord | None:
    """The run in this folder; None with a warning where there is no whole one, or it has another id."""
    try:
        return _opened(folder, run)
    except DataError as error:
        _log.warning("skipped: %s", error)
        return None


def read_run(tmp: Path, runs: Path, run: str) -> RunRecord:
    """The run of this id in the store.

    A process that replaces the run leaves its place empty between two renames, but has an ``old-<k>`` then:
    as long as there is one, the look is repeated.

    Raises:
        DataError: there is no whole run.
    """
    end = time.monotonic() + _PATIENCE
    quiet = 0
    while True:
        if not (runs / run).exists():
            finish_swaps(tmp, runs, f"{run}.*")
        try:
            return _opened(runs / run, run)
        except NoRunError:
            # Twice: a replacement that ended between the look at the run and the look for its old-<k>.
            quiet = 0 if any(tmp.glob(f"{run}.*/old-*")) else quiet + 1
            if quiet == 2 or time.monotonic() > end:
                raise
            time.sleep(0.002)


def _opened(folder: Path, run: str) -> RunRecord:
    record = RunRecord(folder)
    if record.info.id != run:
        raise DataError(folder, [f"holds run {record.info.id}: not the place of that run"])
    return record


def publish(own: Path, target: Path, replace: bool) -> None:
    """Rename ``own/new``, whose files are on the disk, to the run's folder ``target``.

    A run that stands there is moved to ``own/old-<k>`` first (``replace``); a folder that is no whole run
    is moved to the store's ``damaged``.

    Raises:
        AlreadyThereError: a whole run stands there and ``replace`` is false.
        OSError: it cannot be done; what stood there stands there.
    """
    try:
        for turn in range(1000):
            if _moved(own / "new", target):
                sync_folder(target.parent)
                return
            if not replace and open_run(target, target.name) is not None:
                raise AlreadyThereError
            old = own / f"old-{turn}"
            try:
                target.rename(old)
            except FileNotFoundError:
                continue  # Another process is replacing it too.
            # Only what was moved can be judged: the folder looked at above may have been replaced since.
            if open_run(old, target.name) is None:
                _set_aside(old, target)
            elif not replace:
                _moved(old, target)
        raise OSError(errno.EBUSY, "other processes keep replacing the run", str(target))
    except BaseException:
        for old in own.glob("old-*"):
            with contextlib.suppress(OSError):
                _moved(old, target)
        raise


def finish_swaps(tmp: Path, runs: Path, pattern: str) -> None:
    """Carry out the second rename of replacements whose process was killed between the two.

    Args:
        pattern: which of the folders in ``tmp``, as ``"<run>.*"``.
    """
    for own in {old.parent for old in tmp.glob(f"{pattern}/old-*")}:
        with taken_over(own) as dead:
            if dead:
                finish_swap(own, runs)
                continue
        end = time.monotonic() + _PATIENCE
        while own.exists() and not (runs / _run_of(own)).exists() and time.monotonic() < end:
            time.sleep(0.01)


def finish_swap(own: Path, runs: Path) -> None:
    """The same for one folder in ``tmp``, whose process is dead."""
    olds = sorted(own.glob("old-*"))
    for one in (own / "new", *olds) if olds else ():
        # A kill while the folder was being deleted may have left a part of either.
        with contextlib.suppress(DataError, OSError):
            if not (runs / _run_of(own)).exists() and not RunRecord(one).verify():
                _moved(one, runs / _run_of(own))
                sync_folder(runs)


def _moved(folder: Path, target: Path) -> bool:
    """Rename a folder; False: another one stands at the target."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in _OCCUPIED:
            return False
        raise
    return True


def _run_of(own: Path) -> str:
    return own.name.partition(".")[0]


def _set_aside(folder: Path, target: Path) -> None:
    aside = target.parent.with_name("damaged") / f"{target.name}.{os.getpid()}.{secrets.token_hex(4)}"
    make_folder(aside.parent)
    folder.rename(aside)
    _log.warning("what stood in the place of run %s was damaged; it is now %s", target.name, aside)
