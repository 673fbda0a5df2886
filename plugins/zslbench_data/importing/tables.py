"""Reads the CSV files of a custom data set: class attributes, the split, and the classes of an array's rows.

UTF-8, with a header; separated by commas, or by semicolons or tabs if the header has no comma. Names of
columns are compared without regard to case. What is wrong joins the findings.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from zslbench.data import EMPTY, TEXT, UNKNOWN, Findings, few, file_kind, require_file

_FLAGS = dict.fromkeys(("1", "true", "yes", "y", "val"), True)
_FLAGS |= dict.fromkeys(("", "0", "false", "no", "n"), False)
"""What cells of the column ``val`` mean."""


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


def read_split(path: Path, findings: Findings) -> pd.DataFrame | None:
    """A table with a column ``part``; ``val`` is of type bool, all False if the file has no such column."""
    split = read_table(path, findings)
    if split is None:
        return None
    if "part" not in split:
        findings.error(f"no column 'part' (columns: {', '.join(split.columns)})", path.name)
        return None
    given = split["val"] if "val" in split else pd.Series("", split.index)
    flags = given.str.lower().map(_FLAGS)
    if len(odd := given[flags.isna()]):
        findings.error(f"{len(odd)} values of val are neither 1 nor 0 ({few(odd)})", path.name)
    return split.assign(val=flags.eq(True))


def image_rows(
    split: pd.DataFrame,
    split_file: str,
    labels: Path | None,
    images: Sequence[str] | None,
    rows: int | None,
    findings: Findings,
) -> pd.DataFrame | None:
    """Each image in the order of the arrays' rows; None: the tables are insufficient.

    Columns are ``class``, ``image`` if the names are known, and ``part`` and ``val`` if the split is of
    images.

    Args:
        split, labels, images, rows: as for :func:`zslbench_data.importing.custom.plan`.
    """
    if "image" in split or "row" in split:
        table, file = split, split_file
    elif "class" not in split:
        findings.error("no column 'image', 'row' or 'class'", split_file)
        return None
    elif labels is not None:
        labelled = read_table(labels, findings)
        if labelled is None:
            return None
        table, file = labelled.drop(columns=["part", "val"], errors="ignore"), labels.name
    elif rows is None and images is not None:
        names = sorted(images)
        return pd.DataFrame({"class": [name.partition("/")[0] for name in names], "image": names})
    else:
        findings.error("a split of classes needs --labels with the class of each row", split_file)
        return None
    if "class" not in table:
        if "image" not in table or images is None:
            findings.error("no column 'class', and no image folder whose subfolders are classes", file)
            return None
        classes = table["image"].map(lambda name: (*PurePosixPath(name).parts[:-1], "")[0])
        table = table.assign(**{"class": classes})
        if lost := int(classes.eq("").sum()):
            findings.error(f"{lost} images are not in a subfolder named after their class", file)
    if images is not None and "image" in table:
        _compare_images(file, table["image"].tolist(), images, findings)
    return _in_order(table, file, rows, findings)


def duplicated(items: Iterable[str]) -> list[str]:
    """Items that occur more than once, sorted."""
    given = pd.Series(list(items), dtype=object)
    return sorted(set(given[given.duplicated()]))


def _compare_images(file: str, names: Sequence[str], images: Sequence[str], findings: Findings) -> None:
    if repeated := len(names) - len(set(names)):
        findings.error(f"{repeated} duplicate images", file)
    if missing := sorted(set(names) - set(images)):
        findings.error(f"{len(missing)} images are not in the image folder ({few(missing)})", file)
    if extra := sorted(set(images) - set(names)):
        findings.note(f"{len(extra)} images of the folder are in no part and left out ({few(extra)})")


def _in_order(table: pd.DataFrame, file: str, rows: int | None, findings: Findings) -> pd.DataFrame | None:
    """The lines in the order of the arrays' rows, without arrays sorted by name."""
    fault, count = "", len(table)
    if rows is None and "image" in table:
        return table.sort_values("image", kind="stable", ignore_index=True)
    if rows is None:
        fault = "no column 'image', and there are no arrays"
    elif "row" not in table:
        fault = "" if count == rows else f"{count} rows, the arrays have {rows}"
    elif odd := [cell for cell in table["row"] if not cell.isdecimal() or float(cell) >= rows]:
        fault = f"{len(odd)} values of row are not from 0 to {rows - 1} ({few(odd)})"
    else:
        table = table.set_index(table["row"].map(int)).sort_index()
        found = table.index.nunique()
        if found != count or found != rows:
            fault = f"{count - found} duplicate rows, {rows - found} of {rows} rows are missing"
    if fault:
        findings.error(fault, file)
        return None
    return table.reset_index(drop=True)
