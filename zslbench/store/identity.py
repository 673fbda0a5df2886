"""The id of a run: a hash of everything that its numbers depend on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from zslbench.store.plain import plain


def run_id(identity: Mapping[str, Any]) -> str:
    """16 hex characters of the sha256 of the identity's canonical JSON.

    Canonical: keys sorted, no white space, ASCII, floats in their shortest exact form, tuples as lists.
    Numbers that are equal are the same: a float without fraction is written as the integer (1.0 as 1,
    -0.0 as 0), so it does not matter whether a setting was typed ``1`` or ``1.0``. ``True`` is not 1.

    Raises:
        TypeError: something is not plain data (see :func:`zslbench.store.plain.plain`); says where.
        ValueError: a NaN or an infinity; says where.
    """
    return hashlib.sha256(canonical(identity).encode("ascii")).hexdigest()[:16]


def canonical(identity: Mapping[str, Any]) -> str:
    """The text that :func:`run_id` hashes."""
    content = plain(identity, "identity", _number)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _number(value: float, where: str) -> int | float:
    if not math.isfinite(value):
        raise ValueError(f"{where}: {value} cannot be part of a run's identity; use a finite number or None")
    return int(value) if value.is_integer() else value
