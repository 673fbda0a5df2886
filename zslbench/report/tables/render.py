"""A table in six formats: for the terminal, markdown, csv, json, LaTeX and HTML.

A format's module is imported when it is asked for, and csv and json are written by the standard library:
pandas would slow down every listing.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import TYPE_CHECKING, Any

from zslbench.report.tables.model import Cell, Table, as_table, machine_value

if TYPE_CHECKING:
    from zslbench.report.tables.model import Frame

FORMATS = ("terminal", "markdown", "csv", "latex", "json", "html")


def render(table: Frame | Table, fmt: str, *, title: str = "", decimals: int = 2) -> str:
    """A table as text.

    Args:
        table: a table, a DataFrame or a list of records.
        fmt: one of ``FORMATS``. ``terminal`` is as wide as the table needs and marks the best ``*so*`` and
            the second ``_so_``. ``csv`` and ``json`` have all columns by their keys and numbers in full, with
            emphasis and notes of cells in fields named ``KEY_rank``, ``KEY_tied``, ``KEY_mark`` and
            ``KEY_note``; title and notes of the table are left out.
        title: heading or caption of a DataFrame or list.
        decimals: of its floating-point numbers, except in ``csv`` and ``json``.

    Raises:
        ValueError: no such format, or in ``csv`` and ``json`` two columns with the same key.
    """
    table = as_table(table, title=title, decimals=decimals)
    if fmt == "terminal":
        from zslbench.report.tables.terminal import plain

        return plain(table)
    if fmt in ("markdown", "html"):
        from zslbench.report.tables import markup

        return markup.markdown(table) if fmt == "markdown" else markup.html(table)
    if fmt == "latex":
        from zslbench.report.tables.latex import latex

        return latex(table)
    if fmt == "csv":
        return _as_csv(table)
    if fmt == "json":
        fields = _fields(table)
        rows = zip(*fields.values(), strict=True)
        return json_text([dict(zip(fields, row, strict=True)) for row in rows])
    raise ValueError(f"no format {fmt!r}: one of {', '.join(FORMATS)}")


def emit(table: Frame | Table, fmt: str, *, title: str = "", decimals: int = 2) -> None:
    """Write a table to standard output; arguments as for :func:`render`.

    On a terminal it is fitted to its width, the best in bold and the second underlined. Notes of ``csv`` and
    ``json`` go to standard error. Readers see nothing of a table without columns, as a listing of nothing.
    """
    table = as_table(table, title=title, decimals=decimals)
    if not table.columns and fmt not in ("csv", "json"):
        return
    if fmt == "terminal" and sys.stdout.isatty():
        from zslbench.report.tables.terminal import show

        show(table)
        return
    sys.stdout.write(render(table, fmt))
    if fmt in ("csv", "json"):
        for text in table.notes:
            sys.stderr.write(f"note: {text}\n")


def json_text(value: Any) -> str:
    """Any nested value as json, with null for whatever is missing."""
    return json.dumps(machine_value(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _as_csv(table: Table) -> str:
    fields = _fields(table)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows(map(_csv_field, row) for row in zip(*fields.values(), strict=True))
    return out.getvalue()


def _fields(table: Table) -> dict[str, list[Any]]:
    """The values of each field by its name.

    Raises:
        ValueError: two fields have the same name.
    """
    found: list[tuple[str, list[Any]]] = []
    if any(row.group for row in table.rows) and all(column.key != "group" for column in table.columns):
        found.append(("group", [row.group for row in table.rows]))
    for place, column in enumerate(table.columns):
        cells = [row.cells[place] for row in table.rows]
        found.append((column.key, [machine_value(cell.value) for cell in cells]))
        found += ((f"{column.key}_{name}", values) for name, values in _attributes(cells).items())
    names = [name for name, _ in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two columns have the same name once their levels are joined: {', '.join(twice)}")
    return dict(found)


def _attributes(cells: list[Cell]) -> dict[str, list[Any]]:
    """Emphasis, marks and notes, where any cell of the column has them."""
    found: dict[str, list[Any]] = {
        "rank": [cell.emphasis for cell in cells],
        "tied": [cell.tied for cell in cells],
        "mark": [cell.mark.strip() or None for cell in cells],
        "note": [cell.note or None for cell in cells],
    }
    return {name: values for name, values in found.items() if any(values)}


def _csv_field(value: Any) -> Any:
    """A value for csv: its writer knows numbers and text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join("" if one is None else str(_csv_field(one)) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={'' if one is None else _csv_field(one)}" for key, one in value.items())
    return value
