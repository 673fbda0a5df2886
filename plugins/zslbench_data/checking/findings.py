"""What a check finds: one row for everything that was looked at, good or bad."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from zslbench.errors import DataError, ZslbenchError

Severity = Literal["error", "warning", "ok"]

_COUNT = re.compile(r"(?:^|: |share |differs? in |contain )(\d+)\b")
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One row."""

    severity: Severity
    what: str
    where: str
    """File or folder, relative to the data set where it lies in it."""
    count: int | None = None
    """How many images, values, classes, ... it is about."""

    def row(self) -> dict[str, Any]:
        """For a table."""
        return {"severity": self.severity, "what": self.what, "where": self.where, "count": self.count}


class Findings:
    """Rows in the order in which they were found; the same row twice is kept once."""

    def __init__(self) -> None:
        self.rows: list[Finding] = []

    def add(self, severity: Severity, what: str, where: object, count: int | None = None) -> None:
        row = Finding(severity, what, str(where), count)
        if row not in self.rows:
            self.rows.append(row)

    def error(self, what: str, where: object, count: int | None = None) -> None:
        self.add("error", what, where, count)

    def warning(self, what: str, where: object, count: int | None = None) -> None:
        self.add("warning", what, where, count)

    def ok(self, what: str, where: object, count: int | None = None) -> None:
        self.add("ok", what, where, count)

    def faults(self, faults: Iterable[str], where: object) -> int:
        """Add sentences of the validation as errors, with the count that each names; gives their number."""
        told = list(faults)
        for text in told:
            found = _COUNT.search(text)
            self.error(text, where, int(found[1]) if found else None)
        return len(told)

    @contextlib.contextmanager
    def guard(self, where: object) -> Iterator[None]:
        """A fault that ends the block becomes a row: the check goes on with the next thing."""
        try:
            yield
        except DataError as error:
            self.faults(error.faults, where)
        except (ZslbenchError, OSError, RuntimeError, ValueError, KeyError, MemoryError) as error:
            self.error(f"cannot be read ({type(error).__name__}: {error})", where)


def few(items: Iterable[object]) -> str:
    """The first of some items."""
    shown = list(items)
    return ", ".join(str(one) for one in shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")
