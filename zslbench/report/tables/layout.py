"""Widths of a terminal table's columns, and which columns stand beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from zslbench.report.tables.model import Cell, Column, Row, Table
from zslbench.report.tables.text import cell_marks, core, header_spans, parted

MARGIN = 2
GAP = 3
_LEAST = 16
"""Words of up to so many characters are never folded: a run's id stays whole."""


@dataclass(frozen=True)
class Shown:
    """A cell as the terminal shows it. Digits align where cores end; spreads and marks stand behind."""

    core: str
    spread: str
    """Beside a number, in the same style: ``" ± 0.3"``."""
    behind: str
    """Marks."""
    word: bool
    """Whether it stands in a column of numbers and is none: it ends where the column does."""

    @property
    def tail(self) -> str:
        """What stands behind the core."""
        return self.spread + self.behind

    @property
    def width(self) -> int:
        """In columns of the terminal."""
        return cell_len(self.core) + cell_len(self.tail)


@dataclass(frozen=True)
class Layout:
    """A table's columns with the texts of its rows and a width for each column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Row, tuple[Shown, ...]], ...]
    widths: tuple[int, ...]
    tails: tuple[int, ...]
    """Width of the widest tail of each column; cores of numbers end before it, so that digits align."""

    @property
    def width(self) -> int:
        """Of the whole table without its margins."""
        return sum(self.widths) + GAP * max(len(self.widths) - 1, 0)


def layout(table: Table, missing: str, marks: tuple[str, str], width: int | None) -> Layout:
    """Lay a table out.

    Args:
        table: with columns for readers alone.
        missing: what stands for a cell without text.
        marks: what stands around the core of the best and of the second.
        width: of the terminal; columns of words are folded to fit it, numbers and first columns never are.
            None: nothing is folded.
    """
    indented = any(row.group for row in table.rows)
    rows = tuple(
        (
            row,
            tuple(
                _shown(row, place, missing, marks, indented, one.numeric)
                for place, one in enumerate(table.columns)
            ),
        )
        for row in table.rows
    )
    count = len(table.columns)
    tails = [
        max((cell_len(cells[i].tail) for _, cells in rows if not cells[i].word), default=0)
        for i in range(count)
    ]
    widths = [
        max([_widest(rows, i, tails[i], one.numeric), cell_len(_last(one))], default=0)
        for i, one in enumerate(table.columns)
    ]
    least = [
        widths[i] if one.numeric or not i else _least(rows, i, one) for i, one in enumerate(table.columns)
    ]
    _make_room_for_spans(table.columns, widths)
    if width is not None:
        _squeeze(widths, least, width - 2 * MARGIN - GAP * (count - 1))
    return Layout(table.columns, rows, tuple(widths), tuple(tails))


def parts(table: Table, fits: int, measured: Layout) -> list[Table]:
    """A table that is too wide as several, each with some of the columns below one upper header.

    Columns without an upper header, as the name of a row, stand in each. A table whose columns cannot be
    parted, or that fits, is left whole.
    """
    tops = [column.header[0] if len(column.header) > 1 else "" for column in table.columns]
    names = list(dict.fromkeys(top for top in tops if top))
    if measured.width + 2 * MARGIN <= fits or len(names) < 2:
        return [table]
    always = {i for i, top in enumerate(tops) if not top}
    found: list[list[str]] = []
    for name in names:
        tried = [*found[-1], name] if found else [name]
        places = {i for i, top in enumerate(tops) if top in tried} | always
        room = sum(measured.widths[i] for i in places) + GAP * (len(places) - 1) + 2 * MARGIN
        if found and room <= fits:
            found[-1].append(name)
        else:
            found.append([name])
    return [
        _taken(table, [i for i, top in enumerate(tops) if not top or top in part], part is found[-1])
        for part in found
    ]


def _taken(table: Table, places: Sequence[int], last: bool) -> Table:
    columns = tuple(table.columns[i] for i in places)
    rows = tuple(Row(tuple(row.cells[i] for i in places), row.group, row.kind) for row in table.rows)
    return Table(columns, rows, "", table.notes if last else ())


def _shown(
    row: Row, place: int, missing: str, marks: tuple[str, str], indented: bool, numeric: bool
) -> Shown:
    cell: Cell = row.cells[place]
    around = {"best": marks[0], "second": marks[1]}.get(cell.emphasis or "", "")
    indent = ("  " if indented else "") + ("  " if row.kind else "") if not place else ""
    text = core(cell, missing)
    number, spread, behind = parted(text) if numeric else (text, "", "")
    word = cell.text is not None and numeric and not any(one.isdigit() for one in text)
    return Shown(f"{indent}{around}{number}", f"{spread}{around}", behind + cell_marks(cell), word)


def _last(column: Column) -> str:
    return column.header[-1] if column.header else ""


def _widest(rows: Sequence[tuple[Row, tuple[Shown, ...]]], place: int, tail_width: int, numeric: bool) -> int:
    if numeric:
        ended = (
            cells[place].width if cells[place].word else cell_len(cells[place].core) + tail_width
            for _, cells in rows
        )
        return max(ended, default=0)
    return max((cells[place].width for _, cells in rows), default=0)


def _least(rows: Sequence[tuple[Row, tuple[Shown, ...]]], place: int, column: Column) -> int:
    texts = [_last(column), *(f"{cells[place].core}{cells[place].tail}" for _, cells in rows)]
    return max((cell_len(word[:_LEAST]) for text in texts for word in text.split()), default=0)


def _make_room_for_spans(columns: Sequence[Column], widths: list[int]) -> None:
    """Widen the last column of each joined header that is longer than what it stands over."""
    for level in header_spans(columns)[:-1]:
        for span in level:
            over = widths[span.first : span.first + span.count]
            around = 2 if span.count > 1 else 0
            lacking = cell_len(span.text) + around - sum(over) - GAP * (span.count - 1)
            if lacking > 0:
                widths[span.first + span.count - 1] += lacking


def _squeeze(widths: list[int], least: Sequence[int], room: int) -> None:
    """Narrow the widest columns of words until the table fits or nothing more can be folded."""
    while sum(widths) > room:
        foldable = [i for i, one in enumerate(widths) if one > least[i]]
        if not foldable:
            return
        widest = max(foldable, key=lambda i: widths[i])
        widths[widest] -= 1
