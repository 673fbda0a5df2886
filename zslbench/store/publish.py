"""Publishing a finished folder as a run of the store: one rename, or two if it replaces another run.

To replace a run, ``runs/<id>`` is renamed to ``old-<k>`` and ``new`` to ``runs/<id>``. ``new`` is on the disk
before that, so whoever finds the place of the run empty in between does the second rename
(:func:`complete_swaps`): nobody waits, and a process that is killed there loses nothing.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
from pathlib import Path

from zslbench.errors import DataError
from zslbench.store.files import make_folder, sync_folder
from zslbench.store.record import NoRunError, RunRecord

_ATTEMPTS = 1000
_log = logging.getLogger("zslbench")


class RunExistsError(Exception):
    """A complete run with this id is in the store already."""


def open_run(folder: Path, run: str) -> RunRecord:
    """The run in a folder; DataError if it is incomplete or has another id."""
    record = RunRecord(folder)
    if record.info.id != run:
        raise DataError(folder, [f"has run {record.info.id} in it, which belongs elsewhere"])
    return record


def read_run(tmp: Path, runs: Path, run: str) -> RunRecord:
    """The run of this id in the store, even while it is replaced; DataError if there is no complete one."""
    for _ in range(4):  # several processes may replace it, one after the other
        with contextlib.suppress(NoRunError):
            return open_run(runs / run, run)
        complete_swaps(tmp, runs, run)
    return open_run(runs / run, run)


def publish(own: Path, target: Path, replace: bool) -> None:
    """Rename ``own/new``, whose files are on the disk, to the run's folder ``target``.

    With ``replace``, a run there is first moved to ``own/old-<k>``; a folder that is not a complete run is
    moved to the store's ``damaged``.

    Raises:
        RunExistsError: there is a complete run and ``replace`` is false.
        OSError: it cannot be done; the target is as before.
    """
    try:
        for turn in range(_ATTEMPTS):
            if _moved(own / "new", target):
                sync_folder(target.parent)
                return
            if not replace and _is_run(target, target.name):
                raise RunExistsError
            old = own / f"old-{turn}"
            try:
                target.rename(old)
            except FileNotFoundError:
                continue  # Another process is replacing it too.
            # Judge what was moved: the folder looked at above may have been replaced since.
            if not _is_run(old, target.name):
                _set_aside(old, target)
            elif not replace:
                _moved(old, target)
        raise OSError(errno.EBUSY, "other processes keep replacing the run", str(target))
    except BaseException:
        for old in own.glob("old-*"):
            with contextlib.suppress(OSError):
                _moved(old, target)
        raise


def complete_swaps(tmp: Path, runs: Path, run: str = "*") -> None:
    """Do the second rename of every replacement of a run, or of all runs, that has only done the first."""
    for own in tmp.glob(f"{run}.*"):
        complete_swap(own, runs)


def complete_swap(own: Path, runs: Path) -> None:
    """The same for the folder of one process in ``tmp``. If ``new`` is damaged, the old run comes back."""
    target, new = runs / own.name.partition(".")[0], own / "new"
    with contextlib.suppress(OSError):
        olds = sorted(own.glob("old-*")) if new.exists() else []
        for one in (new, *olds) if olds else ():
            # The process may be deleting its folder: publish only a complete run.
            with contextlib.suppress(DataError):
                if not target.exists() and not RunRecord(one).verify():
                    one.rename(target)
                    sync_folder(runs)


def _moved(folder: Path, target: Path) -> bool:
    """Rename a folder, unless another process has done so. False: there is another one at the target."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        if folder.exists():
            raise
    return True


def _is_run(folder: Path, run: str) -> bool:
    """Whether there is a complete run; warns if not."""
    try:
        return bool(open_run(folder, run))
    except DataError as error:
        _log.warning("skipped: %s", error)
        return False


def _set_aside(folder: Path, target: Path) -> None:
    aside = target.parent.with_name("damaged") / f"{target.name}.{os.getpid()}.{secrets.token_hex(4)}"
    make_folder(aside.parent)
    folder.rename(aside)
    _log.warning("the folder of run %s was damaged; moved it to %s", target.name, aside)
