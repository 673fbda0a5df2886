"""Remembers in the user's cache folder which files passed a check: each state of a file is checked once.

The folder is ``ZSLBENCH_CACHE``, else the user's cache folder for zslbench. It may be deleted at any time.
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
"""Path, size, inode, and the times of the last change of content and of anything, in nanoseconds."""

_SETTLED = 2 * 10**9
"""Nanoseconds after which another change is sure to have another time."""


def cache_folder() -> Path:
    """The user's cache folder; it need not exist."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given).expanduser() if given else platformdirs.user_cache_path("zslbench", False)


def file_state(path: Path) -> FileState:
    """The state of a file; of one that is missing, zeros."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return str(path.resolve()), found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns
    return str(path), 0, 0, 0, 0


def is_known(check: str, states: Sequence[FileState]) -> bool:
    """Whether files in these states have passed a check, in this process or an earlier one."""
    return _mark(check, states).exists()


def remember(check: str, states: Sequence[FileState]) -> None:
    """Remember that files have passed, unless one changed so lately that a further change may be missed."""
    if time.time_ns() - max(state[4] for state in states) > _SETTLED:
        with contextlib.suppress(OSError):
            mark = _mark(check, states)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def _mark(check: str, states: Sequence[FileState]) -> Path:
    digest = hashlib.sha256(json.dumps([check, states]).encode()).hexdigest()
    return cache_folder() / "checked" / digest[:32]
