"""A folder of files that come into their place together: written aside, flushed, then renamed."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from zslbench.data import SPLITS_FILE, is_region_store
from zslbench.errors import DataError
from zslbench.store import sync_folder
from zslbench_data.exporting.aside import flush


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """An empty folder beside ``folder``; what the block puts there is in ``folder`` when it ends.

    Files and region stores of the same name are replaced, others stay. The splits file, which makes a folder
    a data set, comes last. An error removes what was put aside and leaves ``folder`` as it was; a killed
    process leaves ``.<name>.<random>.part``, which is no data set.

    Raises:
        DataError: the disk is full or cannot be written.
    """
    # One level deeper than need be: a folder that holds a splits file would be taken for a data set.
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    inner = part / "files"
    try:
        try:
            inner.mkdir(parents=True)
            yield inner
            for one in inner.rglob("*"):
                if one.is_file() and not one.is_symlink():
                    flush(one)
            _move(inner, folder)
        except OSError as error:
            raise DataError(folder, [f"cannot be written ({error.strerror or error})"]) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _move(inner: Path, folder: Path) -> None:
    sync_folder(inner)
    if not folder.exists():
        inner.rename(folder)
    else:
        _merge(inner, folder, inner.parent / "old")
    sync_folder(folder.parent)


def _merge(inner: Path, folder: Path, old: Path) -> None:
    """Move what is in one folder to another; what it replaces there goes to a new folder ``old``."""
    for one in sorted(inner.iterdir(), key=lambda one: (one.name == SPLITS_FILE, one.name)):
        target = folder / one.name
        real = one.is_dir() and not one.is_symlink()
        if target.is_symlink():
            target.unlink()
        if not target.is_dir():
            one.replace(target)
        elif not real:
            raise DataError(target, ["is a folder that is there already"], "Move it away")
        elif is_region_store(one) or is_region_store(target):  # a store is never changed, it is replaced
            old.mkdir(exist_ok=True)
            target.rename(old / one.name)
            one.rename(target)
        else:
            _merge(one, target, old)
    sync_folder(folder)


def remove_left(folder: Path) -> None:
    """Remove what killed processes left beside ``folder``, to which this process alone writes."""
    for one in folder.parent.glob(f".{folder.name}.*.part"):
        shutil.rmtree(one, ignore_errors=True)
