"""Region stores that are made once, from a region file or by simulation, and then found in the user's cache
folder.

The folder is ``ZSLBENCH_CACHE``, else the user's cache folder for zslbench. It may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from zslbench.data.regions.store import FORMAT, RegionStore, is_region_store
from zslbench.errors import DataError

_VARIABLE = "ZSLBENCH_CACHE"
_ADVICE = f"{_VARIABLE} selects another folder"


def cached_path(name: str, key: dict[str, Any]) -> Path:
    """The path for this key in the cache: ``<name>-<digest of the key>``."""
    given = os.environ.get(_VARIABLE)
    root = Path(given).expanduser() if given else platformdirs.user_cache_path("zslbench", False)
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return root / "regions" / f"{name}-{digest[:16]}"


def file_key(path: Path) -> dict[str, Any]:
    """Distinguishes a file from others and from its own earlier contents, without reading it.

    Raises:
        DataError: it cannot be read.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(path, [f"cannot be read ({error.strerror or error})"]) from None
    return {"path": str(path.resolve()), "size": found.st_size, "changed": found.st_mtime_ns}


def make_once(target: Path, make: Callable[[Path], None]) -> Path:
    """``target``, made by ``make(target)`` if it does not exist; of several processes, one makes it.

    Raises:
        DataError: the cache cannot be written.
    """
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if not target.exists():
                for abandoned in target.parent.glob(f".{target.name}.*.part"):  # by a killed process
                    shutil.rmtree(abandoned, ignore_errors=True)
                make(target)
    except OSError as error:
        raise DataError(target, [f"cannot be written ({error.strerror or error})"], _ADVICE) from None
    return target


def cached_store(
    name: str, key: dict[str, Any], make: Callable[[Path], None], known_as: str | Path | None = None
) -> RegionStore:
    """The region store of this key in the cache, written by ``make(folder)`` if it does not exist yet.

    Args:
        name: what its folder's name begins with.
        key: everything that its contents depend on, as plain data.
        make: writes it with a :class:`~zslbench.data.regions.writer.RegionWriter`.
        known_as: its name in runs, or the file that it is a copy of; None: its folder's.

    Raises:
        DataError: the cache cannot be written.
    """
    target = cached_path(name, {"store": FORMAT, **key})
    if not is_region_store(target) and target.exists():
        raise DataError(target, ["is not a region store"], f"Delete it; {_ADVICE}")
    return RegionStore.open(make_once(target, make), None if known_as is None else Path(known_as))
