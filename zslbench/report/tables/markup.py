"""Tables as GitHub's markdown, and as HTML with meaning and classes but no style."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from zslbench.report.tables.model import (
    MISSING,
    Cell,
    Column,
    Row,
    Table,
    header_spans,
    is_missing,
    one_line,
    table_notes,
)

_SPECIAL = re.compile(r"[\\*`|~$]|<(?=[a-zA-Z/!?])|&(?=#?\w+;)|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
"""What markdown would interpret. Brackets and underscores inside words are harmless and left alone, so that
the text stays readable where nothing renders it."""


def markdown_escaped(text: str) -> str:
    """Text that markdown shows literally, in a table's cell or a paragraph."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def markdown(table: Table) -> str:
    """A pipe table under its title in bold, its notes below it; groups are lines of their own."""
    table = table.for_readers()
    columns = table.columns
    lines = [[markdown_escaped(" ".join(filter(None, column.header))) for column in columns]]
    for group, rows in table.grouped():
        if group:
            lines.append([f"*{markdown_escaped(group)}*", *[""] * (len(columns) - 1)])
        lines += [_markdown_row(row) for row in rows]
    widths = [max(3, *(len(line[place]) for line in lines)) for place in range(len(columns))]
    rules = [
        "-" * (width - 1) + ":" if column.numeric else "-" * width
        for width, column in zip(widths, columns, strict=True)
    ]
    text = f"**{markdown_escaped(table.title)}**\n\n" if table.title else ""
    for line in [lines[0], rules, *lines[1:]]:
        padded = (
            cell.rjust(width) if column.numeric else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        text += f"| {' | '.join(padded)} |\n"
    notes = table_notes(table, "bold", "underlined")
    return text + ("\n" + "".join(f"- {markdown_escaped(one)}\n" for one in notes) if notes else "")


def _markdown_row(row: Row) -> list[str]:
    cells = []
    for cell in row.cells:
        text = markdown_escaped(MISSING if cell.text is None else cell.text)
        text = {"best": f"**{text}**", "second": f"<u>{text}</u>"}.get(cell.emphasis or "", text)
        cells.append(text + markdown_escaped(cell.marks))
    return [f"&emsp;{cells[0]}", *cells[1:]] if row.kind and cells else cells


CLASS = "zslbench"
"""Of the HTML table, and of the list of its notes."""


def html(table: Table) -> str:
    """A ``table`` with its title as caption, and its notes as a list below it.

    Each group is a ``tbody`` that begins with a heading row (class ``group``). Rows that belong to
    the one above them have the classes ``below`` and their kind. Cells have ``data-value`` for sorting, and
    the classes ``number``, ``best``, ``second``, ``tied`` and ``missing`` as they apply; a note is their
    ``title``, and marks are a ``span`` of class ``mark``.
    """
    table = table.for_readers()
    notes = table_notes(table, "bold", "underlined")
    lines = [f'<table class="{CLASS}">']
    if table.title:
        lines.append(f"<caption>{_html_text(table.title)}</caption>")
    lines += [*_html_head(table.columns), *_html_bodies(table), "</table>"]
    if notes:
        items = (f"<li>{_html_text(text)}</li>" for text in notes)
        lines += [f'<ul class="{CLASS} notes">', *items, "</ul>"]
    return "\n".join(lines) + "\n"


def _html_head(columns: tuple[Column, ...]) -> Iterator[str]:
    levels = header_spans(columns)
    yield "<thead>"
    for depth, level in enumerate(levels):
        last = depth == len(levels) - 1
        if not last and not any(span.text for span in level):
            continue
        yield "<tr>"
        for span in level:
            if not span.text:
                yield "<td></td>"
                continue
            classes = ' class="number"' if span.count == 1 and columns[span.first].numeric else ""
            scope = "col" if last or span.count == 1 else "colgroup"
            over = f' colspan="{span.count}"' if span.count > 1 else ""
            yield f'<th scope="{scope}"{over}{classes}>{_html_text(span.text)}</th>'
        yield "</tr>"
    yield "</thead>"


def _html_bodies(table: Table) -> Iterator[str]:
    for group, rows in table.grouped():
        yield "<tbody>"
        if group:
            count = len(table.columns)
            yield f'<tr class="group"><th scope="rowgroup" colspan="{count}">{_html_text(group)}</th></tr>'
        for row in rows:
            cells = (
                _html_cell(cell, column, first=not place)
                for place, (cell, column) in enumerate(zip(row.cells, table.columns, strict=True))
            )
            kind = f' class="below {escape(row.kind, quote=True)}"' if row.kind else ""
            yield f"<tr{kind}>{''.join(cells)}</tr>"
        yield "</tbody>"


def _html_cell(cell: Cell, column: Column, *, first: bool) -> str:
    tag = "th" if first and not column.numeric else "td"
    applies = {
        "number": column.numeric,
        cell.emphasis or "": cell.emphasis is not None,
        "tied": cell.tied,
        "missing": cell.text is None or (column.numeric and cell.value is None),
    }
    classes = [name for name, does in applies.items() if does]
    attributes = ' scope="row"' if tag == "th" else ""
    if classes:
        attributes += f' class="{" ".join(classes)}"'
    if isinstance(cell.value, str | int | float) and not is_missing(cell.value):
        attributes += f' data-value="{_html_text(str(cell.value))}"'
    if cell.note:
        attributes += f' title="{_html_text(cell.note)}"'
    text = _html_text(MISSING if cell.text is None else cell.text)
    # Elements, so that best and second are recognisable without a style sheet.
    text = {"best": f"<b>{text}</b>", "second": f"<u>{text}</u>"}.get(cell.emphasis or "", text)
    marks = f'<span class="mark">{escape(cell.marks)}</span>' if cell.marks else ""
    return f"<{tag}{attributes}>{text}{marks}</{tag}>"


def _html_text(text: str) -> str:
    return escape(one_line(text), quote=True)
