"""Plain JSON data: what may be hashed or stored and comes back as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any


def _same(number: float, where: str) -> float:
    return number


def plain(value: Any, where: str, number: Callable[[float, str], int | float] = _same) -> Any:
    """A copy of ``value`` made of dict, list, str, int, float, bool and None only; tuples become lists.

    Args:
        where: name of ``value`` in messages.
        number: applied to every float, with the float's place.

    Raises:
        TypeError: something else is in it (a path, an enum, a set, an array, a key that is no text). JSON
            would refuse some of these and silently change others.
    """
    if isinstance(value, Enum):
        raise TypeError(f"{where}: {value!r} is an enum; use its value")
    if value is None or isinstance(value, bool):
        return value
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
        return {str(key): plain(one, f"{where}[{key!r}]", number) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one, f"{where}[{i}]", number) for i, one in enumerate(value)]
    raise TypeError(
        f"{where}: {value!r} is a {type(value).__name__}; "
        "use text, numbers, true/false, None, lists or dictionaries of these"
    )
