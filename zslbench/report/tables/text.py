"""What the formats for readers share: marks, their legend, headers joined over columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from zslbench.errors import SettingsError, did_you_mean
from zslbench.report.tables.model import Cell, Column, Table

TIED_MARK = "≈"
MISSING = "–"


def parse_choices(text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """What ``--show A,B`` names; none where it was not given.

    Raises:
        SettingsError: a name that is not known.
    """
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    for name in names:
        if name not in known:
            raise SettingsError(f"--show {name}: {did_you_mean(name, known)}")
    return names


def one_line(text: str) -> str:
    """The text on one line, without control characters: a cell cannot move a terminal's cursor."""
    shown = (one for one in text if one.isspace() or unicodedata.category(one) not in ("Cc", "Cs"))
    return " ".join("".join(shown).split())


_NUMBER = re.compile(r"([-+−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)( ± \S*\d)?(.*)")


def parted(text: str) -> tuple[str, str, str]:
    """A number, its spread (``" ± 0.3"``) and what stands behind them; a text that is no number, whole."""
    found = _NUMBER.fullmatch(text)
    return (found[1], found[2] or "", found[3]) if found else (text, "", "")


def core(cell: Cell, missing: str = MISSING) -> str:
    """The cell's text without what stands behind it."""
    return missing if cell.text is None else one_line(cell.text)


def cell_marks(cell: Cell) -> str:
    """What stands behind the cell's text."""
    return f"{TIED_MARK if cell.tied else ''}{cell.mark}"


def table_notes(table: Table, best: str, second: str) -> list[str]:
    """The table's notes behind a legend of its emphasis.

    Args:
        best: how the format shows the best of a column, as ``"bold"``.
        second: how it shows the second.
    """
    cells = [cell for row in table.rows for cell in row.cells]
    legend = [
        text
        for text, used in (
            (f"{best}: best of its column", any(cell.emphasis == "best" for cell in cells)),
            (f"{second}: second", any(cell.emphasis == "second" for cell in cells)),
            (f"{TIED_MARK}: not told apart from the best", any(cell.tied for cell in cells)),
        )
        if used
    ]
    return [*(["; ".join(legend)] if legend else []), *map(one_line, table.notes)]


@dataclass(frozen=True)
class Span:
    """A header over neighbouring columns."""

    text: str
    first: int
    count: int


def header_spans(columns: Sequence[Column]) -> list[list[Span]]:
    """For each level of the headers its texts from left to right, equal neighbours joined.

    Neighbours are joined where all levels above agree as well; the last level is never joined. An empty
    text joins nothing, so that each of its columns has a span of its own.
    """
    depth = max((len(column.header) for column in columns), default=0)
    levels = []
    for level in range(depth):
        found: list[Span] = []
        before: tuple[str, ...] | None = None
        for place, column in enumerate(columns):
            path = column.header[: level + 1]
            text = one_line(path[level]) if len(path) > level else ""
            if text and path == before and level < depth - 1:
                found[-1] = Span(found[-1].text, found[-1].first, found[-1].count + 1)
            else:
                found.append(Span(text, place, 1))
            before = path
        levels.append(found)
    return levels
