"""Checksums of archives, recorded when an archive is first seen and compared from then on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zslbench.store import write_whole

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


def write_records(path: Path, records: dict[str, Any]) -> None:
    """Replace a file of records whole."""
    write_whole(path, (json.dumps(records, indent=1, sort_keys=True) + "\n").encode())
