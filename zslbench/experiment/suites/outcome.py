"""What is known of a suite: for each of its cells the finished runs, or why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zslbench.store.record import RunRecord

State = Literal["done", "partial", "failed", "missing", "no data", "no plugin", "not applicable"]
"""``partial``: some seeds are there; ``failed``: none is and one ended with an error; ``missing``: not run;
``no data``: the data set is not on this machine; ``no plugin``: nobody registered the method; ``not
applicable``: the method does not do this, as an oracle selection of a closed form."""


@dataclass(frozen=True)
class Line:
    """One row of a suite's table: a method in one variant and reading."""

    label: str
    """What tables call it; unique in the suite."""
    method: str
    variant: str | None = None
    reading: str | None = None
    group: str = ""
    """``embedding`` or ``generative``."""
    published: str | None = None
    """The method's name in the published results; None: nothing is published of it."""
    published_variant: str | None = None
    """Its name in the method's published ablation (``full``: the whole method); None: it is no row of one."""


@dataclass(frozen=True)
class Entry:
    """One line on one data set under one selection."""

    state: State
    records: Mapping[int, RunRecord] = field(default_factory=dict)
    """Finished runs by seed."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Messages of seeds that ended with an error."""
    reason: str = ""
    """One line that says why runs are missing."""


@dataclass(frozen=True)
class SuiteOutcome:
    """Everything that tables and reports of a suite show."""

    name: str
    title: str
    lines: tuple[Line, ...]
    datasets: tuple[str, ...]
    """Names of data sets, in the order of the table's columns."""
    selections: tuple[str, ...]
    """``val``, ``last`` and ``oracle``, those that the suite runs; the first is the one that ranks."""
    seeds: tuple[int, ...]
    entries: Mapping[tuple[str, str, str], Entry]
    """By label of a line, data set and selection; one for every combination."""
    published_source: str | None = None
    """Which source's published numbers go before others, as ``SC-EGG IJCAI-22 Table 1``."""
    remarks: tuple[str, ...] = ()
    """What else a reader must know, a line each."""

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """All finished runs, in the order of the table."""
        return tuple(record for entry in self.entries.values() for record in entry.records.values())
