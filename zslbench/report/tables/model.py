"""What a table is before it is written: cells hold numbers, and renderers turn them into text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from zslbench.output import visible

if TYPE_CHECKING:
    import pandas as pd

    Frame: TypeAlias = pd.DataFrame | Sequence[Mapping[str, Any]]

Emphasis = Literal["best", "second"]
Value: TypeAlias = float | int | str | bool | list[Any] | dict[str, Any] | None

TIED_MARK = "≈"
MISSING = "–"
"""Shown for a missing value."""
_LONGEST = 2000


@dataclass(frozen=True)
class Cell:
    """One entry of a table."""

    value: Any = None
    """For programs and for sorting; None or NaN: missing."""
    words: str | None = None
    """Shown instead of the value: a state, or why there is none."""
    spread: float = math.nan
    """Shown after a number as ``± 0.3``; NaN: none."""
    digits: int = 1
    """Decimals of a floating-point value and its spread."""
    signed: bool = False
    """Whether positive numbers carry a sign, as differences do."""
    emphasis: Emphasis | None = None
    """Best or second of its column."""
    tied: bool = False
    """Whether it was not shown to differ from the best of its column."""
    mark: str = ""
    """Appended to the text, for example ``†`` or ``" (2)"``."""
    note: str = ""
    """A sentence: why it is missing, or what its mark means."""

    @property
    def number(self) -> bool:
        """Whether readers see a number."""
        value = self.value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return self.words is None and is_number and not is_missing(value)

    @property
    def core(self) -> str | None:
        """The text without spread and marks, on one line; None: missing."""
        if self.words is not None:
            return one_line(self.words)
        return None if is_missing(self.value) else one_line(_text(self.value, self.digits, self.signed))

    @property
    def behind(self) -> str:
        """The spread as text, ``" ± 0.3"``; empty: there is none."""
        return f" ± {self.spread:.{self.digits}f}" if self.number and not math.isnan(self.spread) else ""

    @property
    def text(self) -> str | None:
        """For readers, without marks; None: missing."""
        return None if self.core is None else self.core + self.behind

    @property
    def marks(self) -> str:
        """Everything appended to the text."""
        return f"{TIED_MARK if self.tied else ''}{self.mark}"


@dataclass(frozen=True)
class Row:
    """One line of a table; lines of a group are shown together under its name."""

    cells: tuple[Cell, ...]
    group: str = ""
    kind: str = ""
    """Empty: a row in its own right. Otherwise what the row says of the last such row above it: ``oracle``,
    ``published``, ``difference``. It is sorted with that row and shown below it, indented."""

    @classmethod
    def of(cls, columns: Sequence[Column], values: Mapping[str, Any], group: str = "", kind: str = "") -> Row:
        """From values or cells by the keys of their columns; where there is none the cell is empty."""
        cells = (values.get(column.key) for column in columns)
        return cls(tuple(one if isinstance(one, Cell) else Cell(one) for one in cells), group, kind)


@dataclass(frozen=True)
class Column:
    """One column."""

    header: tuple[str, ...]
    """The levels of its header, e.g. ``("CUB", "GZSL", "H")``; equal neighbours are joined."""
    key: str
    """Its unique name for programs, e.g. ``cub_h_mean``."""
    numeric: bool = True
    """Whether it is aligned right."""
    readers: bool = True
    """Whether it is in tables for readers; those for programs have all columns."""


@dataclass(frozen=True)
class Table:
    """A table in any format; every row has one cell for each column, every header as many levels."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    """What a reader must know, a sentence each: marks, selection, what is missing."""

    def only(self, places: Sequence[int]) -> Table:
        """The same with these columns only."""
        rows = (Row(tuple(row.cells[i] for i in places), row.group, row.kind) for row in self.rows)
        return Table(tuple(self.columns[i] for i in places), tuple(rows), self.title, self.notes)

    def for_readers(self) -> Table:
        """The same without the columns that are for programs only."""
        return self.only([i for i, column in enumerate(self.columns) if column.readers])

    def grouped(self) -> list[tuple[str, list[Row]]]:
        """The rows by group, groups in the order of their first row."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.group, []).append(row)
        return list(groups.items())

    def frame(self) -> pd.DataFrame:
        """What readers see, as text; None where nothing is known."""
        import pandas as pd

        shown = self.for_readers()
        headers = [column.header for column in shown.columns]
        levels = max(map(len, headers), default=1)
        names = pd.MultiIndex.from_tuples(headers) if levels > 1 else [header[0] for header in headers]
        content = [
            [None if cell.text is None else cell.text + cell.marks for cell in row.cells]
            for row in shown.rows
        ]
        return pd.DataFrame(content, columns=names, dtype=object)


def as_table(frame: Frame | Table, *, title: str = "", decimals: int = 2) -> Table:
    """A DataFrame (any levels of columns; a named index becomes columns) or a list of records as a table.

    Imports pandas for DataFrames only. Values may be cells. A column of numbers is aligned right.

    Args:
        title: heading or caption.
        decimals: of floating-point numbers, for readers.
    """
    if isinstance(frame, Table):
        return frame
    if isinstance(frame, Sequence):
        names = dict.fromkeys(key for record in frame for key in record)
        headers: list[tuple[str, ...]] = [(name,) for name in names]
        content = [[record.get(name) for name in names] for record in frame]
    else:
        import pandas as pd

        if not isinstance(frame.index, pd.RangeIndex):
            frame = frame.reset_index()
        levels = (column if isinstance(column, tuple) else (column,) for column in frame.columns)
        headers = [tuple(map(str, header)) for header in levels]
        content = [list(row) for row in frame.astype(object).itertuples(index=False, name=None)]
    rows = [
        [one if isinstance(one, Cell) else Cell(_plain(one), digits=decimals) for one in row]
        for row in content
    ]
    columns = []
    for place, header in enumerate(headers):
        known = [row[place] for row in rows if row[place].core is not None]
        numeric = bool(known) and all(cell.number for cell in known)
        columns.append(Column(header, " ".join(level for level in header if level), numeric))
    return Table(tuple(columns), tuple(Row(tuple(row)) for row in rows), title)


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as a DataFrame; lone surrogates, which its text cannot hold, become escapes."""
    import pandas as pd

    def whole(value: Any) -> Any:
        return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value

    return pd.DataFrame([{key: whole(value) for key, value in row.items()} for row in rows])


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return math.isnan(value)
    except (TypeError, ValueError):
        return False


def machine_value(value: Any) -> Any:
    """A value for json: None for what is missing, an infinity by its name."""
    if is_missing(value):
        return None
    value = _plain(value)
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): machine_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [machine_value(one) for one in value]
    return value if isinstance(value, str | int | float) else str(value)


def signed(value: float, digits: int = 1) -> str | None:
    """With its sign, unless it rounds to zero: ``"+0.4"``, ``"−1.2"``, ``"0.0"``; None for NaN."""
    if math.isnan(value):
        return None
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def one_line(text: str) -> str:
    """The text on one line, :func:`visible`, with single spaces, cut off after about a page."""
    line = " ".join(visible(text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def table_notes(table: Table, best: str, second: str) -> list[str]:
    """The legend of the marks that the table uses, then its notes.

    Args:
        best: how the format shows the best of a column, e.g. ``"bold"``.
        second: how it shows the second.
    """
    cells = [cell for row in table.rows for cell in row.cells]
    legend = {
        f"{best}: best of its column": any(cell.emphasis == "best" for cell in cells),
        f"{second}: second": any(cell.emphasis == "second" for cell in cells),
        f"{TIED_MARK}: not shown to differ from the best": any(cell.tied for cell in cells),
    }
    used = "; ".join(text for text, applies in legend.items() if applies)
    return [*([used] if used else []), *map(one_line, table.notes)]


@dataclass(frozen=True)
class Span:
    """A header over neighbouring columns."""

    text: str
    first: int
    count: int


def header_spans(columns: Sequence[Column]) -> list[list[Span]]:
    """For each level of the headers its texts from left to right, equal neighbours joined.

    Neighbours are joined where all levels above agree as well; the last level is never joined. An empty
    text joins nothing, so each of its columns has its own span.
    """
    depth = max((len(column.header) for column in columns), default=0)
    levels = []
    for level in range(depth):
        paths = [column.header[: level + 1] for column in columns]
        texts = [one_line(path[level]) if len(path) > level else "" for path in paths]
        joins = [bool(text) and level < depth - 1 for text in texts]
        keys = [path if joins[place] else place for place, path in enumerate(paths)]
        spans = []
        for _, places in groupby(range(len(columns)), keys.__getitem__):
            first, *others = places
            spans.append(Span(texts[first], first, 1 + len(others)))
        levels.append(spans)
    return levels


def _plain(value: Any) -> Any:
    """The value as Python's own type: numpy scalars have ``item``."""
    return value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value


def _text(value: Any, digits: int, with_sign: bool = False) -> str:
    if is_missing(value):
        return MISSING
    value = _plain(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(signed(value, digits)) if with_sign else f"{value:.{digits}f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_text(one, digits)}" for key, one in value.items()) or MISSING
    if isinstance(value, list | tuple):
        return ", ".join(_text(one, digits) for one in value) or MISSING
    return str(value)
