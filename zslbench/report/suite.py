"""The comparison table of a suite: methods by data sets, with published figures.

A method's first row shows the selection that the suite ranks by (``val`` unless it says otherwise). Other
selections, published figures and differences from them are rows of their own below it, so that figures of
different kinds never share a row, a column's ranking or a mean.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zslbench.data.split_sets import columns_of, whole_name
from zslbench.evaluation.candidates import TEST
from zslbench.evaluation.metrics import Metric, headline_metrics
from zslbench.evaluation.selection import EXTERNAL
from zslbench.experiment.published import PublishedResults, PublishedRow
from zslbench.experiment.suites.cells import Entry, SuiteOutcome
from zslbench.experiment.suites.lines import Line
from zslbench.report.figures import (
    EMPTY,
    SeedValues,
    marked,
    parse_choices,
    place_list,
    rank_columns,
    ranking_notes,
    word_list,
)
from zslbench.report.over_splits import PARTIAL_NOTE, counts, over_seeds, split_notes, units
from zslbench.report.published import PublishedCells, published_lookup
from zslbench.report.results import (
    EXTERNAL_NOTE,
    MARKS,
    ORACLE_MARK,
    ORACLE_NOTE,
    candidates_label,
    dataset_label,
    is_simulated,
    is_verified,
    mark_columns,
    mark_notes,
    mode_mark,
    ranking_key,
    selection_label,
    trust_mark,
)
from zslbench.report.statistics import Ranking, Unit
from zslbench.report.tables.model import Cell, Column, Row, Table
from zslbench.store.record import RunRecord

SHOW = ("oracle", "published", "difference", "interval")
"""``oracle`` (and ``last``): selections other than the one that ranks, where the suite runs them;
``published``; ``difference``: ours minus published, with a verdict; ``interval``: ± half of the 95 % interval
instead of ± std."""
DEFAULT = ("oracle", "published")

_SELECTED = {
    "val": "val: epochs and hyper-parameters from validation classes inside the training images",
    "last": "last: schedule and hyper-parameters as given, nothing selected",
    "oracle": ORACLE_NOTE,
    "oracle-scripts": f"{ORACLE_MARK} oracle-scripts: as oracle, but after every epoch, with new synthetic "
    "features each time; never compare with the other rows",
    EXTERNAL: EXTERNAL_NOTE,
}


def suite_table(
    outcome: SuiteOutcome,
    *,
    show: Collection[str] = DEFAULT,
    published: PublishedResults | None = None,
    metrics: Sequence[Metric] | None = None,
) -> Table:
    """The comparison table of a suite.

    Args:
        outcome: the suite's results so far.
        show: the rows shown below those that are ranked, from ``SHOW``.
        published: published results; None: the package's.
        metrics: which figures; None: the headline metrics.

    Raises:
        SettingsError: ``show`` names something else.
    """
    shown = frozenset(parse_choices(",".join(show), SHOW))
    results = PublishedResults.load() if published is None else published
    return _Builder(outcome, shown, results, headline_metrics() if metrics is None else metrics).table()


class _Builder:
    def __init__(
        self,
        outcome: SuiteOutcome,
        show: frozenset[str],
        results: PublishedResults,
        metrics: Sequence[Metric],
    ) -> None:
        self.outcome, self.show, self.metrics = outcome, show, metrics
        self.first = outcome.selections[0]
        """The selection that ranks."""
        self.selections = outcome.selections if "oracle" in show else outcome.selections[:1]
        self.intervals = "interval" in show
        self.published = PublishedCells(outcome.published_source)
        self.find = published_lookup(outcome, results)
        self.columns = tuple(_columns(outcome, metrics))
        self.ranks: dict[str, dict[str, dict[str, Ranking]]] = {}
        """By data set, label of a line and metric."""
        for dataset in outcome.columns:
            runs = {line.label: self.entry(line, dataset, self.first).records for line in outcome.lines}
            self.ranks[dataset] = _ranked(runs, metrics, *units(outcome, dataset))

    def entry(self, line: Line, dataset: str, selection: str) -> Entry:
        return self.outcome.entry(line.label, dataset, selection)

    def values(self, entry: Entry, dataset: str, metric: Metric) -> SeedValues:
        return SeedValues.of(entry.records, metric, *units(self.outcome, dataset))

    def counts(self, dataset: str, entry: Entry) -> dict[str, int]:
        return {f"{dataset}_{name}": one for name, one in counts(self.outcome, dataset, entry).items()}

    def table(self) -> Table:
        rows = tuple(row for line in self.outcome.lines for row in self.rows(line))
        spread = "half of the 95 % interval" if self.intervals else "std"
        seeds = over_seeds(self.outcome, self.outcome.columns, spread, "one seed")
        title = f"{self.outcome.title or self.outcome.name}: per-class accuracy in %{seeds}"
        return Table(self.columns, rows, title, tuple(self.notes()))

    # --- rows ------------------------------------------------------------------------------------

    def rows(self, line: Line) -> Iterator[Row]:
        yield self.ours(line, self.first)
        for selection in self.selections[1:]:
            if self.adds_something(line, selection):
                yield self.ours(line, selection)
        published = {}
        for dataset in self.outcome.columns:
            published[dataset] = self.find(line, whole_name(dataset), self.inputs(line, dataset)[0])
        names = {metric.name for metric in self.metrics}
        if not any(one and names & one.figures.keys() for one in published.values()):
            return
        if "published" in self.show:
            yield self.published_row(line, published)
        if "difference" in self.show:
            for selection in self.selections:
                if any(self.entry(line, dataset, selection).records for dataset in published):
                    yield self.difference(line, selection, published)

    def adds_something(self, line: Line, selection: str) -> bool:
        """Whether another selection adds anything to the row above it."""
        return any(
            (entry := self.entry(line, dataset, selection)).records
            or entry.state not in ("not applicable", self.entry(line, dataset, self.first).state)
            for dataset in self.outcome.columns
        )

    def ours(self, line: Line, selection: str) -> Row:
        first = selection == self.first
        name = Cell(words=selection_label(selection))
        if first:
            name = Cell(words=line.label, mark=mode_mark(selection))
        mark = name.mark + trust_mark(self.records(line, selection, self.outcome.columns))
        if chosen := self.other_candidates(line, selection, self.outcome.columns):
            mark += f" (candidates {', '.join(chosen)})"
        name = replace(name, mark=mark)
        row = _leading(name, line, "ours" if first else selection, selection)
        for dataset in self.outcome.columns:
            entry = self.entry(line, dataset, selection)
            row |= {f"{dataset}_state": entry.state, **self.counts(dataset, entry)}
            if entry.records:
                chosen = self.other_candidates(line, selection, [dataset]) or [TEST]
                row[f"{dataset}_candidates"] = ", ".join(chosen)
                row[f"{dataset}_verified"] = all(map(is_verified, entry.records.values()))
                row |= mark_columns(entry.records.values(), f"{dataset}_")
            for place, metric in enumerate(self.metrics):
                values, key = self.values(entry, dataset, metric), f"{dataset}_{metric.key}"
                cell, found = self.figure(entry, values, with_state=not place), values.interval
                if first:
                    cell = marked(
                        cell, line.label, self.ranks.get(dataset, {}).get(line.label, {}).get(metric.key)
                    )
                row |= {f"{key}_mean": cell, f"{key}_std": found.std}
                row |= {f"{key}_low": found.low, f"{key}_high": found.high}
        return Row.of(self.columns, row, line.group, "" if first else selection)

    def other_candidates(self, line: Line, selection: str, datasets: Collection[str]) -> list[str]:
        """Names of the candidates of the line's runs, if they are not the default."""
        return sorted({candidates_label(one) for one in self.records(line, selection, datasets)} - {TEST})

    def records(self, line: Line, selection: str, datasets: Collection[str]) -> Iterator[RunRecord]:
        for dataset in datasets:
            yield from self.entry(line, dataset, selection).records.values()

    def figure(self, entry: Entry, values: SeedValues, *, with_state: bool) -> Cell:
        """A mean with its spread, or why there is none."""
        reason = entry.reason if entry.state != "done" else ""
        if not entry.records:
            return Cell(words=entry.state, note=reason) if with_state else EMPTY
        cell = values.cell(intervals=self.intervals)
        return replace(cell, note=reason) if cell.number else cell

    def inputs(self, line: Line, dataset: str) -> tuple[str, str]:
        """Semantics and features of the line's runs; without any, those of published rows."""
        for selection in self.outcome.selections:
            for record in self.entry(line, dataset, selection).records.values():
                return str(record.data["semantics"]), str(record.data["features"])
        return "att", "res101"

    def published_row(self, line: Line, published: Mapping[str, PublishedRow | None]) -> Row:
        row = _leading(Cell(words="published"), line, "published", None)
        for dataset, printed in published.items():
            row[f"{dataset}_source"] = printed.source if printed else None
            for metric in self.metrics:
                cell = self.published.figure(line.label, printed, metric, *self.inputs(line, dataset))
                row[f"{dataset}_{metric.key}_mean"] = cell
        return Row.of(self.columns, row, line.group, "published")

    def difference(self, line: Line, selection: str, published: Mapping[str, PublishedRow | None]) -> Row:
        text = "− published" if selection == self.first else f"{selection_label(selection)} − published"
        row = _leading(Cell(words=text), line, "difference", selection)
        for dataset, printed in published.items():
            entry = self.entry(line, dataset, selection)
            row |= {f"{dataset}_source": printed.source if printed else None}
            row |= self.counts(dataset, entry)
            for metric in self.metrics:
                values, key = self.values(entry, dataset, metric), f"{dataset}_{metric.key}"
                cell, place = self.published.difference(values, printed)
                less = printed.figures[metric.name] if printed and cell.number else math.nan
                row |= {f"{key}_mean": cell, f"{key}_verdict": place}
                row |= {f"{key}_low": values.interval.low - less, f"{key}_high": values.interval.high - less}
        return Row.of(self.columns, row, line.group, "difference")

    # --- notes -----------------------------------------------------------------------------------

    def notes(self) -> list[str]:
        """A sentence each: selection, ranking, seeds, published figures, missing cells, the runs' inputs."""
        shown = {
            (line.label, dataset, selection): self.entry(line, dataset, selection)
            for line in self.outcome.lines
            for dataset in self.outcome.columns
            for selection in self.selections
        }
        ran = {key[2] for key, entry in shown.items() if entry.records}
        lines = [_SELECTED[selection] for selection in self.selections if selection in ran]
        lines += mark_notes(self.outcome.records)
        lines += ranking_notes(
            [one for lines in self.ranks.values() for columns in lines.values() for one in columns.values()]
        )
        lines += split_notes(self.outcome, shown)
        partial = {key[1] for key, one in shown.items() if one.state == "partial"}
        if partial - self.outcome.split_sets.keys():
            lines.append(f"(n): the mean of n of the {len(self.outcome.seeds)} seeds, not ranked")
        if partial & self.outcome.split_sets.keys():
            lines.append(PARTIAL_NOTE)
        if self.intervals:
            lines.append("no ± where there is no interval: one seed or split, or the same figure for each")
        lines += self.published.notes()
        lines += _missing_notes(shown, several=len(self.selections) > 1)
        lines += _input_notes(self.outcome)
        return [*lines, *self.outcome.remarks]


def _ranked(
    runs: Mapping[str, Mapping[Any, RunRecord]], metrics: Sequence[Metric], requested: int, unit: Unit
) -> dict[str, dict[str, Ranking]]:
    """By label of a line and metric, the ranking among lines with the same candidates, verified or not.

    A line with a run that is not ranked has none.
    """
    groups: dict[str, dict[str, Mapping[Any, RunRecord]]] = {}
    for label, records in runs.items():
        keys = [key for one in records.values() if (key := ranking_key(one)) is not None]
        if len(keys) == len(records):
            groups.setdefault(", ".join(sorted(set(keys))), {})[label] = records
    ranks = {key: rank_columns(members, requested, metrics, unit) for key, members in groups.items()}
    return {label: ranks[key] for key, members in groups.items() for label in members}


def _columns(outcome: SuiteOutcome, metrics: Sequence[Metric]) -> Iterator[Column]:
    """For readers the method and the metrics of each data set; for programs everything."""
    yield Column(("", "", "method"), "line", numeric=False)
    for name in ("method", "variant", "reading", "row", "selection"):
        yield Column(("", "", name), name, numeric=False, readers=False)
    for dataset in outcome.columns:
        label = dataset_label(dataset, outcome.records)
        for name in ("state", "source", "candidates", "verified", *(one.name for one in MARKS)):
            yield Column((label, "", name), f"{dataset}_{name}", numeric=False, readers=False)
        for name in ("splits", "seeds") if dataset in outcome.split_sets else ("seeds",):
            yield Column((label, "", name), f"{dataset}_{name}", readers=False)
        for metric in metrics:
            key, header = f"{dataset}_{metric.key}", (label, metric.group)
            yield Column((*header, metric.name), f"{key}_mean")
            for name in ("std", "low", "high", "verdict"):
                numeric = name != "verdict"
                yield Column((*header, f"{metric.name} {name}"), f"{key}_{name}", numeric, readers=False)


def _leading(name: Cell, line: Line, row: str, selection: str | None) -> dict[str, Any]:
    """What identifies a row; ``row`` is ``ours``, another selection, ``published`` or ``difference``."""
    values = {"method": line.method, "variant": line.variant, "reading": line.reading}
    return {"line": replace(name, value=line.label), **values, "row": row, "selection": selection}


def _missing_notes(entries: Mapping[tuple[str, str, str], Entry], *, several: bool) -> list[str]:
    """What is missing, by state and reason; a method without plugin is named once for all data sets."""
    by_place: dict[tuple[str, str], dict[str, Entry]] = {}
    for (label, dataset, selection), entry in entries.items():
        if entry.state not in ("done", "not applicable"):
            by_place.setdefault((label, dataset), {})[selection] = entry
    found: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for place, missing in by_place.items():
        for entry in missing.values():
            same = ", ".join(name for name, other in missing.items() if other.reason == entry.reason)
            which = f" ({same})" if several and entry.state not in ("no plugin", "no data") else ""
            reason = "" if entry.state == "no plugin" else entry.reason
            where = found.setdefault((entry.state, which, reason), [])
            if place not in where:
                where.append(place)
    lines = []
    for (state, which, reason), where in found.items():
        if state == "no plugin":
            places = word_list(label for label, _ in where)
        elif state == "no data":
            places = word_list(dataset for _, dataset in where)
        else:
            places = place_list(where)
        lines.append(f"{state}{which}: {places}{f': {reason}' if reason else ''}")
    return lines


def _input_notes(outcome: SuiteOutcome) -> list[str]:
    """The runs' inputs: figures from different features or semantics are not comparable."""
    found: dict[str, dict[str, list[str]]] = {}
    column = columns_of(outcome.datasets, outcome.split_sets)
    for (label, dataset, _), entry in outcome.entries.items():
        for record in entry.records.values():
            inputs = f"features {record.data['features']}, semantics {record.data['semantics']}"
            if (chosen := candidates_label(record)) != TEST:
                inputs += f", candidates {chosen}, ranked among themselves"
            found.setdefault(column[dataset], {}).setdefault(inputs, []).append(label)
    lines = []
    same: dict[str, list[str]] = {}
    for dataset, by_inputs in found.items():
        if len(by_inputs) == 1:
            same.setdefault(next(iter(by_inputs)), []).append(dataset)
        else:
            parts = (f"{inputs} ({word_list(labels, 6)})" for inputs, labels in by_inputs.items())
            lines.append(f"our runs on {dataset} differ in their inputs: {'; '.join(parts)}")
    lines += [f"our runs on {word_list(datasets)}: {inputs}" for inputs, datasets in same.items()]
    of = (one.info.dataset for one in outcome.records if is_simulated(one))
    simulated = {column.get(name, name) for name in of}
    listed = [one for one in found if one in simulated]
    return [*lines, *([f"simulated data, no real images: {word_list(listed)}"] if listed else [])]
