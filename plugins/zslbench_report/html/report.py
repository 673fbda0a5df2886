"""What a report shows: the outcome of a suite or of any runs, and the runs behind its sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.errors import MissingExtra, ZslbenchError
from zslbench.evaluation import Metric, criteria
from zslbench.experiment import Entry, Line, SuiteOutcome
from zslbench.report import dataset_label, distinct_runs, method_label, selection_mark
from zslbench.store import RunRecord
from zslbench_report.html.theme import Tone, tone

if TYPE_CHECKING:
    import pandas as pd

    from zslbench.plugin import Registry
    from zslbench.store import Store

_SELECTIONS = ("val", "last", "oracle")
_LONGEST = 60
"""Characters of a label's difference to the other runs of its method."""


@dataclass(frozen=True)
class ReportOptions:
    """What the user asked for."""

    command: str = ""
    """The command line that makes this report again."""
    data_root: Path | None = None
    """Folder of data sets, for t-SNE and attention; None: the configured one."""
    images: Path | None = None
    """Folder with pictures, for attention."""
    without: frozenset[str] = frozenset()
    """Ids of sections to leave out."""


@dataclass(frozen=True)
class Series:
    """A table line's runs on one data set, under the one selection that charts show."""

    line: Line
    dataset: str
    selection: str
    records: tuple[RunRecord, ...]
    """By seed; never empty."""
    tone: Tone

    @property
    def label(self) -> str:
        """The line's label, marked if the selection is not ``val``."""
        return f"{self.line.label}{selection_mark(self.records[0])}"

    @property
    def median(self) -> RunRecord:
        """The run with the median H (Acc if it has no H); the lower of two."""

        def figure(record: RunRecord) -> tuple[float, int]:
            values = (record.metrics.get(one.key) for one in reversed(criteria()))
            value = next((one for one in values if one is not None), None)
            return (float(value) if isinstance(value, int | float) else -1.0, record.info.seed)

        return sorted(self.records, key=figure)[(len(self.records) - 1) // 2]

    @property
    def median_first(self) -> list[RunRecord]:
        """All runs, the median one first."""
        return [self.median, *(record for record in self.records if record is not self.median)]

    def percents(self, metric: Metric) -> dict[int, float]:
        """A metric of each seed's run in percent; NaN where it has none."""
        return {record.info.seed: metric.of(record.metrics) for record in self.records}


@dataclass
class Report:
    """What is reported. Sections read run tables through it, so that a damaged one only leaves a note."""

    outcome: SuiteOutcome
    options: ReportOptions = field(default_factory=ReportOptions)
    store: Store | None = None
    plugins: Registry | None = None
    """For explanations of settings; None: leave them out."""
    faults: list[str] = field(default_factory=list)
    """What could not be read or drawn, one line each."""
    _tables: dict[tuple[str, str], Any] = field(default_factory=dict)
    _keys: dict[str, int] = field(default_factory=dict)

    @cached_property
    def without_charts(self) -> str:
        """Why there are no charts, one line; empty: there are charts."""
        try:
            import zslbench_report.plots.canvas  # noqa: F401
        except MissingExtra as error:
            return f"Charts are left out: {error}."
        return ""

    def key(self, what: str) -> str:
        """A prefix of ids that no other chart has: ``curves-1``, ``curves-2``, ..."""
        self._keys[what] = self._keys.get(what, 0) + 1
        return f"{what}-{self._keys[what]}"

    def add_fault(self, fault: str) -> None:
        """Add a line to the section of notes, once."""
        if fault not in self.faults:
            self.faults.append(fault)

    def dataset_title(self, dataset: str) -> str:
        """``"toy (simulated)"``."""
        return dataset_label(dataset, self.outcome.records)

    def records(self, line: str, dataset: str, selection: str) -> list[RunRecord]:
        """The runs of one cell by seed, maybe none."""
        entry = self.outcome.entries.get((line, dataset, selection))
        return [entry.records[seed] for seed in sorted(entry.records)] if entry else []

    @cached_property
    def tones(self) -> Mapping[str, Tone]:
        """The tone of each line that has runs, by label; the same in every chart."""
        with_runs = {line for (line, _, _), entry in self.outcome.entries.items() if entry.records}
        shown = [line.label for line in self.outcome.lines if line.label in with_runs]
        return {line: tone(place) for place, line in enumerate(shown)}

    def series(self, dataset: str) -> list[Series]:
        """Each line that has runs on this data set, under its first selection that has any."""
        found = []
        for line in self.outcome.lines:
            for selection in self.outcome.selections:
                if records := self.records(line.label, dataset, selection):
                    found.append(Series(line, dataset, selection, tuple(records), self.tones[line.label]))
                    break
        return found

    def table(self, record: RunRecord, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """A run's table with at least these columns; None: unreadable, which adds a fault."""
        key = (record.info.id, name)
        if key not in self._tables:
            self._tables[key] = self._read(record, name)
        table = self._tables[key]
        if table is None:
            return None
        if lacking := [column for column in columns if column not in table.columns]:
            self.add_fault(f"run {record.info.id}: table '{name}' has no column {', '.join(lacking)}")
            return None
        return table  # type: ignore[no-any-return]

    def _read(self, record: RunRecord, name: str) -> pd.DataFrame | None:
        try:
            return record.table(name)
        except ZslbenchError as error:
            self.add_fault(str(error))
        except Exception as error:  # the file has the recorded bytes and is still not a table
            self.add_fault(f"run {record.info.id}: table '{name}' cannot be read ({error})")
        return None


def outcome_of_runs(records: Sequence[RunRecord], name: str, title: str) -> SuiteOutcome:
    """Any runs as a table: one line per method, variant, reading, features and semantics.

    Runs that differ in anything but their seed never share a cell: each such group has a line of its own,
    labelled with what sets it apart.
    """
    lines: dict[str, Line] = {}
    cells: dict[tuple[str, str, str], dict[int, RunRecord]] = {}
    for record, line in _with_lines(records):
        lines.setdefault(line.label, line)
        cells.setdefault((line.label, record.info.dataset, record.info.selection), {})[record.info.seed] = (
            record
        )
    datasets = tuple(sorted({record.info.dataset for record in records}))
    selections = tuple(one for one in _SELECTIONS if any(record.info.selection == one for record in records))
    seeds = tuple(sorted({record.info.seed for record in records}))
    ordered = sorted(lines.values(), key=lambda line: (line.group, line.label))
    entries = {
        (line.label, dataset, selection): _entry(
            cells.get((line.label, dataset, selection), {}), seeds, selection == selections[0]
        )
        for line in ordered
        for dataset in datasets
        for selection in selections
    }
    return SuiteOutcome(name, title, tuple(ordered), datasets, selections, seeds, entries)


def _entry(records: Mapping[int, RunRecord], seeds: Sequence[int], ranking: bool) -> Entry:
    """One cell. Nobody planned this grid: only cells of the ranking selection count as missing."""
    if not records:
        return Entry("missing", reason="not run") if ranking else Entry("not applicable")
    lacking = [seed for seed in seeds if seed not in records]
    reason = f"not run with seed {', '.join(map(str, lacking))}" if lacking else ""
    return Entry("partial" if lacking else "done", dict(records), reason=reason)


def _with_lines(records: Sequence[RunRecord]) -> list[tuple[RunRecord, Line]]:
    by_cell: dict[tuple[str, str, str], list[RunRecord]] = {}
    for record in records:
        by_cell.setdefault((method_label(record), record.info.dataset, record.info.selection), []).append(
            record
        )
    found = []
    for (name, _, _), members in by_cell.items():
        for difference, same in distinct_runs(members):
            text = name
            if len(difference) > _LONGEST:
                text = f"{name} · {difference[:_LONGEST]}… ({same[0].info.id[:6]})"
            elif difference:
                text = f"{name} · {difference}"
            found += [(record, _line(record, text)) for record in same]
    return found


def _line(record: RunRecord, text: str) -> Line:
    info = record.info
    group = str(record.environment.get("group") or "")
    return Line(text, info.method, info.variant, info.reading, group)
