"""Reads scores or predictions from ``.npz`` and CSV files, in the order of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zslbench.data import NPZ, TEXT, UNKNOWN, Findings, duplicated, few, file_kind, read_table, require_file
from zslbench.errors import DataError, did_you_mean
from zslbench.plugin import one_line

NO_CLASS = "\uffff"
"""Stands for a prediction that counts as wrong because classes tie; no class has this name."""

_PREDICTIONS = {"prediction": "gzsl", "gzsl_prediction": "gzsl", "czsl_prediction": "czsl"}
_IGNORED = ("class", "side", "gzsl_correct", "czsl_correct", "gzsl_margin")
"""Further columns of ``zslbench show RUN --predictions``, which need not be there."""


@dataclass(frozen=True)
class SubmittedScores:
    """Scores (images, classes) or predicted classes (images,) of one or both tasks.

    Classes are names or ids, images are names of files or rows of the data set; both count from 0.
    """

    where: str
    """Where they came from, for messages."""
    scores: np.ndarray | None = None
    """For GZSL or CZSL, depending on the classes."""
    gzsl: np.ndarray | None = None
    czsl: np.ndarray | None = None
    """For the unseen images, over the unseen classes; in the order of ``images`` and ``classes``."""
    classes: np.ndarray | None = None
    """One for each column of scores; None: in the order of the data set."""
    image_index: np.ndarray | None = None
    """Rows of the data set, one for each row of the scores."""
    image_files: np.ndarray | None = None
    """The same as names of files."""
    labels: np.ndarray | None = None
    """The true class of each image, only to check that images and classes are those of the data set."""
    seen_classes: np.ndarray | None = None
    """Only to check the split, as ``unseen_classes``."""
    unseen_classes: np.ndarray | None = None

    @property
    def images(self) -> np.ndarray | None:
        return self.image_files if self.image_index is None else self.image_index


KEYS = tuple(one.name for one in fields(SubmittedScores) if one.name != "where")


def read_submitted(path: Path) -> SubmittedScores:
    """Read a file.

    Raises:
        MissingData: there is no such file.
        DataError: it is neither a ``.npz`` nor a CSV file, or has unknown or contradictory content.
    """
    path = path.expanduser()
    require_file(path)
    kind = file_kind(path)
    if kind == NPZ:
        return from_arrays(_arrays(path), str(path))
    if kind in (TEXT, UNKNOWN):
        return _from_csv(path)
    raise DataError(path, [f"is {kind}; scores are in a .npz or a CSV file"])


def from_arrays(arrays: Mapping[str, Any], where: str) -> SubmittedScores:
    """Take arrays by the names in ``KEYS``; DataError: another name, no scores, or a wrong shape or type."""
    if unknown := [name for name in arrays if name not in KEYS]:
        raise DataError(where, [f"has the unknown key '{unknown[0]}', {did_you_mean(str(unknown[0]), KEYS)}"])
    given = {name: np.asarray(value) for name, value in arrays.items() if value is not None}
    tasks = [name for name in ("scores", "gzsl", "czsl") if name in given]
    faults = [] if tasks else ["has neither 'scores' nor 'gzsl' nor 'czsl'"]
    if "scores" in tasks and "gzsl" in tasks:
        faults.append("has both 'scores' and 'gzsl'; give one")
    if {"image_index", "image_files"} <= given.keys():
        faults.append("has both 'image_index' and 'image_files'; give one")
    for name, array in given.items():
        axes = (1, 2) if name in tasks and name != "scores" else (2,) if name in tasks else (1,)
        if array.ndim not in axes:
            faults.append(f"'{name}' has {array.ndim} axes, not {' or '.join(map(str, axes))}")
        elif array.ndim == 2 and array.dtype.kind not in "fiu":
            faults.append(f"'{name}' is of type {array.dtype}; scores are numbers")
        elif array.ndim == 1 and array.dtype.kind not in ("iu" if name == "image_index" else "iuUO"):
            kinds = "whole numbers" if name == "image_index" else "names or whole numbers"
            faults.append(f"'{name}' is of type {array.dtype}, not {kinds}")
    if faults:
        raise DataError(where, faults)
    return SubmittedScores(where, **given)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and NumPy's reader of headers raise many types
        raise DataError(path, [f"is not a .npz file of numbers and texts ({one_line(error)})"]) from None


def _from_csv(path: Path) -> SubmittedScores:
    """A first column ``file`` or ``image`` (row number), then a column for each class with its scores; or the
    columns of ``zslbench show RUN --predictions``."""
    findings = Findings()
    table = read_table(path, findings, lower=False)
    findings.raise_errors(path.parent)
    assert table is not None
    names = [str(name) for name in table.columns]
    if repeated := duplicated(names):
        raise DataError(path, [f"{len(repeated)} columns occur twice ({few(repeated)})"])
    given: dict[str, np.ndarray] = {}
    if "image" in names:
        given["image_index"] = _whole_numbers(path, table["image"].tolist())
    elif "file" in names:
        given["image_files"] = table["file"].to_numpy(dtype=str)
    else:
        raise DataError(path, ["has no column 'file' (names) or 'image' (row numbers of the data set)"])
    if "class" in names:
        given["labels"] = table["class"].to_numpy(dtype=str)
    rest = table.drop(columns=["image", "file"], errors="ignore")
    read = _predictions if set(_PREDICTIONS) & set(names) else _scores
    return SubmittedScores(str(path), **given, **read(path, rest))


def _predictions(path: Path, table: pd.DataFrame) -> dict[str, np.ndarray]:
    known = [*_PREDICTIONS, *_IGNORED]
    if strange := [name for name in table.columns if name not in known]:
        fault = f"has the column '{strange[0]}' beside predictions, {did_you_mean(strange[0], known)}"
        raise DataError(path, [fault])
    if {"prediction", "gzsl_prediction"} <= set(table.columns):
        raise DataError(path, ["has both 'prediction' and 'gzsl_prediction'; give one"])
    found = {}
    for name, task in _PREDICTIONS.items():
        if name not in table:
            continue
        cells, given = table[name].to_numpy(dtype=str), (table[name] != "").to_numpy()
        if "class" in table and f"{task}_correct" in table:
            # If the true class ties with another, the file names it, but it counts as wrong.
            wrong = table[f"{task}_correct"].str.lower() == "false"
            cells = np.where((table["class"] == table[name]) & wrong, NO_CLASS, cells)
        found[task] = cells[given] if task == "czsl" else cells  # images of seen classes have no CZSL
    return found


def _scores(path: Path, table: pd.DataFrame) -> dict[str, np.ndarray]:
    table = table.drop(columns=["class", "side"], errors="ignore")
    if table.empty:
        raise DataError(path, ["has no columns of scores, one for each class, and no column 'prediction'"])
    cells = table.to_numpy(dtype=object)
    try:
        scores = cells.astype(np.float64)
    except ValueError:
        odd = [str(cell) for cell in cells.flat if not _is_number(cell)]
        raise DataError(path, [f"cells that are not numbers: {len(odd)} ({few(odd)})"]) from None
    return {"scores": scores, "classes": table.columns.to_numpy(dtype=str)}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _whole_numbers(path: Path, cells: list[str]) -> np.ndarray:
    if odd := [cell for cell in cells if not (cell.isascii() and cell.isdigit() and len(cell) < 16)]:
        fault = f"cells of column 'image' that are not row numbers: {len(odd)} ({few(odd)})"
        raise DataError(path, [fault], "If they are file names, call the column 'file'")
    return np.array([int(cell) for cell in cells], dtype=np.int64)
