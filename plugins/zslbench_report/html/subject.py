"""What a report is about, and the runs that its sections show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.errors import MissingExtra, ZslbenchError
from zslbench.experiment import Line, SuiteOutcome
from zslbench.report.results import dataset_label, mark
from zslbench.store.record import RunRecord
from zslbench_report.html.theme import Tone, tone

if TYPE_CHECKING:
    import pandas as pd

    from zslbench.plugin.lookup import Registry
    from zslbench.store.store import Store


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    command: str = ""
    """The command line that makes this report again."""
    data_root: Path | None = None
    """Where data sets lie, for t-SNE and attention; None: the configured place."""
    images: Path | None = None
    """Folder with pictures, for attention."""
    without: frozenset[str] = frozenset()
    """Ids of sections to leave out."""


@dataclass(frozen=True)
class Shown:
    """A line on a data set, under the one selection with which charts show it."""

    line: Line
    dataset: str
    selection: str
    records: tuple[RunRecord, ...]
    """By seed; one at least."""
    tone: Tone

    @property
    def label(self) -> str:
        """The line's label with the mark of a selection that is not ``val``."""
        return f"{self.line.label}{mark(self.records[0])}"

    @property
    def median(self) -> RunRecord:
        """The run with the middle H (Acc where there is no H); of two the lower."""

        def figure(record: RunRecord) -> tuple[float, int]:
            value = record.metrics.get("h")
            value = record.metrics.get("acc") if value is None else value
            return (float(value) if isinstance(value, int | float) else -1.0, record.info.seed)

        return sorted(self.records, key=figure)[(len(self.records) - 1) // 2]


@dataclass
class Subject:
    """What is reported. Tables of runs are read here, so that a damaged one is a note and no more."""

    outcome: SuiteOutcome
    options: Options = field(default_factory=Options)
    store: Store | None = None
    known: Registry | None = None
    """Plugins, for what methods say of their settings and for audits; None: none are asked."""
    faults: list[str] = field(default_factory=list)
    """What could not be read or drawn, a line each."""
    _tables: dict[tuple[str, str], Any] = field(default_factory=dict)
    _keys: dict[str, int] = field(default_factory=dict)

    @cached_property
    def without_charts(self) -> str:
        """Why there are no charts, one line; empty: there are."""
        try:
            import zslbench_report.plots.canvas  # noqa: F401
        except MissingExtra as error:
            return f"Charts are left out: {error}."
        return ""

    def key(self, what: str) -> str:
        """Something that no other figure's ids begin with: ``curves-1``, ``curves-2``, ..."""
        self._keys[what] = self._keys.get(what, 0) + 1
        return f"{what}-{self._keys[what]}"

    @cached_property
    def tones(self) -> Mapping[str, Tone]:
        """A colour, marker and dash for each line that has runs, by label; the same in every chart."""
        with_runs = [
            one.label
            for one in self.outcome.lines
            if any(entry.records for key, entry in self.outcome.entries.items() if key[0] == one.label)
        ]
        return {label: tone(place) for place, label in enumerate(with_runs)}

    def dataset_title(self, dataset: str) -> str:
        """``"toy (simulated)"``."""
        return dataset_label(dataset, self.outcome.records)

    def shown(self, dataset: str) -> list[Shown]:
        """Each line that has runs on this data set, under the first selection for which it has some."""
        found = []
        for line in self.outcome.lines:
            for selection in self.outcome.selections:
                entry = self.outcome.entries.get((line.label, dataset, selection))
                if entry is not None and entry.records:
                    records = tuple(entry.records[seed] for seed in sorted(entry.records))
                    found.append(Shown(line, dataset, selection, records, self.tones[line.label]))
                    break
        return found

    def table(self, record: RunRecord, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """A run's table with at least these columns; None: it cannot be read, which becomes a note."""
        key = (record.info.id, name)
        if key not in self._tables:
            self._tables[key] = self._read(record, name)
        table = self._tables[key]
        if table is None:
            return None
        if lacking := [one for one in columns if one not in table.columns]:
            self.tell(f"run {record.info.id}: table '{name}' has no column {', '.join(lacking)}")
            return None
        return table  # type: ignore[no-any-return]

    def tell(self, fault: str) -> None:
        """Keep a line for the section of notes, once."""
        if fault not in self.faults:
            self.faults.append(fault)

    def _read(self, record: RunRecord, name: str) -> pd.DataFrame | None:
        try:
            return record.table(name)
        except ZslbenchError as error:
            self.tell(str(error))
        except Exception as error:  # a file that is the one written and yet no table
            self.tell(f"run {record.info.id}: table '{name}' cannot be read ({error})")
        return None
