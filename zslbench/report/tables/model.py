"""What a table is before it is written in any format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Emphasis = Literal["best", "second"]


@dataclass(frozen=True)
class Cell:
    """One entry of a table."""

    text: str | None
    """For readers, one line, without marks; None: missing."""
    value: float | int | str | bool | None = None
    """For programs and for sorting; None: missing."""
    emphasis: Emphasis | None = None
    """Best or second of its column."""
    tied: bool = False
    """Whether the data cannot tell it from the best of its column."""
    mark: str = ""
    """What the text carries behind it, as ``†``."""
    note: str = ""
    """A sentence: why it is missing, or what its mark says."""


@dataclass(frozen=True)
class Row:
    """One line of a table; lines of one group stand together under its name."""

    cells: tuple[Cell, ...]
    group: str = ""


@dataclass(frozen=True)
class Column:
    """One column."""

    header: tuple[str, ...]
    """The levels of its header, as ``("CUB", "GZSL", "H")``; equal neighbours are joined."""
    key: str
    """Its one name for programs, as ``cub_h_mean``."""
    numeric: bool = True
    readers: bool = True
    """Whether it stands in tables for readers; those for programs have all columns."""


@dataclass(frozen=True)
class Table:
    """A table in any format; every row has one cell for each column."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    """What a reader must know, a sentence each: marks, selection, what is missing."""
