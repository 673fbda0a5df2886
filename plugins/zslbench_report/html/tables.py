"""A table with headers that sort it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zslbench.report.tables.model import Cell, Row, Table
from zslbench.report.tables.text import MISSING, notes, spans, tail


@dataclass(frozen=True)
class Link:
    """A cell that leads to a place of the page."""

    text: str
    target: str
    kind: str


def sortable(table: Table, linked: str | None, links: Mapping[str, Link]) -> dict[str, Any]:
    """What the macro ``table`` shows: header cells by level, bodies (one per group) and notes.

    Args:
        linked: header of a last column with links; None: no such column.
        links: by the text of a row's first cell.
    """
    readers = table.for_readers()
    levels = spans(readers.columns)
    return {
        "title": readers.title,
        "upper": levels[:-1],
        "columns": [
            {"text": span.text, "numeric": column.numeric, "first": _begins(readers, place)}
            for place, (span, column) in enumerate(zip(levels[-1], readers.columns, strict=True))
        ],
        "linked": linked,
        "bodies": [
            {"group": group, "rows": [_row(readers, row, links) for row in rows]}
            for group, rows in readers.grouped()
        ],
        "notes": notes(readers, "bold", "underlined"),
        "width": len(readers.columns) + (linked is not None),
    }


def _row(table: Table, row: Row, links: Mapping[str, Link]) -> dict[str, Any]:
    cells = [
        {
            "text": MISSING if cell.text is None else cell.text,
            "tail": tail(cell),
            "emphasis": cell.emphasis,
            "note": cell.note,
            "missing": _missing(cell, column.numeric),
            "sort": "" if _missing(cell, column.numeric) else _order(cell),
            "numeric": column.numeric,
            "first": _begins(table, place),
        }
        for place, (cell, column) in enumerate(zip(row.cells, table.columns, strict=True))
    ]
    first = row.cells[0].text or ""
    return {"cells": cells, "kind": row.kind, "link": links.get(first) if not row.kind else None}


def _begins(table: Table, place: int) -> bool:
    """Whether a column is the first under its topmost header, where a line parts data sets."""
    tops: Sequence[str] = [column.header[0] for column in table.columns]
    return place > 0 and tops[place] != tops[place - 1]


def _missing(cell: Cell, numeric: bool) -> bool:
    """Whether there is no figure, though the cell may say why, as ``no plugin``; it is sorted last."""
    return cell.text is None or (numeric and cell.value is None)


def _order(cell: Cell) -> str:
    """What a cell is sorted by."""
    return str(cell.text if cell.value is None else cell.value)
