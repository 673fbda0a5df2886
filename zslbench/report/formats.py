"""Frames and lists of records in any format of :mod:`zslbench.report.tables.render`.

pandas is imported for DataFrames alone, so that a listing stays quick.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from zslbench.report.tables import render as tables
from zslbench.report.tables.model import Cell, Column, Row, Table
from zslbench.report.tables.render import FORMATS as FORMATS
from zslbench.report.tables.text import MISSING

if TYPE_CHECKING:
    import pandas as pd

    Frame: TypeAlias = pd.DataFrame | Sequence[Mapping[str, Any]] | Table
else:
    Frame = object

_DIGITS = r"\d+(\.\d+)?([eE][-+]?\d+)?"
_NUMBER = re.compile(rf"[-+−]?{_DIGITS}(\s*±\s*{_DIGITS})?\s*(\(\d+\))?\s*[%*†‡]*")  # "45.1 ± 0.3†", "12 (3)"


@dataclass(frozen=True)
class Grid:
    """A table without its library: each column's header levels, then the rows."""

    headers: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def flat(self) -> list[str]:
        """One header per column, its levels joined: ``"cub GZSL H"``."""
        return [" ".join(level for level in header if level) for header in self.headers]

    def numeric(self) -> list[bool]:
        """Which columns hold numbers, or text that reads as one, and nothing else."""
        columns = [[row[i] for row in self.rows] for i in range(len(self.headers))]
        return [_reads_as_numbers([one for one in column if not is_missing(one)]) for column in columns]


def grid(frame: pd.DataFrame | Sequence[Mapping[str, Any]]) -> Grid:
    """Read a DataFrame (any column levels; a named index becomes columns) or a list of records."""
    if isinstance(frame, Sequence):
        names = list(dict.fromkeys(key for record in frame for key in record))
        rows = tuple(tuple(record.get(name) for name in names) for record in frame)
        return Grid(tuple((name,) for name in names), rows)
    import pandas as pd

    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    headers = (column if isinstance(column, tuple) else (column,) for column in frame.columns)
    return Grid(
        tuple(tuple(str(level) for level in header) for header in headers),
        tuple(tuple(row) for row in frame.astype(object).itertuples(index=False, name=None)),
    )


def as_table(frame: Frame, *, title: str | None = None, missing: str = MISSING, decimals: int = 2) -> Table:
    """The frame as a table that any format can write; a table is returned as it is.

    Args:
        frame: a DataFrame, with one or several levels of columns, or a list of records.
        title: heading or caption.
        missing: what stands for None and NaN where they are within a list.
        decimals: digits after the point of floating-point numbers, for readers.
    """
    if isinstance(frame, Table):
        return frame
    content = grid(frame)
    columns = tuple(
        Column(header, key, numeric)
        for header, key, numeric in zip(content.headers, content.flat, content.numeric(), strict=True)
    )
    rows = tuple(Row(tuple(_cell(value, missing, decimals) for value in row)) for row in content.rows)
    return Table(columns, rows, title or "")


def render(
    frame: Frame, fmt: str, *, title: str | None = None, missing: str = MISSING, decimals: int = 2
) -> str:
    """A frame as text.

    Args:
        frame: a DataFrame, with one or several levels of columns, or a list of records.
        fmt: one of ``FORMATS``. ``csv`` and ``json`` carry numbers in full and no title.
        title: heading (terminal, markdown) or caption (LaTeX, HTML).
        missing: what stands for None and NaN; in ``csv`` they are an empty field, in ``json`` null.
        decimals: digits after the point of floating-point numbers, except in ``csv`` and ``json``.

    Raises:
        ValueError: no such format, or in ``csv`` and ``json`` two columns with one name.
    """
    table = as_table(frame, title=title, missing=missing, decimals=decimals)
    return tables.render(table, fmt, missing=missing)


def emit(
    frame: Frame, fmt: str, *, title: str | None = None, missing: str = MISSING, decimals: int = 2
) -> None:
    """Write a table or frame to standard output. On a terminal it is fitted to its width and coloured."""
    tables.emit(as_table(frame, title=title, missing=missing, decimals=decimals), fmt, missing=missing)


def is_missing(value: Any) -> bool:
    """Whether a cell is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return math.isnan(value)
    except (TypeError, ValueError):
        return False


def _reads_as_numbers(values: Sequence[Any]) -> bool:
    return bool(values) and all(
        not isinstance(one, bool) and _NUMBER.fullmatch(_text(one, "", 2)) is not None for one in values
    )


def _plain(value: Any) -> Any:
    """The value as Python's own type: numpy scalars have ``item``."""
    return value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value


def _cell(value: Any, missing: str, decimals: int) -> Cell:
    absent = is_missing(value)
    return Cell(None if absent else _text(value, missing, decimals), _machine(value))


def _text(value: Any, missing: str, decimals: int) -> str:
    """A cell for people, on one line."""
    if is_missing(value):
        return missing
    value = _plain(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{decimals}f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_text(one, missing, decimals)}" for key, one in value.items()) or missing
    if isinstance(value, list | tuple):
        return ", ".join(_text(one, missing, decimals) for one in value) or missing
    return " ".join(str(value).split())


def _machine(value: Any) -> Any:
    """A cell for json: null for what is missing, an infinity by its name."""
    if is_missing(value):
        return None
    value = _plain(value)
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _machine(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_machine(one) for one in value]
    return value if isinstance(value, str | int | float) else str(value)


def json_text(value: Any) -> str:
    """Any nested value as json, with null for whatever is missing."""
    return json.dumps(_machine(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
