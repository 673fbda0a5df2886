"""Tables on a terminal, and where its output goes elsewhere.

rich's tables cannot join headers over columns, align digits in front of spreads and marks, or split a table
that is too wide. So columns are laid out here, and rich styles, measures and wraps the text.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from zslbench.report.tables.model import MISSING, Column, Row, Table, header_spans, one_line, table_notes

_MARGIN = 2
_GAP = 3
_NEVER_FOLDED = 16
"""Words of up to this many characters are never folded: a run's id stays whole."""
_UNBOUNDED = 100_000
_MARKS = ("*", "_")
"""Around the best and the second where nothing can be bold or underlined."""
_STYLES = {"best": Style(bold=True), "second": Style(underline=True)}
_HEAD = Style(bold=True)
_GROUP = Style(bold=True, italic=True)
_BELOW = Style(dim=True)


def plain(table: Table) -> str:
    """The table without colours, as wide as it needs: it can be searched and compared."""
    console = Console(file=io.StringIO(), width=_UNBOUNDED, color_system=None, force_terminal=False)
    lines = _lines(console, table.for_readers(), None, styled=False)
    return "".join(f"{line.plain.rstrip()}\n" for line in lines)


def show(table: Table) -> None:
    """Write the table to the terminal that standard output is.

    Columns of words are folded to its width; a table that is still too wide is split by its upper headers.
    What cannot be made to fit is left to the terminal to wrap: no digit is cut off.
    """
    console = Console(file=sys.stdout)
    width, styled = console.width, console.color_system is not None
    lines = list(_lines(console, table.for_readers(), width, styled=styled))
    console.width = max([width, *(cell_len(line.plain) for line in lines)])
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


# --- layout --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shown:
    """A cell as the terminal shows it. Digits align at the end of cores; spreads and marks follow."""

    core: str
    spread: str
    """In the same style as the core: ``" ± 0.3"``."""
    marks: str
    word: bool
    """Whether it is text in a column of numbers: it ends where the column does."""

    @property
    def tail(self) -> str:
        return self.spread + self.marks

    @property
    def width(self) -> int:
        return cell_len(self.core) + cell_len(self.tail)


@dataclass(frozen=True)
class _Layout:
    """A table's columns, the texts of its rows, and a width for each column."""

    columns: tuple[Column, ...]
    rows: dict[int, tuple[_Shown, ...]]
    """By the id of the row."""
    widths: tuple[int, ...]
    tails: tuple[int, ...]
    """Width of the widest tail of each column; cores of numbers end before it, so that digits align."""

    @property
    def width(self) -> int:
        return sum(self.widths) + _GAP * max(len(self.widths) - 1, 0)


def _layout(table: Table, marks: tuple[str, str], width: int | None) -> _Layout:
    """Lay a table out.

    Args:
        marks: put around the best and around the second.
        width: of the terminal; columns of words are folded to fit it, numbers and first columns never are.
            None: nothing is folded.
    """
    indented = any(row.group for row in table.rows)
    rows = {id(row): _shown_row(row, table.columns, marks, indented) for row in table.rows}
    widths, least, tails = [], [], []
    for place, column in enumerate(table.columns):
        cells = [row[place] for row in rows.values()]
        tail = max((cell_len(one.tail) for one in cells if not one.word), default=0)
        ends = (one.width if one.word or not column.numeric else cell_len(one.core) + tail for one in cells)
        last = column.header[-1] if column.header else ""
        texts = [last, *(one.core + one.tail for one in cells)]
        words = max((cell_len(word[:_NEVER_FOLDED]) for text in texts for word in text.split()), default=0)
        tails.append(tail)
        widths.append(max(cell_len(last), *ends, 0))
        least.append(widths[-1] if column.numeric or not place else words)
    _make_room_for_spans(table.columns, widths)
    if width is not None:
        _squeeze(widths, least, width - 2 * _MARGIN - _GAP * (len(widths) - 1))
    return _Layout(table.columns, rows, tuple(widths), tuple(tails))


def _shown_row(
    row: Row, columns: Sequence[Column], marks: tuple[str, str], indented: bool
) -> tuple[_Shown, ...]:
    shown = []
    for place, (cell, column) in enumerate(zip(row.cells, columns, strict=True)):
        around = {"best": marks[0], "second": marks[1]}.get(cell.emphasis or "", "")
        indent = ("  " * indented + "  " * bool(row.kind)) if not place else ""
        core = MISSING if cell.core is None else cell.core
        word = column.numeric and cell.core is not None and not cell.number
        shown.append(_Shown(f"{indent}{around}{core}", f"{cell.behind}{around}", cell.marks, word))
    return tuple(shown)


def _make_room_for_spans(columns: Sequence[Column], widths: list[int]) -> None:
    """Widen the last column below each joined header that is wider than its columns."""
    for level in header_spans(columns)[:-1]:
        for span in level:
            under = widths[span.first : span.first + span.count]
            around = 2 if span.count > 1 else 0
            lacking = cell_len(span.text) + around - sum(under) - _GAP * (span.count - 1)
            if lacking > 0:
                widths[span.first + span.count - 1] += lacking


def _squeeze(widths: list[int], least: Sequence[int], room: int) -> None:
    """Narrow the widest columns of words until the table fits or nothing more can be folded."""
    while sum(widths) > room:
        foldable = [i for i, one in enumerate(widths) if one > least[i]]
        if not foldable:
            return
        widths[max(foldable, key=lambda i: widths[i])] -= 1


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


def _lines(console: Console, table: Table, width: int | None, *, styled: bool) -> Iterator[Text]:
    marks = ("", "") if styled else _MARKS
    whole = _layout(table, marks, width)
    if table.title:
        yield from _wrapped(console, Text(one_line(table.title), style="italic"), width)
    for part in _parts(table, _UNBOUNDED if width is None else width, whole):
        found = whole if part is table else _layout(part, marks, width)
        yield Text()
        yield from _header(found)
        yield Text(" " * (_MARGIN - 1) + "─" * (found.width + 2))
        yield from _body(console, part, found)
    yield Text()
    legend = ("bold", "underlined") if styled else ("*so*", "_so_")
    for text in table_notes(table, *legend):
        yield from _wrapped(console, Text(text), width)


def _header(found: _Layout) -> Iterator[Text]:
    levels = header_spans(found.columns)
    for depth, level in enumerate(levels):
        line = Text(" " * _MARGIN)
        for span in level:
            room = sum(found.widths[span.first : span.first + span.count]) + _GAP * (span.count - 1)
            text = Text(f" {span.text} " if span.count > 1 else span.text, _HEAD)
            if span.count > 1:
                text.align("center", room, "─")
            else:
                text.align("right" if found.columns[span.first].numeric else "left", room)
            line.append_text(text).append(" " * _GAP)
        if depth == len(levels) - 1 or line.plain.strip():
            line.rstrip()
            yield line


def _body(console: Console, table: Table, found: _Layout) -> Iterator[Text]:
    for number, (group, rows) in enumerate(table.grouped()):
        if group:
            if number:
                yield Text()
            yield Text.assemble(" " * _MARGIN, (one_line(group), _GROUP))
        for row in rows:
            yield from _row(console, row, found)


def _row(console: Console, row: Row, found: _Layout) -> Iterator[Text]:
    """A row's lines: one, or more where words are folded."""
    columns = []
    for place, (cell, one) in enumerate(zip(row.cells, found.rows[id(row)], strict=True)):
        indent = len(one.core) - len(one.core.lstrip())  # not underlined
        style = _STYLES.get(cell.emphasis or "", Style())
        text = Text.assemble(
            one.core[:indent],
            (one.core[indent:] + one.spread, style),
            one.marks,
            style=_BELOW if row.kind else Style(),
        )
        if found.columns[place].numeric:
            text.pad_right(0 if one.word else found.tails[place] - cell_len(one.tail))
            text.pad_left(found.widths[place] - cell_len(text.plain))
            columns.append([text])
        elif not place or one.width <= found.widths[place]:
            columns.append([text])
        else:
            columns.append(list(text.wrap(console, found.widths[place], overflow="fold")))
    for number in range(max(map(len, columns), default=0)):
        line = Text(" " * _MARGIN)
        for texts, width in zip(columns, found.widths, strict=True):
            text = texts[number] if number < len(texts) else Text()
            text.rstrip()
            line.append_text(text)
            line.append(" " * (width - cell_len(text.plain) + _GAP))
        line.rstrip()
        yield line


def _wrapped(console: Console, text: Text, width: int | None) -> Iterator[Text]:
    if width is None:
        yield text
    else:
        yield from text.wrap(console, width, overflow="fold")
