"""Tables as GitHub's markdown, and as HTML with meaning and classes but no style."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from zslbench.output import visible, visible_lines
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

if TYPE_CHECKING:
    from jinja2 import Template

_SPECIAL = re.compile(r"[\\*`|~$]|<(?=[a-zA-Z/!?])|&(?=#?\w+;)|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
"""What markdown would interpret. Brackets and underscores inside words are harmless and left alone, so that
the text stays readable where nothing renders it."""


def markdown_escaped(text: str) -> str:
    """Text that markdown shows literally, in a table's cell or a paragraph, on one line."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", visible(text))


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
"""CSS class of the HTML table, and of the list of its notes."""


def html(table: Table) -> str:
    """A ``table`` with its title as caption, and its notes as a list below it.

    Each group is a ``tbody`` that begins with a heading row (class ``group``). Rows that belong to
    the one above them have the classes ``below`` and their kind. Cells have ``data-value`` for sorting, and
    the classes ``number``, ``best``, ``second``, ``tied`` and ``missing`` as they apply; a note is their
    ``title``, and marks are a ``span`` of class ``mark``. Best and second are elements too, so that they are
    recognisable without a style sheet.
    """
    table = table.for_readers()
    notes = table_notes(table, "bold", "underlined")
    levels = header_spans(table.columns)
    return visible_lines(
        _template().render(table=table, levels=levels, notes=notes, css=CLASS, missing=MISSING)
    )


@functools.cache
def _template() -> Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("zslbench.report.tables", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"one_line": one_line, "zip": zip, "classes": _classes, "has_value": _has_value}
    return environment.get_template("table.html.j2")


def _classes(cell: Cell, column: Column) -> str:
    applies = {
        "number": column.numeric,
        cell.emphasis or "": cell.emphasis is not None,
        "tied": cell.tied,
        "missing": cell.text is None or (column.numeric and cell.value is None),
    }
    return " ".join(name for name, does in applies.items() if does)


def _has_value(cell: Cell) -> bool:
    return isinstance(cell.value, str | int | float) and not is_missing(cell.value)
