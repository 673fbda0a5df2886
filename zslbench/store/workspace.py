"""Folders that belong to one process at a time: workspaces of unfinished runs, and scratch folders.

A workspace, ``<store>/unfinished/<run>/``, has a run's checkpoints. It belongs to the process that holds the
lock on ``<run>.lock`` next to it; the kernel releases the lock of a killed process. A lock file is opened,
locked or removed only by a process that holds ``.mutex-<n>`` (for microseconds), where n follows from the
run's id. Otherwise one process could lock a file that another has just removed, while a third locks the new
file of that name.

A scratch folder, ``<store>/tmp/<run>.<host>.<random>/``, belongs to the process that holds the lock on the
file of the same name with ``.lock`` added. The lock is taken before the folder is made, so a folder whose
lock is free belongs to a dead process. Some network disks lock within one machine only: a folder made on
another machine is dead only if, in addition, nothing in it changed for a day.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zslbench.store.parsing import parse_json

INFO_FILE = "info.json"
_PATIENCE = 10.0
"""Seconds to wait for the mutex, in case its holder was stopped (Ctrl-Z) at that moment."""
_MUTEXES = 64
"""With a single mutex, hundreds of processes would wait for each other."""
_DAY = 24 * 3600.0


@dataclass(frozen=True)
class Unfinished:
    """A run that began and has not finished."""

    id: str
    when: datetime
    """When its folder last changed, UTC."""
    info: dict[str, Any]
    """What :meth:`Store.describe` recorded; empty if nothing."""
    running: bool
    """Whether a process is computing it now."""
    folder: Path


class Workspaces:
    """The workspaces of one store, in the folder ``<store>/unfinished``."""

    def __init__(self, parent: Path) -> None:
        self.parent = parent

    def acquire(self, run: str) -> FileLock | None:
        """Hold the run's workspace, which need not exist yet. None: another process holds it."""
        lock = FileLock(self._lock(run), thread_local=False)
        try:
            with self._mutex(run):
                lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def release(self, run: str, lock: FileLock, *, remove: bool) -> None:
        """Release a workspace of this process; ``remove`` its folder or leave it for a later process."""
        folder = self.parent / run
        if remove:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            with contextlib.suppress(OSError), self._mutex(run):
                if not folder.exists():
                    self._lock(run).unlink(missing_ok=True)
        finally:
            lock.release()

    def names(self) -> list[str]:
        """Runs that have a folder or a lock file."""
        if not self.parent.is_dir():
            return []
        found = os.listdir(self.parent)  # noqa: PTH208
        return sorted({one.removesuffix(".lock") for one in found if not one.startswith(".")})

    def needed_for(self, run: str) -> list[str]:
        """Runs that may resume from the workspace: its own run, and those trained together with it."""
        if not (self.parent / run).is_dir():
            return []
        group = _info(self.parent / run).get("group")
        return [run, *map(str, group)] if isinstance(group, list) else [run]

    def move_if_free(self, run: str, target: Path) -> None:
        """Move the workspace into the folder ``target``, unless a process holds it."""
        with (
            contextlib.suppress(Timeout, FileNotFoundError),
            self._mutex(run),
            FileLock(self._lock(run), thread_local=False, timeout=0),
        ):
            self._lock(run).unlink()
            (self.parent / run).rename(target / f"unfinished-{run}")

    def unfinished(self) -> Iterator[Unfinished]:
        """Every workspace of the store."""
        for folder in map(self.parent.joinpath, self.names()):
            when = datetime.fromtimestamp(last_change(folder), UTC)
            if folder.is_dir():
                yield Unfinished(folder.name, when, _info(folder), self.is_held(folder.name), folder)

    def is_held(self, run: str) -> bool:
        """Whether a process holds the workspace."""
        if not self._lock(run).exists():
            return False
        try:
            # Within the mutex: a process that begins the run now must not take this check for a computation.
            with self._mutex(run), FileLock(self._lock(run), thread_local=False, timeout=0):
                return False
        except Timeout as error:
            return error.lock_file == str(self._lock(run))
        except OSError:  # A store that this user may only read.
            return False

    def _mutex(self, run: str) -> FileLock:
        place = zlib.crc32(run.encode()) % _MUTEXES
        return FileLock(self.parent / f".mutex-{place}", thread_local=False, timeout=_PATIENCE)

    def _lock(self, run: str) -> Path:
        return self.parent / f"{run}.lock"


def _info(folder: Path) -> dict[str, Any]:
    try:
        content = parse_json((folder / INFO_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def host() -> str:
    """This machine's name, as used in folder names."""
    return re.sub(r"[^A-Za-z0-9-]", "-", platform.node()) or "unnamed"


@contextlib.contextmanager
def scratch(parent: Path, run: str) -> Iterator[Path]:
    """A new folder that belongs to this process, removed at the end."""
    folder = parent / f"{run}.{host()}.{secrets.token_hex(6)}"
    # No other process knows the name yet, so this does not wait.
    with FileLock(_lock_of(folder), thread_local=False):
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)


def remove_dead(parent: Path) -> None:
    """Remove dead processes' folders, and day-old lock files without a folder."""
    for folder in [path for path in parent.iterdir() if path.is_dir()]:
        lock_file = _lock_of(folder)
        # While the lock is held no other process can take the folder; a living process holds its own.
        with contextlib.suppress(OSError), FileLock(lock_file, thread_local=False, timeout=0):
            own = folder.name.split(".")[1:2] == [host()]
            if own or time.time() - last_change(folder) > _DAY:
                shutil.rmtree(folder, ignore_errors=True)
                lock_file.unlink(missing_ok=True)
    for lock in parent.glob("*.lock"):
        with contextlib.suppress(FileNotFoundError):
            if not lock.with_suffix("").exists() and time.time() - lock.stat().st_mtime > _DAY:
                lock.unlink()


def last_change(folder: Path) -> float:
    """When anything in the folder was last written, seconds since 1970; 0 if it is gone."""
    times = [0.0]
    with contextlib.suppress(FileNotFoundError):
        times.append(folder.stat().st_mtime)
        times.extend(path.stat().st_mtime for path in folder.rglob("*"))
    return max(times)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")
