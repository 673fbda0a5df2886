"""The comparison table of a suite: methods by data sets, CZSL Acc | GZSL U S H, with what is published.

A method's first row has what was selected as the suite ranks it (``val`` unless it says otherwise). Below it
stand, where asked for, the other selections, the published figures and the differences to them: each a row
of its own, so that unlike numbers never share a line, a column's ranking or a mean.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from zslbench.evaluation.metrics import Metric, headline_metrics
from zslbench.experiment.published.results import PublishedResults
from zslbench.experiment.published.rows import PublishedRow
from zslbench.experiment.suites.resolving import Line
from zslbench.experiment.suites.results import Entry, SuiteOutcome
from zslbench.report.results import ORACLE_MARK
from zslbench.report.tables import benchmark_notes
from zslbench.report.tables.benchmark_columns import about, columns
from zslbench.report.tables.figures import EMPTY, Over, known, over, spread_text
from zslbench.report.tables.model import Cell, Row, Table
from zslbench.report.tables.printed import Printed
from zslbench.report.tables.published_of import published_lookup
from zslbench.report.tables.ranking import Ranks, ranks
from zslbench.report.tables.text import parse_choices

SHOW = ("oracle", "published", "difference", "interval")
"""``oracle`` (and ``last``): selections beside the one that ranks, where the suite runs them; ``published``;
``difference``: ours less published with a verdict; ``interval``: ± half of the 95 % interval, not ± std."""
DEFAULT = ("oracle", "published")

Find = Callable[[Line, str, str], PublishedRow | None]
"""What is published of a line on a data set, for runs on these class semantics."""


def suite_table(
    outcome: SuiteOutcome,
    *,
    show: Collection[str] = DEFAULT,
    published: PublishedResults | None = None,
) -> Table:
    """The comparison table of a suite.

    Args:
        outcome: what is known of the suite.
        show: what stands below the rows that rank, of ``SHOW``.
        published: published results; None: the package's.

    Raises:
        SettingsError: ``show`` names something else.
    """
    shown = frozenset(parse_choices(",".join(show), SHOW))
    found = PublishedResults.load() if published is None else published
    return _Maker(outcome, shown, Printed(outcome.published_source), published_lookup(outcome, found)).table()


@dataclass
class _Maker:
    """One table in the making."""

    outcome: SuiteOutcome
    show: frozenset[str]
    printed: Printed
    find: Find

    def table(self) -> Table:
        ranked = {
            (dataset, metric.key): self._ranks(dataset, metric)
            for dataset in self.outcome.datasets
            for metric in headline_metrics()
        }
        rows = tuple(row for line in self.outcome.lines for row in self._rows(line, ranked))
        return Table(
            tuple(columns(self.outcome)),
            rows,
            benchmark_notes.title(self.outcome, intervals="interval" in self.show),
            tuple(
                benchmark_notes.notes(
                    self.outcome,
                    self._selections(),
                    ranked.values(),
                    self.printed,
                    intervals="interval" in self.show,
                )
            ),
        )

    def _selections(self) -> tuple[str, ...]:
        return self.outcome.selections if "oracle" in self.show else self.outcome.selections[:1]

    def _ranks(self, dataset: str, metric: Metric) -> Ranks:
        """Among the runs of the selection that ranks; what was chosen on test images is not ranked."""
        first = self.outcome.selections[0]
        if first == "oracle":
            return Ranks()
        return ranks(
            {line.label: self._over(self._entry(line, dataset, first), metric) for line in self.outcome.lines}
        )

    def _entry(self, line: Line, dataset: str, selection: str) -> Entry:
        return self.outcome.entries[line.label, dataset, selection]

    def _over(self, entry: Entry, metric: Metric) -> Over:
        return over(entry.records, metric, len(self.outcome.seeds))

    def _rows(self, line: Line, ranked: Mapping[tuple[str, str], Ranks]) -> list[Row]:
        first = self.outcome.selections[0]
        rows = [self._ours(line, first, ranked)]
        for selection in self._selections()[1:]:
            if self._tells_more(line, selection):
                rows.append(self._ours(line, selection, {}))
        published = {dataset: self._published(line, dataset) for dataset in self.outcome.datasets}
        if not any(published.values()):
            return rows
        if "published" in self.show:
            rows.append(self._published_row(line, published))
        if "difference" in self.show:
            rows += [
                self._difference(line, selection, published)
                for selection in self._selections()
                if any(self._entry(line, dataset, selection).records for dataset in published)
            ]
        return rows

    def _tells_more(self, line: Line, selection: str) -> bool:
        """Whether a further selection has anything to say that the row above it does not say."""
        first = self.outcome.selections[0]
        return any(
            (entry := self._entry(line, dataset, selection)).records
            or (entry.state != "not applicable" and entry.state != self._entry(line, dataset, first).state)
            for dataset in self.outcome.datasets
        )

    def _ours(self, line: Line, selection: str, ranked: Mapping[tuple[str, str], Ranks]) -> Row:
        first = selection == self.outcome.selections[0]
        name = {"oracle": f"oracle{ORACLE_MARK}"}.get(selection, selection)
        cells = [Cell(line.label, line.label, mark=_mark(selection)) if first else Cell(name, line.label)]
        cells += about(line, "ours" if first else selection, selection)
        for dataset in self.outcome.datasets:
            entry = self._entry(line, dataset, selection)
            reason = entry.reason if entry.state != "done" else ""
            cells += [
                Cell(entry.state, entry.state),
                EMPTY,
                Cell(str(len(entry.records)), len(entry.records)),
            ]
            for place, metric in enumerate(headline_metrics()):
                values = self._over(entry, metric)
                cell = self._figure(values, reason, entry.state if not place and not entry.records else None)
                rank = ranked.get((dataset, metric.key))
                found = values.interval
                cells.append(cell if rank is None else rank.marked(line.label, cell))
                cells += [Cell(None, known(one)) for one in (found.std, found.low, found.high)]
                cells.append(EMPTY)
        return Row(tuple(cells), line.group, "" if first else selection)

    def _figure(self, values: Over, reason: str, state: str | None) -> Cell:
        """A mean with its spread, or why there is none."""
        found = values.interval
        text = spread_text(found, "interval" in self.show, values.metric.digits)
        if text is None:
            return Cell(state, note=reason if state else found.reason if values.values else "")
        return Cell(text, known(found.mean), mark=values.mark, note=reason)

    def _published(self, line: Line, dataset: str) -> PublishedRow | None:
        return self.find(line, dataset, self._used(line, dataset)[0])

    def _used(self, line: Line, dataset: str) -> tuple[str, str]:
        """Semantics and features of the line's runs; without any, what published rows are of."""
        for selection in self.outcome.selections:
            for record in self._entry(line, dataset, selection).records.values():
                return str(record.data["semantics"]), str(record.data["features"])
        return "att", "res101"

    def _published_row(self, line: Line, published: Mapping[str, PublishedRow | None]) -> Row:
        cells = [Cell("published", line.label), *about(line, "published", None)]
        for dataset, row in published.items():
            used = self._used(line, dataset)
            cells += [EMPTY, Cell(row.source, row.source) if row else EMPTY, EMPTY]
            for metric in headline_metrics():
                cells += [self.printed.figure(line.label, row, metric, *used), *[EMPTY] * 4]
        return Row(tuple(cells), line.group, "published")

    def _difference(self, line: Line, selection: str, published: Mapping[str, PublishedRow | None]) -> Row:
        first = selection == self.outcome.selections[0]
        name = {"oracle": f"oracle{ORACLE_MARK}"}.get(selection, selection)
        text = "− published" if first else f"{name} − published"
        cells = [Cell(text, line.label), *about(line, "difference", selection)]
        for dataset, row in published.items():
            entry = self._entry(line, dataset, selection)
            cells += [EMPTY, Cell(row.source, row.source) if row else EMPTY]
            cells.append(Cell(str(len(entry.records)), len(entry.records)))
            for metric in headline_metrics():
                values = self._over(entry, metric)
                cell, place = self.printed.difference(values, row)
                less = row.figures[metric.name] if row and cell.value is not None else float("nan")
                ends = (values.interval.low - less, values.interval.high - less)
                cells += [cell, EMPTY, *(Cell(None, known(one)) for one in ends), Cell(place, place)]
        return Row(tuple(cells), line.group, "difference")


def _mark(selection: str) -> str:
    """Beside the name of a row that ranks by something else than validation."""
    return {"val": "", "oracle": ORACLE_MARK}.get(selection, f" ({selection})")
