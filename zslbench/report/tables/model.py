"""What a table is before it is written in any format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Emphasis = Literal["best", "second"]
Value: TypeAlias = float | int | str | bool | list[Any] | dict[str, Any] | None


@dataclass(frozen=True)
class Cell:
    """One entry of a table."""

    text: str | None
    """For readers, one line, without marks; None: missing."""
    value: Value = None
    """For programs and for sorting; None: missing."""
    emphasis: Emphasis | None = None
    """Best or second of its column."""
    tied: bool = False
    """Whether the data cannot tell it from the best of its column."""
    mark: str = ""
    """What the text carries behind it, as ``†`` or ``" (2)"``."""
    note: str = ""
    """A sentence: why it is missing, or what its mark says."""


@dataclass(frozen=True)
class Row:
    """One line of a table; lines of one group stand together under its name."""

    cells: tuple[Cell, ...]
    group: str = ""
    kind: str = ""
    """Empty: a row of its own. Else the row belongs to the last such row above it and says this of it:
    ``oracle``, ``published``, ``difference``. It is sorted with it and shown below it, indented."""


@dataclass(frozen=True)
class Column:
    """One column."""

    header: tuple[str, ...]
    """The levels of its header, as ``("CUB", "GZSL", "H")``; equal neighbours are joined."""
    key: str
    """Its one name for programs, as ``cub_h_mean``."""
    numeric: bool = True
    """Whether it is aligned right."""
    readers: bool = True
    """Whether it stands in tables for readers; those for programs have all columns."""


@dataclass(frozen=True)
class Table:
    """A table in any format; every row has one cell for each column, every header as many levels."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    """What a reader must know, a sentence each: marks, selection, what is missing."""

    def for_readers(self) -> Table:
        """The same without the columns that are for programs alone."""
        kept = [place for place, column in enumerate(self.columns) if column.readers]
        return Table(
            tuple(self.columns[place] for place in kept),
            tuple(Row(tuple(row.cells[place] for place in kept), row.group, row.kind) for row in self.rows),
            self.title,
            self.notes,
        )

    def grouped(self) -> list[tuple[str, list[Row]]]:
        """The rows by group, groups in the order of their first row."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.group, []).append(row)
        return list(groups.items())
