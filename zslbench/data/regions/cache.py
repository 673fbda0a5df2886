"""Region stores that are made once, from a region file or by simulation, and then found in the user's cache
folder (:mod:`zslbench.data.once`)."""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from zslbench.data.once import CACHE_VARIABLE, cache_folder
from zslbench.data.regions.store import FORMAT, RegionStore, is_region_store
from zslbench.errors import DataError
from zslbench.store.names import path_name

Advance = Callable[[int], None]
"""Called with the number of bytes of regions that were processed."""

_ADVICE = f"{CACHE_VARIABLE} selects another folder"
_LOG_SECONDS = 30
_log = logging.getLogger("zslbench")


def cached_store(
    name: str,
    key: dict[str, Any],
    make: Callable[[Path, Advance], None],
    *,
    task: str,
    size: int,
    known_as: str | Path,
) -> RegionStore:
    """The region store of this key in the cache, made unless it exists; of several processes, one makes it.

    Args:
        name: what its folder's name begins with.
        key: everything that its contents depend on, as plain data.
        make: writes it to a folder with a :class:`~zslbench.data.regions.writer.RegionWriter`, and calls its
            second argument after each block.
        task: what ``make`` does, for the log.
        size: bytes of regions that ``make`` processes.
        known_as: its name in runs, or the file that it is made from.

    Raises:
        DataError: the cache cannot be written.
    """
    digest = hashlib.sha256(json.dumps({"store": FORMAT, **key}, sort_keys=True).encode()).hexdigest()
    target = cache_folder() / "regions" / f"{path_name(name)}-{digest[:16]}"
    if not is_region_store(target) and target.exists():
        raise DataError(target, ["is not a region store"], f"Delete it; {_ADVICE}")
    if not target.exists():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(target.with_name(f".{target.name}.lock")):
                if not target.exists():
                    for abandoned in target.parent.glob(
                        f".{glob.escape(target.name)}.*.part"
                    ):  # left by a killed process
                        shutil.rmtree(abandoned, ignore_errors=True)
                    _log.info("%s to %s, once (%.1f GB)", task, target, size / 1e9)
                    make(target, _log_progress(task, size))
        except OSError as error:
            fault = f"cannot be written ({error.strerror or error})"
            raise DataError(target, [fault], _ADVICE) from None
    return RegionStore.open(target, Path(known_as))


def _log_progress(task: str, size: int) -> Advance:
    """Logs the share of ``size`` that is done every 30 seconds."""
    done, logged = 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, logged
        done += count
        if time.monotonic() - logged > _LOG_SECONDS:
            logged = time.monotonic()
            _log.info("%s: %d %%", task, 100 * done // size)

    return advance
