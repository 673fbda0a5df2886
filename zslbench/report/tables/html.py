"""Tables as HTML: meaning and classes alone, what they look like is the page's business."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from zslbench.report.tables.model import Cell, Column, Row, Table
from zslbench.report.tables.text import cell_marks, core, header_spans, one_line, table_notes

CLASS = "zslbench"
"""Of the table, and of the list of its notes."""


def html(table: Table, missing: str) -> str:
    """A ``table`` with its title as caption, and its notes as a list below it.

    Each group is a ``tbody`` under a row of its own (class ``group``). Rows that belong to the one above
    them have their kind as class beside ``below``. Cells have ``data-value`` for sorting, and the classes
    ``number``, ``best``, ``second``, ``tied`` and ``missing`` as they apply; a note is their ``title``, and
    what stands behind their text a ``span`` of class ``mark``.
    """
    table = table.for_readers()
    said = table_notes(table, "bold", "underlined")
    lines = [f'<table class="{CLASS}">']
    if table.title:
        lines.append(f"<caption>{_text(table.title)}</caption>")
    lines += [*_head(table.columns), *_bodies(table, missing), "</table>"]
    if said:
        lines.append(f'<ul class="{CLASS} notes">')
        lines += [f"<li>{_text(text)}</li>" for text in said]
        lines.append("</ul>")
    return "\n".join(lines) + "\n"


def _head(columns: tuple[Column, ...]) -> Iterator[str]:
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
            numeric = span.count == 1 and columns[span.first].numeric
            classes = ' class="number"' if numeric else ""
            scope = "col" if last or span.count == 1 else "colgroup"
            over = f' colspan="{span.count}"' if span.count > 1 else ""
            yield f'<th scope="{scope}"{over}{classes}>{_text(span.text)}</th>'
        yield "</tr>"
    yield "</thead>"


def _bodies(table: Table, missing: str) -> Iterator[str]:
    for group, rows in table.grouped():
        yield "<tbody>"
        if group:
            count = len(table.columns)
            yield f'<tr class="group"><th scope="rowgroup" colspan="{count}">{_text(group)}</th></tr>'
        for row in rows:
            yield _row(row, table.columns, missing)
        yield "</tbody>"


def _row(row: Row, columns: tuple[Column, ...], missing: str) -> str:
    cells = (
        _cell(cell, column, missing, first=not place)
        for place, (cell, column) in enumerate(zip(row.cells, columns, strict=True))
    )
    kind = f' class="below {escape(row.kind, quote=True)}"' if row.kind else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _cell(cell: Cell, column: Column, missing: str, *, first: bool) -> str:
    tag = "th" if first and not column.numeric else "td"
    absent = cell.text is None or (column.numeric and cell.value is None)
    classes = [
        name
        for name, applies in (
            ("number", column.numeric),
            (cell.emphasis or "", cell.emphasis is not None),
            ("tied", cell.tied),
            ("missing", absent),
        )
        if applies
    ]
    attributes = ' scope="row"' if tag == "th" else ""
    if classes:
        attributes += f' class="{" ".join(classes)}"'
    if isinstance(cell.value, str | int | float):
        attributes += f' data-value="{escape(_sortable(cell.value), quote=True)}"'
    if cell.note:
        attributes += f' title="{_text(cell.note)}"'
    text = _text(core(cell, missing))
    # Without a style sheet as well: the marks are the table's meaning.
    text = {"best": f"<b>{text}</b>", "second": f"<u>{text}</u>"}.get(cell.emphasis or "", text)
    behind = f'<span class="mark">{escape(cell_marks(cell))}</span>' if cell_marks(cell) else ""
    return f"<{tag}{attributes}>{text}{behind}</{tag}>"


def _text(text: str) -> str:
    return escape(one_line(text), quote=True)


def _sortable(value: str | float | int) -> str:
    return one_line(value) if isinstance(value, str) else str(value)
