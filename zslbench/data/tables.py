"""Reads CSV files, such as those with class attributes: a row per class, its name and then numbers.

UTF-8, with a header; separated by commas, or by semicolons or tabs if the header has no comma. What is wrong
joins the findings.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from zslbench.data.kinds import EMPTY, TEXT, UNKNOWN, file_kind, require_file
from zslbench.data.validate import Findings, few


def read_table(path: Path, findings: Findings, *, lower: bool = True) -> pd.DataFrame | None:
    """The cells of a CSV file as text; None if it cannot be used.

    Args:
        lower: make the names of columns lower-case, and take only the first column of each name.

    Raises:
        MissingData: there is no such file.
    """
    require_file(path)
    if (kind := file_kind(path)) not in (TEXT, UNKNOWN, EMPTY):
        findings.error(f"is {kind}, not a CSV file", path.name)
        return None
    try:
        text = path.read_text("utf-8-sig")
        first = text.partition("\n")[0]
        separator = next((mark for mark in ",;\t" if mark in first), ",")
        lines = [
            [cell.strip() for cell in row]
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        findings.error(f"not a CSV file in UTF-8 ({type(error).__name__}: {error})", path.name)
        return None
    header, *rows = [line for line in lines if any(line)] or [[]]
    if not rows:
        findings.error("no rows below a header", path.name)
        return None
    ragged = [number for number, row in enumerate(rows, 2) if len(row) != len(header)]
    if ragged:
        text = f"{len(ragged)} rows do not have the header's {len(header)} cells ({few(ragged)})"
        findings.error(text, path.name, len(ragged))
        return None
    if not lower:
        return pd.DataFrame(rows, columns=header, dtype=object)
    table = pd.DataFrame(rows, columns=[name.lower() for name in header], dtype=object)
    return table.loc[:, ~table.columns.duplicated()]


def read_attributes(path: Path, findings: Findings) -> pd.DataFrame | None:
    """Class attributes, float64: a row per class (first column of the file), a column per attribute."""
    table = read_table(path, findings, lower=False)
    if table is None:
        return None
    if len(table.columns) < 2:
        findings.error("one column: a class name and at least one attribute are needed", path.name)
        return None
    classes, names = table.iloc[:, 0].tolist(), table.columns[1:].tolist()
    for what, given in (("classes", classes), ("attributes", names)):
        if repeated := duplicated(given):
            findings.error(f"{len(repeated)} duplicate {what} ({few(repeated)})", path.name)
        if empty := given.count(""):
            findings.error(f"{empty} {what} without a name", path.name)
    values = np.zeros((len(classes), len(names)))
    odd: list[str] = []
    for (row, column), cell in np.ndenumerate(table.iloc[:, 1:].to_numpy()):
        try:
            values[row, column] = float(cell)
        except ValueError:
            odd.append(f"'{cell}' of {classes[row]}")
    attributes = pd.DataFrame(values, index=classes, columns=names)
    infinite = attributes.isna() | attributes.isin([np.inf, -np.inf])
    if odd:
        findings.error(f"{len(odd)} cells are not numbers ({few(odd)})", path.name)
    if count := int(np.count_nonzero(infinite)):
        owners = attributes.index[infinite.any(axis=1)]
        findings.error(f"{count} values are NaN or infinite ({few(owners)})", path.name)
    if odd or count:
        return None
    if len(zero := attributes.index[attributes.eq(0).all(axis=1)]):
        findings.error(f"{len(zero)} classes have no attribute at all ({few(zero)})", path.name)
    return attributes


def duplicated(items: Iterable[str]) -> list[str]:
    """Items that occur more than once, sorted."""
    given = pd.Series(list(items), dtype=object)
    return sorted(set(given[given.duplicated()]))
