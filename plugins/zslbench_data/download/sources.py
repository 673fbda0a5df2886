"""``<data set>/sources.json``: which archive, address, date and bytes each file of a data set comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslbench.store import read_records
from zslbench_data.download.fetch import Fetched
from zslbench_data.download.ledger import write_records
from zslbench_data.download.unpack import Unpacked

SOURCES = "sources.json"


def read_sources(folder: Path) -> dict[str, Any]:
    """The records of a folder: ``archives`` and ``files`` by name.

    Raises:
        DataError: the file is damaged.
    """
    return {"archives": {}, "files": {}, **read_records(folder / SOURCES)}


def record(folder: Path, files: Mapping[str, Mapping[str, Any]], fetched: Fetched | None = None) -> None:
    """Add to the records of a folder, replacing those of the same files and of the same archive."""
    found = read_sources(folder)
    if fetched is not None:
        found["archives"][fetched.archive.file] = fetched.record
    found["files"] |= files
    write_records(folder / SOURCES, found)


def origin(fetched: Fetched, member: str, one: Unpacked) -> dict[str, Any]:
    """The record of one file that is a member of an archive."""
    return {"archive": fetched.archive.file, "member": member, "bytes": one.size, "sha256": one.sha256}
