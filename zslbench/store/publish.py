"""Publishing a finished folder as a run of the store: one rename, or two if it replaces another run."""

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
from zslbench.store.workspace import dead_folder

_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)
_PATIENCE = 1.0
"""Seconds to wait for the second rename of a living process."""
_log = logging.getLogger("zslbench")


class RunExistsError(Exception):
    """A whole run with this id is in the store already."""


def open_run(folder: Path, run: str) -> RunRecord | None:
    """The run in this folder; None, with a warning, if it is not whole or has another id."""
    try:
        return _opened(folder, run)
    except DataError as error:
        _log.warning("skipped: %s", error)
        return None


def read_run(tmp: Path, runs: Path, run: str) -> RunRecord:
    """The run of this id in the store.

    Its place is empty between the two renames of a process that replaces it; while that process has an
    ``old-<k>``, this tries again.

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
            # Twice: a replacement may end after the run was looked up and before its old-<k> is looked for.
            quiet = 0 if any(tmp.glob(f"{run}.*/old-*")) else quiet + 1
            if quiet == 2 or time.monotonic() > end:
                raise
            time.sleep(0.002)


def _opened(folder: Path, run: str) -> RunRecord:
    record = RunRecord(folder)
    if record.info.id != run:
        raise DataError(folder, [f"has run {record.info.id} in it, which belongs elsewhere"])
    return record


def publish(own: Path, target: Path, replace: bool) -> None:
    """Rename ``own/new``, whose files are on the disk, to the run's folder ``target``.

    With ``replace``, a run there is first moved to ``own/old-<k>``; a folder that is not a whole run is moved
    to the store's ``damaged``.

    Raises:
        RunExistsError: there is a whole run and ``replace`` is false.
        OSError: it cannot be done; the target is as before.
    """
    try:
        for turn in range(1000):
            if _moved(own / "new", target):
                sync_folder(target.parent)
                return
            if not replace and open_run(target, target.name) is not None:
                raise RunExistsError
            old = own / f"old-{turn}"
            try:
                target.rename(old)
            except FileNotFoundError:
                continue  # Another process is replacing it too.
            # Judge what was moved: the folder looked at above may have been replaced since.
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
    """Complete replacements in ``tmp/<pattern>`` whose process was killed between the two renames."""
    for own in {old.parent for old in tmp.glob(f"{pattern}/old-*")}:
        with dead_folder(own) as dead:
            if dead:
                finish_swap(own, runs)
                continue
        end = time.monotonic() + _PATIENCE
        while own.exists() and not (runs / _run_of(own)).exists() and time.monotonic() < end:
            time.sleep(0.01)


def finish_swap(own: Path, runs: Path) -> None:
    """Complete the replacement of one folder in ``tmp``, whose process is dead."""
    olds = sorted(own.glob("old-*"))
    for one in (own / "new", *olds) if olds else ():
        # A process killed while it deleted the folder may have left a part of either.
        with contextlib.suppress(DataError, OSError):
            if not (runs / _run_of(own)).exists() and not RunRecord(one).verify():
                _moved(one, runs / _run_of(own))
                sync_folder(runs)


def _moved(folder: Path, target: Path) -> bool:
    """Rename a folder. False: there is another one at the target."""
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
    _log.warning("the folder of run %s was damaged; moved it to %s", target.name, aside)
