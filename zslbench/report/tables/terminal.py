"""Tables on a terminal, and where its output goes elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from zslbench.report.tables.layout import GAP, MARGIN, Layout, Shown, layout, parts
from zslbench.report.tables.model import Row, Table
from zslbench.report.tables.text import header_spans, one_line, table_notes

_UNBOUNDED = 100_000
_MARKS = ("*", "_")
"""Around the best and the second where nothing can be bold or underlined."""
_STYLES = {"best": Style(bold=True), "second": Style(underline=True)}
_HEAD = Style(bold=True)
_GROUP = Style(bold=True, italic=True)
_BELOW = Style(dim=True)


def plain(table: Table, missing: str) -> str:
    """The table without colours, as wide as it needs: it can be searched and compared."""
    console = Console(file=io.StringIO(), width=_UNBOUNDED, color_system=None, force_terminal=False)
    lines = _lines(console, table.for_readers(), missing, None, styled=False)
    return "".join(f"{line.plain.rstrip()}\n" for line in lines)


def show(table: Table, missing: str) -> None:
    """Write the table to the terminal that standard output is.

    Columns of words are folded to its width; a table that is still too wide is parted by its upper headers.
    What cannot be made to fit is left to the terminal to wrap: no digit is cut off.
    """
    console = Console(file=sys.stdout)
    width, styled = console.width, console.color_system is not None
    lines = list(_lines(console, table.for_readers(), missing, width, styled=styled))
    console.width = max([width, *(cell_len(line.plain) for line in lines)])
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _lines(
    console: Console, table: Table, missing: str, width: int | None, *, styled: bool
) -> Iterator[Text]:
    marks = ("", "") if styled else _MARKS
    whole = layout(table, missing, marks, width)
    if table.title:
        yield from _wrapped(console, Text(one_line(table.title), style="italic"), width)
    for one in parts(table, _UNBOUNDED if width is None else width, whole):
        found = whole if one is table else layout(one, missing, marks, width)
        yield Text()
        yield from _header(found)
        yield Text(" " * (MARGIN - 1) + "─" * (found.width + 2))
        yield from _body(console, one, found)
    yield Text()
    legend = ("bold", "underlined") if styled else ("*so*", "_so_")
    for text in table_notes(table, *legend):
        yield from _wrapped(console, Text(text), width)


def _header(found: Layout) -> Iterator[Text]:
    levels = header_spans(found.columns)
    for depth, level in enumerate(levels):
        line = Text(" " * MARGIN)
        for span in level:
            widths = found.widths[span.first : span.first + span.count]
            room = sum(widths) + GAP * (span.count - 1)
            if span.count > 1:
                line.append(_centred(f" {span.text} ", room), _HEAD)
            else:
                text = _right(span.text, room) if found.columns[span.first].numeric else span.text
                line.append(text + " " * (room - cell_len(text)), _HEAD)
            line.append(" " * GAP)
        if depth < len(levels) - 1 and not line.plain.strip():
            continue
        line.rstrip()
        yield line


def _body(console: Console, table: Table, found: Layout) -> Iterator[Text]:
    cells = {id(row): shown for row, shown in found.rows}
    for number, (group, rows) in enumerate(table.grouped()):
        if group:
            if number:
                yield Text()
            yield Text.assemble(" " * MARGIN, (one_line(group), _GROUP))
        for row in rows:
            yield from _row(console, row, cells[id(row)], found)


def _row(console: Console, row: Row, shown: tuple[Shown, ...], found: Layout) -> Iterator[Text]:
    """A row's lines: one, or more where words are folded."""
    columns = []
    for place, (cell, one) in enumerate(zip(row.cells, shown, strict=True)):
        around = _BELOW if row.kind else Style()
        indent = len(one.core) - len(one.core.lstrip())  # not underlined
        style = _STYLES.get(cell.emphasis or "", Style())
        text = Text.assemble(
            one.core[:indent], (one.core[indent:] + one.spread, style), one.behind, style=around
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
        line = Text(" " * MARGIN)
        for texts, width in zip(columns, found.widths, strict=True):
            text = texts[number] if number < len(texts) else Text()
            text.rstrip()
            line.append_text(text)
            line.append(" " * (width - cell_len(text.plain) + GAP))
        line.rstrip()
        yield line


def _wrapped(console: Console, text: Text, width: int | None) -> Iterator[Text]:
    if width is None:
        yield text
    else:
        yield from text.wrap(console, width, overflow="fold")


def _right(text: str, width: int) -> str:
    return " " * (width - cell_len(text)) + text


def _centred(text: str, width: int) -> str:
    spare = max(width - cell_len(text), 0)
    return "─" * (spare // 2) + text + "─" * (spare - spare // 2)
