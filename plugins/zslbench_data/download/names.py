"""Attribute names: from the forms in which data sets come with them to one name a line."""

from __future__ import annotations

import re
from pathlib import Path

from zslbench.data import ATTRIBUTE_NAMES
from zslbench.errors import DataError
from zslbench.store import write_whole

NAMES_FILE = ATTRIBUTE_NAMES
"""In a data set's folder: the attributes' official names, one a line, in the order of ``att``'s rows."""

_NUMBERED = re.compile(r"\s*(\d+)\s+(\S.*?)\s*")


def parse_names(path: Path, form: str) -> list[str]:
    """The names that a file lists.

    Args:
        form: ``numbered`` (a number, blanks, a name: CUB's ``attributes.txt``, AWA's ``predicates.txt``),
            ``lines`` (aPY), or ``mat:<variable>`` (a MATLAB cell array: SUN's ``attributes.mat``).

    Raises:
        DataError: the file is not of this form.
    """
    if form.startswith("mat:"):
        from zslbench.data import read_mat

        variable = form.removeprefix("mat:")
        found = read_mat(path, {variable}).get(variable)
        if not isinstance(found, list):
            raise DataError(path, [f"has no list of names '{variable}'"])
        return [one.strip() for one in found]
    lines = [one for one in _text(path).splitlines() if one.strip()]
    if form == "lines":
        return [one.strip() for one in lines]
    matches = [_NUMBERED.fullmatch(one) for one in lines]
    numbers = [int(one[1]) for one in matches if one]
    if numbers != list(range(1, len(lines) + 1)):
        raise DataError(path, [f"its {len(lines)} lines are not numbered from 1 on"])
    return [one[2] for one in matches if one]


def write_names(folder: Path, names: list[str]) -> None:
    """Write the names file, whole."""
    write_whole(folder / NAMES_FILE, ("\n".join(names) + "\n").encode())


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(path, ["is no UTF-8 text"]) from None
