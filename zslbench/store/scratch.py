"""Folders that belong to one living process, and how those of killed processes are told from them.

``<store>/tmp/<run>.<host>.<random>/`` belongs to the process that holds the lock on the file of the same name
with ``.lock`` added. The lock is taken before the folder is made and is freed by the kernel when its holder
dies, so a folder whose lock can be taken is dead. Because some network disks lock within one machine only, a
folder made on another machine counts as dead only when, besides, nothing in it changed for a day.
"""

from __future__ import annotations

import contextlib
import platform
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

_DAY = 24 * 3600.0


def host() -> str:
    """This machine's name as it stands in folder names."""
    return re.sub(r"[^A-Za-z0-9-]", "-", platform.node()) or "unnamed"


@contextlib.contextmanager
def scratch(parent: Path, run: str) -> Iterator[Path]:
    """A new folder of this process alone, removed in the end.

    Raises:
        OSError: it cannot be made.
    """
    folder = parent / f"{run}.{host()}.{secrets.token_hex(6)}"
    # No other process knows the name before the folder exists, so this waits for nobody.
    with FileLock(_lock(folder), thread_local=False):
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock(folder).unlink(missing_ok=True)


@contextlib.contextmanager
def taken_over(folder: Path) -> Iterator[bool]:
    """Whether the folder's process is dead; while the context lasts, no other process takes it over."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(FileLock(_lock(folder), thread_local=False, timeout=0))
        except (Timeout, OSError):
            yield False
            return
        own = folder.name.split(".")[1:2] == [host()]
        yield own or time.time() - last_change(folder) > _DAY


def remove_dead(parent: Path, before: Callable[[Path], None]) -> None:
    """Remove the folders of dead processes, and lock files that a kill left without a folder a day ago.

    Args:
        before: called with each folder before it goes.
    """
    for folder in [path for path in parent.iterdir() if path.is_dir()]:
        with taken_over(folder) as dead:
            if dead:
                before(folder)
                shutil.rmtree(folder, ignore_errors=True)
                _lock(folder).unlink(missing_ok=True)
    for lock in parent.glob("*.lock"):
        with contextlib.suppress(FileNotFoundError):
            if not lock.with_suffix("").exists() and time.time() - lock.stat().st_mtime > _DAY:
                lock.unlink()


def last_change(folder: Path) -> float:
    """When anything in the folder was last written, seconds since 1970; 0 where it is gone."""
    times = [0.0]
    with contextlib.suppress(FileNotFoundError):
        times.append(folder.stat().st_mtime)
        times.extend(path.stat().st_mtime for path in folder.rglob("*"))
    return max(times)


def _lock(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")
