"""Remembers in the user's cache folder which files passed a check: each state of a file is checked once.

The folder is ``ZSLBENCH_CACHE`` if set, otherwise the user's cache folder for zslbench. It may be deleted
at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import platformdirs

CACHE_VARIABLE = "ZSLBENCH_CACHE"

FileState: TypeAlias = "tuple[str, int, int, int, int]"
"""Path, size, inode, mtime and ctime, the times in nanoseconds."""

_SETTLED = 2 * 10**9
"""Nanoseconds after a change by which any further change is sure to get a different time."""


def cache_folder() -> Path:
    """The user's cache folder; it need not exist."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given).expanduser() if given else platformdirs.user_cache_path("zslbench", False)


def file_state(path: Path) -> FileState:
    """The state of a file; zeros if it is missing."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return str(path.resolve()), found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns
    return str(path), 0, 0, 0, 0


def is_settled(state: FileState) -> bool:
    """Whether the last change is so old that any further one would give the file another state."""
    return time.time_ns() - state[4] > _SETTLED


def is_known(check: str, states: Sequence[FileState]) -> bool:
    """Whether files in these states have passed a check, in this process or an earlier one."""
    return _mark(check, states).exists()


def remember(check: str, states: Sequence[FileState]) -> None:
    """Remember that files have passed, unless one changed too recently to notice a further change."""
    if all(map(is_settled, states)):
        with contextlib.suppress(OSError):
            mark = _mark(check, states)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def _mark(check: str, states: Sequence[FileState]) -> Path:
    digest = hashlib.sha256(json.dumps([check, states]).encode()).hexdigest()
    return cache_folder() / "checked" / digest[:32]
