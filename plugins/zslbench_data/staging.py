"""Files and folders that appear complete or not at all: written next to their target, flushed, then renamed.

:func:`zslbench.store.write_atomically` does this for bytes in memory; these are for
files of any size and number.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from zslbench.data import SPLITS_FILE, is_region_store
from zslbench.errors import DataError
from zslbench.store import sync_folder

SPARE = 1 << 20
"""Bytes to have free for small files, beyond those of features, regions and images."""


@contextlib.contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """A temporary path; the file that the block writes to it replaces ``path``. An error changes nothing.

    Raises:
        DataError: the disk is full or not writable.
    """
    with _staged(path) as part:
        yield part
        _flush(part)
        part.replace(path)


@contextlib.contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """An empty folder, whose contents are moved into ``folder`` when the block ends.

    Files and region stores of the same name are replaced, others stay. The splits file, which makes a folder
    a data set, is moved last. An error changes nothing; a killed process leaves
    ``.<name>.<random>.part``, which is not a data set.

    Raises:
        DataError: the disk is full or not writable.
    """
    with _staged(folder) as part:
        # One level deeper than needed: a folder that holds a splits file would be taken for a data set.
        inner = part / "files"
        inner.mkdir(parents=True)
        yield inner
        for one in inner.rglob("*"):
            if one.is_file() and not one.is_symlink():
                _flush(one)
        sync_folder(inner)
        if folder.exists():
            _merge(inner, folder, part / "replaced")
        else:
            inner.rename(folder)


@contextlib.contextmanager
def _staged(path: Path) -> Iterator[Path]:
    """A temporary path next to ``path``, for a file or a folder; removed at the end if it is still there."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        sync_folder(path.parent)
    except OSError as error:
        raise DataError(path, [f"cannot be written ({error.strerror or error})"]) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path, busy: str = "") -> Iterator[None]:
    """Keep other processes from writing a file or folder.

    Args:
        busy: the fault if another process is writing it; empty: wait for that process.

    Raises:
        DataError: it is busy, or its folder is not writable.
    """
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0 if busy else -1)
            stack.enter_context(lock)
        except Timeout:
            raise DataError(path, [busy]) from None
        except OSError as error:
            raise DataError(path, [f"cannot be written ({error.strerror or error})"]) from None
        yield


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left next to ``folder``, to which no other process may be writing."""
    for one in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
        if one.name.count(".") == folder.name.count(".") + 3:  # else of another folder, as "CUB.2"
            shutil.rmtree(one, ignore_errors=True)


def _merge(source: Path, folder: Path, replaced: Path) -> None:
    """Move the contents of ``source`` into ``folder``; region stores that they replace go to ``replaced``."""
    for one in sorted(source.iterdir(), key=lambda one: (one.name == SPLITS_FILE, one.name)):
        target = folder / one.name
        if target.is_symlink():
            target.unlink()
        if not target.is_dir():
            one.replace(target)
        elif not one.is_dir() or one.is_symlink():
            raise DataError(target, ["a folder with this name exists"], "Move it away")
        elif is_region_store(one) or is_region_store(target):  # a store is replaced, never changed
            replaced.mkdir(exist_ok=True)
            target.rename(replaced / one.name)
            one.rename(target)
        else:
            _merge(one, target, replaced)
    sync_folder(folder)


def _flush(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    handle = os.open(path, os.O_RDWR)  # Windows flushes only what is open for writing
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
