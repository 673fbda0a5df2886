"""What a report shows: the outcome of a suite or of any runs, and the runs behind its sections."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from markupsafe import Markup

from zslbench.data import columns_of, in_natural_order, splits_named
from zslbench.errors import MissingExtra, ZslbenchError
from zslbench.evaluation import Metric, criteria
from zslbench.experiment import Entry, Line, SuiteOutcome
from zslbench.report import (
    SELECTIONS,
    dataset_label,
    differences_text,
    method_name,
    runs_apart,
    selection_mark,
)
from zslbench.store import RunRecord
from zslbench_report.html.charts import chart_style
from zslbench_report.html.svg import as_svg
from zslbench_report.theme import Tone, tone

if TYPE_CHECKING:
    import pandas as pd

    from zslbench.store import Store
    from zslbench_report.plots.canvas import Figure

P = ParamSpec("P")

_LONGEST = 60
"""Characters of a label's difference to the other runs of its method."""


@dataclass(frozen=True)
class Series:
    """A table line's runs on one data set, under the one selection that charts show."""

    line: Line
    dataset: str
    records: tuple[RunRecord, ...]
    """By seed; never empty."""
    tone: Tone

    @property
    def label(self) -> str:
        """The line's label, marked if the selection is not ``val``."""
        return f"{self.line.label}{selection_mark(self.records[0])}"

    @cached_property
    def median(self) -> RunRecord:
        """The run with the median H (Acc if it has no H); the lower of two."""

        def rank(record: RunRecord) -> tuple[float, int]:
            figures = (one.of(record.metrics) for one in reversed(criteria()))
            return next((one for one in figures if one == one), -1.0), record.info.seed

        return sorted(self.records, key=rank)[(len(self.records) - 1) // 2]

    @property
    def median_first(self) -> list[RunRecord]:
        """All runs, the median one first."""
        return [self.median, *(record for record in self.records if record is not self.median)]

    def percents(self, metric: Metric) -> dict[int, float]:
        """A metric of each seed's run in percent; NaN where it has none."""
        return {record.info.seed: metric.of(record.metrics) for record in self.records}


FIGURES_ONLY = (
    "some runs were imported without tables ('zslbench runs export --without-tables'), so they are missing "
    "from curves, classes and candidates"
)


@dataclass
class Report:
    """What is reported. Sections read run tables through it, so that a damaged one only leaves a note."""

    outcome: SuiteOutcome
    store: Store | None = None
    """For audits; None: leave them out."""
    command: str = ""
    """The command line that makes this report again."""
    data_root: Path | None = None
    """Folder of data sets, for t-SNE and attention; None: the configured one."""
    images: Path | None = None
    """Folder with pictures, for attention."""
    without: frozenset[str] = frozenset()
    """Ids of sections to leave out."""
    metrics: Sequence[Metric] | None = None
    """Those of the table; None: the headline metrics."""
    counterparts: Mapping[str, str] = field(default_factory=dict)
    """Published data sets that stand for the suite's own, by its names."""
    faults: list[str] = field(default_factory=list)
    """What could not be read or drawn, one line each."""
    _tables: dict[tuple[str, str], pd.DataFrame | None] = field(default_factory=dict)
    _charts: Counter[str] = field(default_factory=Counter)

    @cached_property
    def without_charts(self) -> str:
        """Why there are no charts, one line; empty: there are charts."""
        try:
            import zslbench_report.plots.canvas  # noqa: F401
        except MissingExtra as error:
            return f"Charts are left out: {error}."
        return ""

    def draw(
        self, chart: Callable[P, Figure], name: str, label: str, *content: P.args, **options: P.kwargs
    ) -> Markup | None:
        """A chart as inline SVG; None: without charts.

        Its ids begin with ``name``; ``label`` says what it shows, for readers who cannot see it.
        """
        if self.without_charts:
            return None
        self._charts[name] += 1
        with chart_style():
            return as_svg(chart(*content, **options), f"{name}-{self._charts[name]}", label)

    def add_fault(self, fault: str) -> None:
        """Add a line to the section of notes, unless it is there."""
        if fault not in self.faults:
            self.faults.append(fault)

    def dataset_title(self, dataset: str) -> str:
        """``"toy (simulated)"``."""
        return dataset_label(dataset, self.outcome.records)

    @cached_property
    def cells(self) -> Mapping[tuple[str, str, str], tuple[RunRecord, ...]]:
        """The runs of each cell that has any, by seed; by label of the line, data set and selection."""
        entries = self.outcome.entries.items()
        return {
            place: tuple(of for _, of in sorted(one.records.items())) for place, one in entries if one.records
        }

    @cached_property
    def tones(self) -> Mapping[str, Tone]:
        """The tone of each line that has runs, by label; the same in every chart."""
        with_runs = {label for label, _, _ in self.cells}
        shown = [line.label for line in self.outcome.lines if line.label in with_runs]
        return {label: tone(place) for place, label in enumerate(shown)}

    def series(self, dataset: str) -> list[Series]:
        """Each line that has runs on this data set, under its first selection that has any."""
        found: dict[str, Series] = {}
        for line, selection in itertools.product(self.outcome.lines, self.outcome.selections):
            records = self.cells.get((line.label, dataset, selection))
            if records and line.label not in found:
                found[line.label] = Series(line, dataset, records, self.tones[line.label])
        return list(found.values())

    def panels(
        self, build: Callable[[str, list[Series]], Mapping[str, Any] | None], **content: Any
    ) -> dict[str, Any] | None:
        """What ``build`` shows of each data set, as ``panels``, with other content; None: nothing."""
        panels = []
        for dataset in self.outcome.datasets:
            title, series = self.dataset_title(dataset), self.series(dataset)
            if series and (panel := build(title, series)) is not None:
                panels.append({"title": title, **panel})
        return {"panels": panels, **content} if panels else None

    def table(self, record: RunRecord, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """A run's table with at least these columns; None: unreadable, which adds a fault."""
        key = (record.info.id, name)
        if key not in self._tables:
            self._tables[key] = None
            try:
                self._tables[key] = record.table(name)
            except ZslbenchError as error:
                self.add_fault(FIGURES_ONLY if record.figures_only else str(error))
        table = self._tables[key]
        if table is None:
            return None
        if missing := [column for column in columns if column not in table.columns]:
            self.add_fault(f"run {record.info.id}: table '{name}' has no column {', '.join(missing)}")
            return None
        return table

    def tables(
        self, records: Sequence[RunRecord], name: str, columns: Sequence[str]
    ) -> list[tuple[RunRecord, pd.DataFrame]]:
        """Those of the runs whose table can be read and is not empty, each with its table."""
        read = [(record, self.table(record, name, columns)) for record in records]
        return [(record, table) for record, table in read if table is not None and len(table)]


def outcome_of_runs(records: Sequence[RunRecord], title: str, split_sets: Sequence[str] = ()) -> SuiteOutcome:
    """Any runs as a table: one line per method, variant and reading.

    Runs that differ in anything but their seed never share a cell: each such group has its own line,
    labelled with what sets it apart.

    Args:
        split_sets: names such as ``hmdb51/*`` of splits that share a column.

    Raises:
        SettingsError: two of ``split_sets`` mean the same data set.
    """
    datasets = tuple(in_natural_order({record.info.dataset for record in records}))
    splits = splits_named(split_sets, datasets)
    column = columns_of(datasets, splits)
    groups: dict[tuple[str, str, str], list[RunRecord]] = {}
    for record in records:
        key = (method_name(record), column[record.info.dataset], record.info.selection)
        groups.setdefault(key, []).append(record)
    lines: dict[str, Line] = {}
    cells: dict[tuple[str, str, str], dict[int, RunRecord]] = {}
    of_line: dict[tuple[str, str, str], set[int]] = {}
    for (method, place, selection), members in groups.items():
        for facts, same in runs_apart(members, splits=place in splits):
            difference, info = differences_text(facts), same[0].info
            if len(difference) > _LONGEST:
                difference = f"{difference[:_LONGEST]}… ({info.id[:6]})"
            label = f"{method} · {difference}" if difference else method
            group = str(same[0].environment.get("group") or "")
            lines.setdefault(label, Line(label, info.method, info.variant, info.reading, group))
            of_line[label, place, selection] = {record.info.seed for record in same}
            for record in same:
                cells.setdefault((label, record.info.dataset, selection), {})[record.info.seed] = record
    selections = tuple(sorted({record.info.selection for record in records}, key=SELECTIONS.index))
    seeds = tuple(sorted({record.info.seed for record in records}))
    ordered = sorted(lines.values(), key=lambda line: (line.group, line.label))
    entries = {}
    for label, dataset, selection in itertools.product(
        [line.label for line in ordered], datasets, selections
    ):
        # Over splits, each must have the seeds of its line; other lines may have more.
        wanted = of_line.get((label, column[dataset], selection)) if column[dataset] in splits else None
        entries[label, dataset, selection] = _entry(
            cells.get((label, dataset, selection), {}), sorted(wanted or seeds), selection == selections[0]
        )
    return SuiteOutcome("", title, tuple(ordered), datasets, selections, seeds, entries, split_sets=splits)


def _entry(records: dict[int, RunRecord], seeds: Sequence[int], ranking: bool) -> Entry:
    """One cell. Nobody planned this grid: only cells of the ranking selection count as missing."""
    if not records:
        return Entry("missing", reason="not run") if ranking else Entry("not applicable")
    if missing := ", ".join(str(seed) for seed in seeds if seed not in records):
        return Entry("partial", records, reason=f"not run with seed {missing}")
    return Entry("done", records)
