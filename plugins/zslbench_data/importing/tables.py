"""Reads the CSV files of a custom data set: class attributes, the split, and the classes of an array's rows.

UTF-8, with a header; separated by commas, or by semicolons or tabs if the header has no comma. Names of
columns are compared without regard to case. What is wrong joins the findings.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from zslbench.data import Findings, few
from zslbench.errors import MissingData


@dataclass(frozen=True)
class Table:
    """A CSV file."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """As many cells in each as in the header."""

    def column(self, name: str) -> tuple[str, ...] | None:
        """The cells of a column; None: there is none of this name."""
        names = [one.lower() for one in self.header]
        return tuple(row[names.index(name)] for row in self.rows) if name in names else None


@dataclass(frozen=True)
class ClassAttributes:
    """Class attributes as given."""

    classes: tuple[str, ...]
    names: tuple[str, ...]
    values: Float[np.ndarray, "classes attributes"]


@dataclass(frozen=True)
class ImageRow:
    """One image, according to the tables."""

    class_name: str
    image: str | None
    part: str | None
    """None: the split is of classes."""
    validation: bool


def read_table(path: Path, findings: Findings) -> Table | None:
    """Read a CSV file; None if it cannot be used.

    Raises:
        MissingData: there is no such file.
    """
    if not path.is_file():
        raise MissingData(path, ["no such file"])
    try:
        text = path.read_text("utf-8-sig")
        first = text.partition("\n")[0]
        separator = next((one for one in (",", ";", "\t") if one in first), ",")
        lines = [
            tuple(cell.strip() for cell in row)
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            if any(cell.strip() for cell in row)
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        findings.error(f"not a CSV file in UTF-8 ({type(error).__name__}: {error})", path.name)
        return None
    if len(lines) < 2:
        findings.error("no rows below a header", path.name)
        return None
    header, *rows = lines
    ragged = [number for number, row in enumerate(rows, 2) if len(row) != len(header)]
    if ragged:
        text = f"{len(ragged)} rows do not have the header's {len(header)} cells ({few(ragged)})"
        findings.error(text, path.name, len(ragged))
        return None
    return Table(path, header, tuple(rows))


def read_attributes(path: Path, findings: Findings) -> ClassAttributes | None:
    """Read class attributes: class names in the first column, one further column for each attribute."""
    table = read_table(path, findings)
    if table is None:
        return None
    if len(table.header) < 2:
        findings.error("one column: a class name and at least one attribute are needed", path.name)
        return None
    classes, names = tuple(row[0] for row in table.rows), table.header[1:]
    for what, given in (("classes", classes), ("attributes", names)):
        if repeated := duplicated(given):
            findings.error(f"{len(repeated)} duplicate {what} ({few(repeated)})", path.name)
        if empty := sum(not name for name in given):
            findings.error(f"{empty} {what} without a name", path.name)
    values = np.zeros((len(classes), len(names)))
    odd: list[str] = []
    for number, row in enumerate(table.rows):
        for column, cell in enumerate(row[1:]):
            try:
                values[number, column] = float(cell)
            except ValueError:
                odd.append(f"'{cell}' of {row[0]}")
    if odd:
        findings.error(f"{len(odd)} cells are not numbers ({few(odd)})", path.name)
    infinite = np.argwhere(~np.isfinite(values))
    if len(infinite):
        owners = dict.fromkeys(classes[row] for row in infinite[:, 0])
        findings.error(f"{len(infinite)} values are NaN or infinite ({few(owners)})", path.name)
    if odd or len(infinite):
        return None
    zero = [name for name, row in zip(classes, values, strict=True) if not row.any()]
    if zero:
        findings.error(f"{len(zero)} classes have no attribute at all ({few(zero)})", path.name)
    return ClassAttributes(classes, names, values)


def validation_flags(table: Table, findings: Findings) -> tuple[bool, ...]:
    """The column ``val``: whether each row is of a validation class; all False without such a column."""
    given = table.column("val") or ("",) * len(table.rows)
    yes, no = {"1", "true", "yes", "y", "val"}, {"", "0", "false", "no", "n"}
    odd = [cell for cell in given if cell.lower() not in yes | no]
    if odd:
        findings.error(f"{len(odd)} values of val are neither 1 nor 0 ({few(odd)})", table.path.name)
    return tuple(cell.lower() in yes for cell in given)


def read_rows(
    split: Table,
    labels: Path | None,
    images: Sequence[str] | None,
    rows: int | None,
    findings: Findings,
) -> list[ImageRow] | None:
    """Each image in the order of the arrays' rows; None: the tables are insufficient.

    Args:
        split, labels, images, rows: as for :func:`zslbench_data.importing.custom.plan`.
    """
    parts, file = split.column("part"), split.path.name
    if parts is None:
        findings.error(f"no column 'part' (columns: {', '.join(split.header)})", file)
        return None
    of_images = split.column("image") is not None or split.column("row") is not None
    source: Table | None = split
    if not of_images:
        if split.column("class") is None:
            findings.error("no column 'image', 'row' or 'class'", file)
            return None
        if labels is None and rows is None and images is not None:
            return [ImageRow(PurePosixPath(image).parts[0], image, None, False) for image in sorted(images)]
        if labels is None:
            findings.error("a split of classes needs --labels with the class of each row", file)
            return None
        source = read_table(labels, findings)
    if source is None:
        return None
    names, classes, file = source.column("image"), source.column("class"), source.path.name
    if classes is None:
        if names is None or images is None:
            findings.error("no column 'class', and no image folder whose sub-folders are classes", file)
            return None
        classes = tuple((*PurePosixPath(name).parts[:-1], "")[0] for name in names)
        if lost := sum(not name for name in classes):
            findings.error(f"{lost} images are not in a sub-folder named after their class", file)
    if images is not None and names is not None:
        _compare_images(file, names, images, findings)
    validation = validation_flags(split, findings) if of_images else (False,) * len(source.rows)
    order = _line_order(source, names, rows, findings)
    if order is None:
        return None
    part_of = parts if of_images else (None,) * len(source.rows)
    return [
        ImageRow(classes[line], None if names is None else names[line], part_of[line], validation[line])
        for line in order
    ]


def duplicated(items: Sequence[str]) -> list[str]:
    """Items that occur more than once in a list, sorted."""
    return sorted({item for item in items if items.count(item) > 1})


def _compare_images(file: str, names: Sequence[str], images: Sequence[str], findings: Findings) -> None:
    if repeated := len(names) - len(set(names)):
        findings.error(f"{repeated} duplicate images", file)
    if missing := sorted(set(names) - set(images)):
        findings.error(f"{len(missing)} images are not in the image folder ({few(missing)})", file)
    if extra := sorted(set(images) - set(names)):
        findings.note(f"{len(extra)} images of the folder are in no part and left out ({few(extra)})")


def _line_order(
    source: Table, names: Sequence[str] | None, rows: int | None, findings: Findings
) -> list[int] | None:
    """The line for each row of the arrays."""
    numbers, count, file = source.column("row"), len(source.rows), source.path.name
    if rows is None:
        if names is None:
            findings.error("no column 'image', and there are no arrays", file)
            return None
        return sorted(range(count), key=lambda line: names[line])
    if numbers is None:
        if count != rows:
            findings.error(f"{count} rows, the arrays have {rows}", file)
            return None
        return list(range(count))
    odd = [cell for cell in numbers if not cell.isdecimal() or int(cell) >= rows]
    if odd:
        findings.error(f"{len(odd)} values of row are not from 0 to {rows - 1} ({few(odd)})", file)
        return None
    lines = {int(cell): line for line, cell in enumerate(numbers)}
    if len(lines) != count or len(lines) != rows:
        text = f"{count - len(lines)} duplicate rows, {rows - len(lines)} of {rows} rows are missing"
        findings.error(text, file)
        return None
    return [lines[row] for row in range(rows)]
