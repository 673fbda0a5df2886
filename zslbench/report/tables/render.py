"""A table in six formats: for the terminal, markdown, csv, json, LaTeX and HTML.

A format's module is imported when it is asked for, so that a listing stays quick.
"""

from __future__ import annotations

import sys

from zslbench.report.tables.model import Table
from zslbench.report.tables.text import MISSING

FORMATS = ("terminal", "markdown", "csv", "latex", "json", "html")


def render(table: Table, fmt: str, *, missing: str = MISSING) -> str:
    """A table as text.

    Args:
        table: what to write.
        fmt: one of ``FORMATS``. ``terminal`` is as wide as the table needs and marks the best ``*so*`` and
            the second ``_so_``, since nothing is known of who reads it. ``csv`` and ``json`` have all
            columns by their keys, numbers in full, and say emphasis and notes of cells in fields of their
            own, ``KEY_rank``, ``KEY_tied``, ``KEY_mark`` and ``KEY_note``; they carry no title and no notes
            of the table.
        missing: what stands for a cell without text; in ``csv`` an empty field, in ``json`` null.

    Raises:
        ValueError: no such format, or in ``csv`` and ``json`` two columns with one key.
    """
    if fmt == "terminal":
        from zslbench.report.tables.terminal import plain

        return plain(table, missing)
    if fmt == "markdown":
        from zslbench.report.tables.markdown import markdown

        return markdown(table, missing)
    if fmt == "latex":
        from zslbench.report.tables.latex import latex

        return latex(table, missing)
    if fmt == "html":
        from zslbench.report.tables.html import html

        return html(table, missing)
    if fmt in ("csv", "json"):
        from zslbench.report.tables import programs

        return programs.as_csv(table) if fmt == "csv" else programs.as_json(table)
    raise ValueError(f"no format {fmt!r}: one of {', '.join(FORMATS)}")


def emit(table: Table, fmt: str, *, missing: str = MISSING) -> None:
    """Write a table to standard output; the notes of ``csv`` and ``json`` go to standard error.

    On a terminal the table is fitted to its width, the best stand in bold and the second underlined. Of a
    table without columns, such as a listing of nothing, readers get nothing at all.
    """
    if not table.columns and fmt not in ("csv", "json"):
        return
    if fmt == "terminal" and sys.stdout.isatty():
        from zslbench.report.tables.terminal import show

        show(table, missing)
        return
    sys.stdout.write(render(table, fmt, missing=missing))
    if fmt in ("csv", "json"):
        for text in table.notes:
            sys.stderr.write(f"note: {text}\n")
