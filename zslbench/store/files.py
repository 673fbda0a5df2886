"""Files that are whole or absent: written aside, flushed to the disk, then renamed into place."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from zslbench.errors import DataError


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and wait until the disk has it. A crash may leave a part of it under this name.

    Raises:
        OSError: the disk is full, or the folder is missing or not writable.
    """
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's names (a renamed file is not safe before)."""
    if os.name == "nt":  # Windows neither offers this nor needs it.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``, replacing what was there; after a crash it is the old or the new, whole.

    Raises:
        OSError: nothing was changed: the disk is full, or the folder is missing or not writable.
    """
    # Dot and suffix let a reader of the folder tell what a killed writer left behind.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        write_synced(aside, data)
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_parts(folder: Path) -> None:
    """Remove what killed calls of :func:`write_whole` left in a folder that this process alone writes to."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, 64 hex characters.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_records(path: Path) -> dict[str, Any]:
    """The records of a JSON file, by name; empty where there is no file.

    Raises:
        DataError: the file is not such a JSON file.
    """
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
        if isinstance(found, dict) and all(isinstance(one, dict) for one in found.values()):
            return found
    except (ValueError, UnicodeDecodeError):
        pass
    raise DataError(path, ["is damaged"], "Move it away; what it recorded is recorded anew")
