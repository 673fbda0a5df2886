"""Tables as GitHub's markdown."""

from __future__ import annotations

import re

from zslbench.report.tables.model import Cell, Row, Table
from zslbench.report.tables.text import cell_marks, core, table_notes

_SPECIAL = re.compile(r"[\\*`|~$]|<(?=[a-zA-Z/!?])|&(?=#?\w+;)|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
"""What has a meaning of its own where it stands. Brackets and underscores within words have none, and text
stays readable where nothing renders it."""


def escaped(text: str) -> str:
    """Plain text that markdown shows as it is, in a table's cell or a paragraph."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def markdown(table: Table, missing: str) -> str:
    """A pipe table under its title in bold, its notes below it; groups are lines of their own."""
    table = table.for_readers()
    lines = [
        [escaped(" ".join(level for level in column.header if level)) for column in table.columns],
        [("-" * 2 + ":" if column.numeric else "-" * 3) for column in table.columns],
    ]
    for group, rows in table.grouped():
        if group:
            lines.append([f"*{escaped(group)}*", *[""] * (len(table.columns) - 1)])
        lines += [_line(row, missing) for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(table.columns))]
    lines[1] = [
        "-" * (width - 1) + ":" if column.numeric else "-" * width
        for width, column in zip(widths, table.columns, strict=True)
    ]
    text = f"**{escaped(table.title)}**\n\n" if table.title else ""
    for line in lines:
        padded = (
            cell.rjust(width) if column.numeric else cell.ljust(width)
            for cell, width, column in zip(line, widths, table.columns, strict=True)
        )
        text += f"| {' | '.join(padded)} |\n"
    said = table_notes(table, "bold", "underlined")
    return text + ("\n" + "".join(f"- {escaped(one)}\n" for one in said) if said else "")


def _line(row: Row, missing: str) -> list[str]:
    cells = [_cell(cell, missing) for cell in row.cells]
    return [f"&emsp;{cells[0]}", *cells[1:]] if row.kind and cells else cells


def _cell(cell: Cell, missing: str) -> str:
    text = escaped(core(cell, missing))
    if cell.emphasis == "best":
        text = f"**{text}**"
    elif cell.emphasis == "second":
        text = f"<u>{text}</u>"
    return text + escaped(cell_marks(cell))
