"""A table in six formats: for the terminal, markdown, csv, json, LaTeX and HTML.

A format's module is imported when it is asked for, and csv and json are written by the standard library:
pandas would slow down every listing.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from zslbench.output import echo, visible_lines, write
from zslbench.report.tables.model import Cell, Table, as_table, machine_value

if TYPE_CHECKING:
    from zslbench.report.tables.model import Frame

FORMATS = ("terminal", "markdown", "csv", "latex", "json", "html")

_CSV_SAFE = ContextVar("csv_safe", default=False)
_FORMULA = re.compile("[=@＝＋－＠]|[+-](?!(inf|[0-9.]+(e[+-]?[0-9]+)?)$)", re.IGNORECASE)
"""The start of a cell that a spreadsheet would run as a formula; ``-1.5e-3`` and ``-inf`` are numbers."""


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
    write(render(table, fmt))
    if fmt in ("csv", "json"):
        for text in table.notes:
            echo(f"note: {text}", err=True)


@contextlib.contextmanager
def csv_safe() -> Iterator[None]:
    """Within the context, csv cells that a spreadsheet would run as formulas get a ``'`` in front."""
    token = _CSV_SAFE.set(True)
    try:
        yield
    finally:
        _CSV_SAFE.reset(token)


def json_text(value: Any) -> str:
    """Any nested value as json, with null for whatever is missing.

    What :func:`~zslbench.output.visible` escapes is written as JSON escapes: programs read them exactly.
    """
    text = json.dumps(machine_value(value), ensure_ascii=False, indent=2, allow_nan=False)
    hidden = {one for one in set(text) - {"\n"} if visible_lines(one) != one}
    return text.translate({ord(one): json.dumps(one)[1:-1] for one in hidden}) + "\n"


def _as_csv(table: Table) -> str:
    fields = _fields(table)
    out = io.StringIO()
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if _CSV_SAFE.get() else csv.QUOTE_MINIMAL
    writer = csv.writer(out, lineterminator="\n", quoting=quoting)
    writer.writerow(map(_csv_field, fields))
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
    """A value for the csv writer, which takes numbers and text; control characters are escaped."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = visible_lines(_csv_text(value))
    return f"'{text}" if _CSV_SAFE.get() and _FORMULA.match(text) else text


def _csv_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(_csv_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={_csv_text(one)}" for key, one in value.items())
    return "" if value is None else str(value)
