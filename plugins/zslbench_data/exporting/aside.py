"""Large files that are whole or absent: written aside by name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from zslbench.errors import DataError
from zslbench.store import sync_folder


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A new name beside ``path``; what the block writes there replaces ``path`` when it ends.

    An error removes it and leaves what was at ``path``.

    Raises:
        DataError: the disk is full or cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            flush(part)
            part.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            raise DataError(path, [f"cannot be written ({error.strerror or error})"]) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until the disk has a file's bytes, whoever wrote them."""
    handle = os.open(path, os.O_RDWR)  # Windows flushes only what is open for writing
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
