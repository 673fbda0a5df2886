"""A run's id: a digest of everything that its numbers depend on, as plain data."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any


def run_id(identity: Mapping[str, Any]) -> str:
    """16 hex characters of the sha256 of the identity's canonical JSON.

    Canonical: keys sorted, no white space, ASCII, floats in their shortest exact form, tuples as lists. A
    float without a fraction is written as an integer, so a setting typed ``1`` or ``1.0`` is the same.

    Raises:
        TypeError: something is not plain data (see :func:`plain_data`); says where.
        ValueError: a NaN or an infinity; says where.
    """
    return hashlib.sha256(canonical(identity).encode("ascii")).hexdigest()[:16]


def run_ids(identity: Mapping[str, Any]) -> Callable[[int], str]:
    """A function that returns the :func:`run_id` of the identity with another ``seed``, fast."""
    text = canonical({**identity, "seed": _ANY_SEED})
    before, found, after = text.partition(f'"seed":{_ANY_SEED}')
    if not found or str(_ANY_SEED) in after:  # a setting has this very number
        return lambda seed: run_id({**identity, "seed": seed})
    return lambda seed: hashlib.sha256(f'{before}"seed":{seed}{after}'.encode("ascii")).hexdigest()[:16]


_ANY_SEED = 8_427_361_950_527_314_896


def canonical(identity: Mapping[str, Any]) -> str:
    """The text that :func:`run_id` hashes."""
    content = plain_data(identity, "identity", _number)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _number(value: float, where: str) -> int | float:
    if not math.isfinite(value):
        raise ValueError(f"{where}: {value} cannot be part of a run's identity; use a finite number or None")
    return int(value) if value.is_integer() else value


def plain_data(
    value: Any, where: str, number: Callable[[float, str], int | float] = lambda value, where: value
) -> Any:
    """A copy of ``value`` made of dict, list, str, int, float, bool and None only; tuples become lists.

    The result can be hashed, or stored as JSON and read back unchanged. Anything else (a path, an enum, a
    set, an array, a key that is not text), which JSON would refuse or silently change, is a TypeError.

    Args:
        where: name of ``value`` in messages.
        number: applied to every float and its place in ``value``.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:  # nearly all there is
        return value
    if isinstance(value, Enum):
        raise TypeError(f"{where}: {value!r} is an enum; use its value")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return number(float(value), where)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or isinstance(key, Enum):
                raise TypeError(f"{where}: key {key!r} is not text")
        return {str(key): plain_data(one, f"{where}[{key!r}]", number) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(one, f"{where}[{i}]", number) for i, one in enumerate(value)]
    raise TypeError(
        f"{where}: {value!r} is a {type(value).__name__}; "
        "use text, numbers, true/false, None, lists or dictionaries of these"
    )
