"""What attributes are called in figures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from zslbench.errors import DataError, SettingsError
from zslbench.plugin.dataset import Dataset

_MOST_LINES = 3


def read_names(path: Path) -> tuple[str, ...]:
    """Attribute names from a text file, one a line, in the order of the class semantics.

    Raises:
        DataError: the file cannot be read as UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, [f"cannot be read as text ({error})"], "Give one name a line") from None
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(line.strip() for line in lines)


def names_for(dataset: Dataset, given: Sequence[str] | None) -> tuple[str, ...]:
    """The names given, or the data set's own, or "attribute 17" (numbers count from 0).

    Raises:
        SettingsError: there are more or fewer names than attributes.
    """
    attributes = dataset.semantics.shape[1]
    names = given if given is not None else dataset.attribute_names
    if names is None:
        return tuple(f"attribute {one}" for one in range(attributes))
    if len(names) != attributes:
        raise SettingsError(
            f"{len(names)} attribute names, but data set '{dataset.name}' has {attributes} attributes; "
            "give one name for each, in the order of its class semantics"
        )
    return tuple(name or f"attribute {one}" for one, name in enumerate(names))


def wrapped(name: str, width: int) -> str:
    """The name on at most three lines of so many characters; what is left over becomes "…"."""
    # Official names join words by these; a line may break after them.
    apart = name.replace("::", ": ").replace("_", " ")
    return "\n".join(textwrap.wrap(apart, width, max_lines=_MOST_LINES, placeholder=" …"))
