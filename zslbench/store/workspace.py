"""Folders in which unfinished runs keep their checkpoints, each held by one process at a time.

``<store>/unfinished/<run>/`` belongs to the process that holds the lock on ``<run>.lock`` beside it; the
kernel frees the lock of a killed process. A run's lock file is only opened, locked or removed by a process
that holds ``.mutex`` (for microseconds): without that, one process could lock a file that another has just
removed, and a third lock the file made in its place.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zslbench.store.files import write_whole
from zslbench.store.scratch import last_change

INFO_FILE = "info.json"
_PATIENCE = 10.0
"""Seconds to wait for the mutex, in case its holder was stopped (Ctrl-Z) at that very moment."""


@dataclass(frozen=True)
class Unfinished:
    """A run that began and has not finished."""

    id: str
    when: datetime
    """When its folder last changed, UTC."""
    info: dict[str, Any]
    """What was given to :func:`describe`; empty where nothing was."""
    running: bool
    """Whether a process is computing it now."""
    folder: Path


def describe(folder: Path, info: Mapping[str, Any]) -> None:
    """Say in the workspace what the unfinished run is: any JSON data; other values are stored as text.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(folder / INFO_FILE, json.dumps(dict(info), indent=1, default=str).encode("ascii"))


class Workspaces:
    """The workspaces of one store.

    Args:
        parent: ``<store>/unfinished``.
    """

    def __init__(self, parent: Path) -> None:
        self.parent = parent

    def take(self, run: str) -> FileLock | None:
        """Hold the run's workspace, which need not exist yet; None: another process holds it.

        Raises:
            OSError: the store cannot be written.
        """
        lock = FileLock(self._lock(run), thread_local=False)
        try:
            with self._mutex():
                lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def give_back(self, run: str, lock: FileLock, *, remove: bool) -> None:
        """Let go of the workspace, which the caller holds, and remove its folder or keep it for later."""
        folder = self.parent / run
        if remove:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            with contextlib.suppress(OSError), self._mutex():
                if not folder.exists():
                    self._lock(run).unlink(missing_ok=True)
        finally:
            lock.release()

    def remove_if_free(self, run: str) -> None:
        """Remove the workspace unless a process holds it."""
        if (self.parent / run).is_dir() and (lock := self.take(run)) is not None:
            self.give_back(run, lock, remove=True)

    def unfinished(self) -> Iterator[Unfinished]:
        """Every workspace there is."""
        if not self.parent.is_dir():
            return
        for folder in [path for path in self.parent.iterdir() if path.is_dir()]:
            when = datetime.fromtimestamp(last_change(folder), UTC)
            yield Unfinished(folder.name, when, _info(folder), self._is_held(folder.name), folder)

    def is_held(self, run: str) -> bool:
        """Whether a process holds the workspace."""
        return self._lock(run).exists() and self._is_held(run)

    def _is_held(self, run: str) -> bool:
        try:
            lock = FileLock(self._lock(run), thread_local=False)
            # Within the mutex, so that nobody who begins the run now takes this look for another run of it.
            with self._mutex():
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    return True
                lock.release()
        except OSError:  # A store that this user may only read.
            pass
        return False

    def _mutex(self) -> FileLock:
        return FileLock(self.parent / ".mutex", thread_local=False, timeout=_PATIENCE)

    def _lock(self, run: str) -> Path:
        return self.parent / f"{run}.lock"


def _info(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / INFO_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
