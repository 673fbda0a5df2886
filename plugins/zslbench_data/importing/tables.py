"""Reads the CSV files of a custom data set: the split, and the classes of an array's rows.

Names of columns are compared without regard to case. What is wrong joins the findings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from zslbench.data import Findings, few, read_table

_FLAGS = dict.fromkeys(("1", "true", "yes", "y", "val"), True)
_FLAGS |= dict.fromkeys(("", "0", "false", "no", "n"), False)
"""What cells of the column ``val`` mean."""


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
