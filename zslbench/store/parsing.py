"""Parses TOML and JSON from others: any input is read or rejected within moments.

The standard library's parsers can take hours for a dotted key of a megabyte, raise unrelated errors on deep
nesting, and accept integers of any size, which tables and arrays cannot hold.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

LARGEST = 2**63 - 1
"""The largest integer allowed; the smallest is its negative."""
MOST_SEEDS = 10_000
"""Seeds of one command or suite."""
_LONGEST = 250_000
_DEPTH = 32
"""Most levels of nested lists and tables."""
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*\.[ \t]*{_PART}){{{_DEPTH}}}")


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a TOML text.

    Raises:
        TOMLDecodeError: it is not TOML.
        ValueError: it has more than 250,000 characters, keys of more than 32 parts, more than 32 levels or an
            integer of more than 64 bits.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"{len(text):,} characters, more than {_LONGEST:,}")
    if _LONG_KEY.search(text):
        raise ValueError(f"a key of more than {_DEPTH} parts")
    with _Explained():
        content: dict[str, Any] = _bounded(tomllib.loads(text))
        return content


def small_text(path: Path) -> str:
    """The text of a file that was written by hand.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a file, is too large, or is not UTF-8.
    """
    if not path.is_file():
        raise ValueError("no such file")
    if path.stat().st_size > 4 * _LONGEST:
        raise ValueError(f"more than {_LONGEST:,} characters")
    return path.read_text("utf-8")


def parse_json(data: str | bytes, bounded: bool = True) -> Any:
    """The content of a JSON text of any length; ValueError: it is invalid or beyond the limits on nesting and
    integers. Not ``bounded``: within whatever limits the parser itself has, for what zslbench wrote."""
    with _Explained():
        content = json.loads(data)
        return _bounded(content) if bounded else content


class _Explained:
    """Turns other errors from the parsers into a one-line ValueError."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        if isinstance(error, RecursionError):
            raise ValueError(f"nested deeper than {_DEPTH} levels") from None
        if isinstance(error, ValueError) and "integer string conversion" in str(error):
            raise ValueError("an integer of more than 64 bits") from None


def _bounded(content: Any) -> Any:
    level, depth = [content], 0
    while level:
        if depth > _DEPTH:
            raise ValueError(f"nested deeper than {_DEPTH} levels")
        if any(isinstance(one, int) and abs(one) > LARGEST for one in level):
            raise ValueError("an integer of more than 64 bits")
        depth += 1
        inside = (
            one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)
        )
        level = [one for each in inside for one in each]
    return content
