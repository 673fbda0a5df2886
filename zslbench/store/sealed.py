"""JSON that knows its own sha256, so that no flipped bit and no hand edit goes unnoticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_HEAD = b'{\n "sha256": "'
_HEX = 64


def seal(content: Mapping[str, Any], *, allow_nan: bool = False) -> bytes:
    """JSON text of ``content`` whose first entry is the sha256 of the text with that entry left empty.

    Args:
        allow_nan: write NaN and infinities the way Python reads them back; else they are a ValueError.

    Raises:
        TypeError, ValueError: ``content`` is not JSON, or has a key ``sha256`` itself.
    """
    if "sha256" in content:
        raise ValueError("'sha256' is the seal's own key")
    text = json.dumps({"sha256": "", **content}, indent=1, allow_nan=allow_nan).encode("ascii")
    digest = hashlib.sha256(text).hexdigest().encode("ascii")
    return _HEAD + digest + text[len(_HEAD) :]


def unseal(data: bytes) -> dict[str, Any]:
    """The content that :func:`seal` was given.

    Raises:
        ValueError: the bytes are not those that were written.
    """
    digest, rest = data[len(_HEAD) : len(_HEAD) + _HEX], data[len(_HEAD) + _HEX :]
    if not data.startswith(_HEAD) or hashlib.sha256(_HEAD + rest).hexdigest().encode("ascii") != digest:
        raise ValueError("the text does not have the sha256 it records")
    content: dict[str, Any] = json.loads(data)
    del content["sha256"]
    return content
