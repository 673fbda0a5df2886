"""One table, five formats: for the terminal, markdown, csv, LaTeX and json.

pandas is imported for LaTeX only and rich for the terminal only, so that a listing stays quick.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable

    Frame: TypeAlias = pd.DataFrame | Sequence[Mapping[str, Any]]
else:
    Frame = object

FORMATS = ("terminal", "markdown", "csv", "latex", "json")

_DIGITS = r"\d+(\.\d+)?([eE][-+]?\d+)?"
_NUMBER = re.compile(rf"[-+−]?{_DIGITS}(\s*±\s*{_DIGITS})?\s*(\(\d+\))?\s*[%*†‡]*")  # "45.1 ± 0.3†", "12 (3)"

_UNBOUNDED = 100_000
_LEAST = 16
"""Words of up to so many characters are never folded: a run's id stays whole."""


@dataclass(frozen=True)
class Grid:
    """A table without its library: each column's header levels, then the rows."""

    headers: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def flat(self) -> list[str]:
        """One header per column, its levels joined: ``"cub GZSL H"``."""
        return [" ".join(level for level in header if level) for header in self.headers]

    def numeric(self) -> list[bool]:
        """Which columns hold numbers, or text that reads as one, and nothing else."""
        columns = [[row[i] for row in self.rows] for i in range(len(self.headers))]
        return [_reads_as_numbers([one for one in column if not is_missing(one)]) for column in columns]


def grid(frame: Frame) -> Grid:
    """Read a DataFrame (any column levels; a named index becomes columns) or a list of records."""
    if isinstance(frame, Sequence):
        names = list(dict.fromkeys(key for record in frame for key in record))
        rows = tuple(tuple(record.get(name) for name in names) for record in frame)
        return Grid(tuple((name,) for name in names), rows)
    import pandas as pd

    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    headers = (column if isinstance(column, tuple) else (column,) for column in frame.columns)
    return Grid(
        tuple(tuple(str(level) for level in header) for header in headers),
        tuple(tuple(row) for row in frame.astype(object).itertuples(index=False, name=None)),
    )


def render(frame: Frame, fmt: str, *, title: str | None = None, missing: str = "–", decimals: int = 2) -> str:
    """A table as text.

    Args:
        frame: a DataFrame, with one or several levels of columns, or a list of records.
        fmt: one of ``FORMATS``. ``csv`` and ``json`` carry numbers in full and no title.
        title: heading (terminal, markdown) or caption (LaTeX).
        missing: what stands for None and NaN; in ``csv`` they are an empty field, in ``json`` null.
        decimals: digits after the point of floating-point numbers, except in ``csv`` and ``json``.

    Raises:
        ValueError: no such format, or in ``csv`` and ``json`` two columns with one name.
    """
    table = grid(frame)
    if fmt == "json":
        return _json(table)
    if fmt == "csv":
        return _csv(table)
    cells = [[_text(value, missing, decimals) for value in row] for row in table.rows]
    if fmt == "terminal":
        return _terminal(table, cells, title)
    if fmt == "markdown":
        return _markdown(table, cells, title)
    if fmt == "latex":
        from zslbench.report.latex import tabular

        return tabular(table.headers, cells, table.numeric(), title)
    raise ValueError(f"no format {fmt!r}: one of {', '.join(FORMATS)}")


def emit(frame: Frame, fmt: str, *, title: str | None = None, missing: str = "–", decimals: int = 2) -> None:
    """Write a table to standard output. On a terminal it is fitted to its width and may be coloured."""
    if fmt == "terminal" and sys.stdout.isatty():
        from rich.console import Console

        table = grid(frame)
        cells = [[_text(value, missing, decimals) for value in row] for row in table.rows]
        console, shown = Console(file=sys.stdout), _rich_table(table, cells, title)
        # What does not fit is left to the terminal to wrap: rich would cut digits off numbers.
        unbounded = console.options.update(width=_UNBOUNDED)
        console.width = max(console.width, console.measure(shown, options=unbounded).minimum)
        console.print(shown)
    else:
        sys.stdout.write(render(frame, fmt, title=title, missing=missing, decimals=decimals))


def is_missing(value: Any) -> bool:
    """Whether a cell is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return math.isnan(value)
    except (TypeError, ValueError):
        return False


def _reads_as_numbers(values: Sequence[Any]) -> bool:
    return bool(values) and all(
        not isinstance(one, bool) and _NUMBER.fullmatch(_text(one, "", 2)) is not None for one in values
    )


def _plain(value: Any) -> Any:
    """The value as Python's own type: numpy scalars have ``item``."""
    return value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value


def _text(value: Any, missing: str, decimals: int) -> str:
    """A cell for people, on one line."""
    if is_missing(value):
        return missing
    value = _plain(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{decimals}f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_text(one, missing, decimals)}" for key, one in value.items()) or missing
    if isinstance(value, list | tuple):
        return ", ".join(_text(one, missing, decimals) for one in value) or missing
    return " ".join(str(value).split())


def _distinct(table: Grid) -> list[str]:
    names = table.flat
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two columns read alike once their levels are joined: {', '.join(twice)}")
    return names


def _machine(value: Any) -> Any:
    """A cell for json: null for what is missing, an infinity by its name."""
    if is_missing(value):
        return None
    value = _plain(value)
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _machine(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_machine(one) for one in value]
    return value if isinstance(value, str | int | float) else str(value)


def _json(table: Grid) -> str:
    names = _distinct(table)
    records = [dict(zip(names, row, strict=True)) for row in table.rows]
    return json_text(records)


def json_text(value: Any) -> str:
    """Any nested value as json, with null for whatever is missing."""
    return json.dumps(_machine(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _csv(table: Grid) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_distinct(table))
    for row in table.rows:
        writer.writerow([_field(_machine(value)) for value in row])
    return out.getvalue()


def _field(value: Any) -> Any:
    """A cell for csv: its writer knows numbers and text."""
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value, "", 2) if isinstance(value, list | dict) else value


def _rich_table(table: Grid, cells: Sequence[Sequence[str]], title: str | None) -> RichTable:
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    # Text, not str: brackets in a cell are no markup. An upper level stands over its first column only.
    shown = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD)
    depth = max((len(header) for header in table.headers), default=0)
    above: tuple[str, ...] = ("",) * depth
    for place, (header, right) in enumerate(zip(table.headers, table.numeric(), strict=True)):
        levels = ["" if header[: i + 1] == above[: i + 1] else header[i] for i in range(depth - 1)]
        label = Text("\n".join([*levels, header[-1]]))
        texts = [*label.plain.split("\n"), *(row[place] for row in cells)]
        whole = right or not place
        pieces = texts if whole else [word[:_LEAST] for text in texts for word in text.split()]
        shown.add_column(
            label,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=whole,
            min_width=max(map(cell_len, pieces), default=0),
        )
        above = header
    for row in cells:
        shown.add_row(*(Text(cell) for cell in row))
    return shown


def _terminal(table: Grid, cells: Sequence[Sequence[str]], title: str | None) -> str:
    from rich.console import Console

    # Not a terminal: nothing is wrapped or cut, so that the output can be searched and compared.
    console = Console(file=io.StringIO(), width=_UNBOUNDED, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(_rich_table(table, cells, title))
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _markdown(table: Grid, cells: Sequence[Sequence[str]], title: str | None) -> str:
    from tabulate import tabulate

    def escaped(texts: Sequence[str]) -> list[str]:
        return [text.replace("|", r"\|") for text in texts]

    body = tabulate(
        [escaped(row) for row in cells],
        headers=escaped(table.flat),
        tablefmt="pipe",
        colalign=["right" if right else "left" for right in table.numeric()] if cells else None,
        disable_numparse=True,
    )
    return f"**{title}**\n\n{body}\n" if title else f"{body}\n"
