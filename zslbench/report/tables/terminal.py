"""Tables on a terminal, and where its output goes elsewhere.

rich writes rows, folds words and styles. Widths are computed here, since rich's tables can neither join
headers over columns, nor align digits in front of spreads and marks, nor split a table that is too wide.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table as Grid
from rich.text import Text

from zslbench.report.console import Console
from zslbench.report.tables.model import MISSING, Cell, Column, Table, header_spans, one_line, table_notes

_MARGIN = 2
_GAP = 3
_NEVER_FOLDED = 16
"""Words of up to this many characters are never folded: a run's id stays whole."""
_UNBOUNDED = 100_000
_STYLES = {"best": Style(bold=True), "second": Style(underline=True)}
_MARKS = {"best": "*", "second": "_"}
"""Around cells where nothing can be bold or underlined."""


def plain(table: Table) -> str:
    """The table without colours, as wide as it needs: it can be searched and compared."""
    out = io.StringIO()
    console = Console(file=out, width=_UNBOUNDED, color_system=None, force_terminal=False)
    _write(console, table.for_readers(), _UNBOUNDED)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().split("\n")[:-1])


def show(table: Table) -> None:
    """Write the table to the terminal that standard output is.

    Columns of words are folded to its width; a table that is still too wide is split by its upper headers.
    What cannot be made to fit is left to the terminal to wrap: no digit is cut off.
    """
    console = Console(file=sys.stdout)
    width, console.width = console.width, _UNBOUNDED
    _write(console, table.for_readers(), width)


def _write(console: Console, table: Table, width: int) -> None:
    styled = console.color_system is not None
    whole = _layout(table, styled, width)

    def write(what: RenderableType, room: int = _UNBOUNDED) -> None:
        console.print(what, width=room, overflow="fold", crop=False)

    if table.title:
        write(Text(one_line(table.title), "italic"), width)
    for part in _parts(table, width, whole):
        found = whole if part is table else _layout(part, styled, width)
        write("")
        for line in _header(found):
            write(line)
        write(Text(" " * (_MARGIN - 1) + "─" * (found.width + 2)))
        for number, (group, rows) in enumerate(part.grouped()):
            if group:
                write(Text(("\n" if number else "") + " " * _MARGIN).append(one_line(group), "bold italic"))
            lines = [(found.rows[id(row)], "dim" if row.kind else "") for row in rows]
            write(_grid(found.widths, lines))
    write("")
    legend = ("bold", "underlined") if styled else ("*so*", "_so_")
    for text in table_notes(table, *legend):
        write(Text(text), width)


# --- layout --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """A table's columns with a width for each, and the padded texts of its rows."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    rows: dict[int, list[Text]]
    """By the id of the row."""

    @property
    def width(self) -> int:
        return sum(self.widths) + _GAP * max(len(self.widths) - 1, 0)


def _layout(table: Table, styled: bool, width: int) -> _Layout:
    """Lay a table out: columns of words are folded to fit ``width``, numbers and first columns never are."""
    indented = any(row.group for row in table.rows)
    columns, widths, least = [], [], []
    for place, column in enumerate(table.columns):
        texts = _column([row.cells[place] for row in table.rows], column, styled)
        if not place:
            for text, row in zip(texts, table.rows, strict=True):
                text.pad_left(2 * (indented + bool(row.kind)))
        last = column.header[-1] if column.header else ""
        words = (word for text in [last, *(one.plain for one in texts)] for word in text.split())
        columns.append(texts)
        widths.append(max([1, cell_len(last), *(one.cell_len for one in texts)]))
        unfolded = max((cell_len(word[:_NEVER_FOLDED]) for word in words), default=1)
        least.append(widths[-1] if column.numeric or not place else unfolded)
    for level in header_spans(table.columns)[:-1]:  # the last column below a wide header makes room for it
        for span in level:
            under = widths[span.first : span.first + span.count]
            around = 2 if span.count > 1 else 0
            lacking = cell_len(span.text) + around - sum(under) - _GAP * (span.count - 1)
            widths[span.first + span.count - 1] += max(lacking, 0)
    room = width - 2 * _MARGIN - _GAP * (len(widths) - 1)
    while sum(widths) > room and (foldable := [i for i, one in enumerate(widths) if one > least[i]]):
        widths[max(foldable, key=lambda i: widths[i])] -= 1
    for texts, column, wide in zip(columns, table.columns, widths, strict=True):
        for text in texts:
            text.pad_left(wide - text.cell_len if column.numeric else 0)
    rows = {id(row): [texts[place] for texts in columns] for place, row in enumerate(table.rows)}
    return _Layout(table.columns, tuple(widths), rows)


def _column(cells: Sequence[Cell], column: Column, styled: bool) -> list[Text]:
    """The texts of a column; digits stand below each other, in front of spreads and marks."""
    texts, tails = [], []
    for cell in cells:
        around = "" if styled else _MARKS.get(cell.emphasis or "", "")
        style = _STYLES.get(cell.emphasis or "", "") if styled else ""
        core = MISSING if cell.core is None else cell.core
        texts.append(Text().append(around + core + cell.behind + around, style).append(cell.marks))
        tails.append(cell_len(cell.behind + around + cell.marks))
    if column.numeric:
        # Words end where the column does.
        aligned = [i for i, cell in enumerate(cells) if cell.number or cell.core is None]
        most = max((tails[i] for i in aligned), default=0)
        for i in aligned:
            texts[i].pad_right(most - tails[i])
    return texts


def _parts(table: Table, fits: int, measured: _Layout) -> list[Table]:
    """A table that is too wide as several, each with some of the columns below one upper header.

    Columns without an upper header, such as the name of a row, are repeated in each. A table that fits,
    or has fewer than two upper headers, is left whole.
    """
    tops = [column.header[0] if len(column.header) > 1 else "" for column in table.columns]
    names = list(dict.fromkeys(filter(None, tops)))
    if measured.width + 2 * _MARGIN <= fits or len(names) < 2:
        return [table]
    found: list[list[int]] = []
    always = [i for i, top in enumerate(tops) if not top]
    for name in names:
        own = [i for i, top in enumerate(tops) if top == name]
        tried = [*found[-1], *own] if found else own
        places = [*always, *tried]
        room = sum(measured.widths[i] for i in places) + _GAP * (len(places) - 1) + 2 * _MARGIN
        if found and room <= fits:
            found[-1] = tried
        else:
            found.append(own)
    return [table.only(sorted([*always, *places])) for places in found]


# --- lines ---------------------------------------------------------------------------------------


def _header(found: _Layout) -> Iterable[RenderableType]:
    levels = header_spans(found.columns)
    for depth, level in enumerate(levels):
        rooms, texts = [], []
        for span in level:
            rooms.append(sum(found.widths[span.first : span.first + span.count]) + _GAP * (span.count - 1))
            text = Text(f" {span.text} " if span.count > 1 else span.text, "bold")
            if span.count > 1:
                text.align("center", rooms[-1], "─")
            elif found.columns[span.first].numeric:
                text.align("right", rooms[-1])
            texts.append(text)
        if depth == len(levels) - 1 or any(span.text for span in level):
            yield _grid(rooms, [(texts, "")])


def _grid(widths: Sequence[int], rows: Iterable[tuple[Sequence[Text], str]]) -> RenderableType:
    """Rows of texts in columns of these widths, each row with its style; what is wider is folded."""
    grid = Grid.grid()  # gaps are columns: versions of rich differ in whether a last column is padded
    for place, width in enumerate(widths):
        if place:
            grid.add_column(width=_GAP)
        grid.add_column(width=width, overflow="fold")
    for texts, style in rows:
        with_gaps = [cell for text in texts for cell in ("", text)]
        grid.add_row(*with_gaps[1:], style=style)
    return Padding(grid, (0, 0, 0, _MARGIN), expand=False)
