"""Reads the CSV files of a custom data set: class attributes, the split, and what rows of an array show.

UTF-8, with a header; separated by commas, or by semicolons or tabs where the header has no comma. Names of
columns are compared without regard to case.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from zslbench.errors import MissingData

_SHOWN = 5


@dataclass(frozen=True)
class Table:
    """A CSV file: the header in lower case, and rows of as many cells."""

    path: Path
    header: tuple[str, ...]
    names: tuple[str, ...]
    """The header as it stands."""
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> tuple[str, ...] | None:
        """The cells of a column; None: there is none of this name."""
        if name not in self.header:
            return None
        place = self.header.index(name)
        return tuple(row[place] for row in self.rows)


@dataclass(frozen=True)
class Attributes:
    """Class attributes as given."""

    classes: tuple[str, ...]
    names: tuple[str, ...]
    values: Float[np.ndarray, "classes attributes"]


def read_table(path: Path, faults: list[str]) -> Table | None:
    """Read a CSV file; what is wrong with it joins ``faults``, and None is returned.

    Raises:
        MissingData: there is no such file.
    """
    if not path.is_file():
        raise MissingData(path, ["no such file"])
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{path.name} cannot be read as UTF-8 text ({type(error).__name__})")
        return None
    first = text.partition("\n")[0]
    separator = next((one for one in (",", ";", "\t") if one in first), ",")
    try:
        lines = [
            [cell.strip() for cell in row]
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        faults.append(f"{path.name} is no CSV file ({error})")
        return None
    if len(lines) < 2:
        faults.append(f"{path.name} has no rows below a header")
        return None
    header = tuple(lines[0])
    lower = tuple(one.lower() for one in header)
    ragged = [number for number, row in enumerate(lines[1:], 2) if len(row) != len(header)]
    if ragged:
        faults.append(
            f"{path.name}: {len(ragged)} rows have not the {len(header)} cells of the header ({few(ragged)})"
        )
        return None
    return Table(path, lower, header, tuple(tuple(row) for row in lines[1:]))


def read_attributes(path: Path, faults: list[str]) -> Attributes | None:
    """Read class attributes: the class's name in the first column, one column for each attribute.

    Everything that is wrong joins ``faults``; None: nothing can be used.
    """
    table = read_table(path, faults)
    if table is None:
        return None
    if len(table.header) < 2:
        faults.append(f"{path.name} has one column: a class's name and at least one attribute are needed")
        return None
    classes, names = tuple(row[0] for row in table.rows), table.names[1:]
    for what, given in (("classes", classes), ("attributes", names)):
        twice = sorted({one for one in given if given.count(one) > 1})
        if twice:
            faults.append(f"{path.name}: {len(twice)} {what} stand there twice ({few(twice)})")
        empty = sum(not one for one in given)
        if empty:
            faults.append(f"{path.name}: {empty} {what} without a name")
    values = np.zeros((len(classes), len(names)))
    odd: list[str] = []
    for place, row in enumerate(table.rows):
        for column, cell in enumerate(row[1:]):
            try:
                values[place, column] = float(cell)
            except ValueError:
                odd.append(f"'{cell}' of {row[0]}")
    if odd:
        faults.append(f"{path.name}: {len(odd)} cells are no numbers ({few(odd)})")
    infinite = np.argwhere(~np.isfinite(values))
    if len(infinite):
        owners = dict.fromkeys(classes[one] for one in infinite[:, 0])
        faults.append(f"{path.name}: {len(infinite)} values are NaN or infinite ({few(owners)})")
    if odd or len(infinite):
        return None
    zero = [one for one, row in zip(classes, values, strict=True) if not row.any()]
    if zero:
        faults.append(f"{path.name}: {len(zero)} classes have no attribute at all ({few(zero)})")
    return Attributes(classes, names, values)


def flags(table: Table, faults: list[str]) -> tuple[bool, ...]:
    """The column ``val``: whether each row is of a validation class; all False without such a column."""
    given = table.column("val")
    if given is None:
        return (False,) * len(table.rows)
    yes, no = {"1", "true", "yes", "y", "val"}, {"", "0", "false", "no", "n"}
    odd = [one for one in given if one.lower() not in yes | no]
    if odd:
        faults.append(f"{table.path.name}: {len(odd)} values of val are neither 1 nor 0 ({few(odd)})")
    return tuple(one.lower() in yes for one in given)


def few(items: Iterable[object]) -> str:
    """The first of some items, for a message."""
    shown: Sequence[object] = list(items)
    return ", ".join(str(one) for one in shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")
