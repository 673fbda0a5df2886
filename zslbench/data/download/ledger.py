"""Checksums of archives, recorded when an archive is first seen and compared from then on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zslbench.errors import DataError
from zslbench.store.files import write_whole

LEDGER = "checksums.json"
_BLOCK = 1 << 20


def digests(path: Path, algorithms: Iterable[str]) -> dict[str, str]:
    """Digests of a file by several algorithms, read once. Hexadecimal."""
    made = {name: hashlib.new(name) for name in algorithms}
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for one in made.values():
                one.update(block)
    return {name: one.hexdigest() for name, one in made.items()}


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


def write_records(path: Path, records: dict[str, Any]) -> None:
    """Replace a file of records whole."""
    write_whole(path, (json.dumps(records, indent=1, sort_keys=True) + "\n").encode())
