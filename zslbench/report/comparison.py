"""All runs of a store: methods × data sets, the headline metrics over the seeds in the store. In percent.

Only comparable numbers share a row: rows are distinguished by variant, features, semantics, selection,
candidates and, if the store has several runs of one seed, by whatever else differs (settings, versions,
execution). Rows are ranked among those of one data set, features, semantics, selection and candidates.
Oracle, transductive and external results are not ranked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from zslbench.evaluation.candidates import TEST
from zslbench.evaluation.metrics import Metric, headline_metrics
from zslbench.experiment.published import PublishedResults, PublishedRow
from zslbench.report.figures import EMPTY, SeedValues, marked, rank_columns, ranking_notes
from zslbench.report.published import PublishedCells, own_ablation
from zslbench.report.results import (
    SELECTIONS,
    candidates_key,
    candidates_label,
    dataset_label,
    differences_text,
    is_simulated,
    mark_columns,
    method_label,
    ranking_key,
    runs_apart,
    selection_label,
    trust_notes,
    usual_facts,
)
from zslbench.report.statistics import Ranking
from zslbench.report.tables.model import Cell, Column, Row, Table, frame_of
from zslbench.store.record import RunRecord

if TYPE_CHECKING:
    import pandas as pd

_NOTHING_UNUSUAL = "nothing unusual"

SHOW = ("published", "difference", "interval")
"""``published``: rows of published figures, if there are any of the method; ``difference``: ours minus
published, with a verdict; ``interval``: ± half of the 95 % interval instead of ± std."""


def comparison_frame(
    records: Sequence[RunRecord],
    published: PublishedResults | None = None,
    metrics: Sequence[Metric] | None = None,
) -> pd.DataFrame:
    """One row per method and data set, for programs: seeds, mean, deviation and interval of each figure.

    A figure that one of a row's seeds lacks is missing, not averaged over the others; a single seed has no
    standard deviation. Each figure comes with its rank (``best``, ``second``), whether it is tied with the
    best, the published figure, our difference from it, and where that lies relative to our interval.

    Args:
        published: published results; None: the package's.
        metrics: which figures; None: the headline metrics.
    """
    found = _Comparison(records, (), published, metrics)
    return frame_of([found.record(one) for one in found.groups])


def comparison_table(
    records: Sequence[RunRecord],
    show: Collection[str] = (),
    published: PublishedResults | None = None,
    metrics: Sequence[Metric] | None = None,
) -> Table:
    """The same for readers: one row per method, three levels of columns (data set, CZSL or GZSL, figure).

    Args:
        show: what to show in addition to our figures, from ``SHOW``.
        published: published results; None: the package's.
        metrics: which figures; None: the headline metrics.
    """
    return _Comparison(records, show, published, metrics).table()


class _Key(NamedTuple):
    """What sets the rows of the table apart."""

    method: str
    selection: str
    group: str
    features: str
    semantics: str
    candidates: str
    differs: str
    """What else differs from runs that share all of the above."""

    def named(self) -> dict[str, str]:
        """The fields by the names of their columns."""
        return {name.replace("differs", "differs in"): text for name, text in self._asdict().items()}


@dataclass(frozen=True)
class _Group:
    """The runs of one row on one data set, which differ in their seed only."""

    key: _Key
    dataset: str
    records: Mapping[int, RunRecord]
    """By seed, ascending."""
    differs: Mapping[str, str]
    """What ``key.differs`` says in one line: values by name."""

    @property
    def family(self) -> tuple[_Key, str]:
        """The same for all groups that differ in nothing else."""
        return self.key._replace(differs=""), self.dataset


def _groups(records: Sequence[RunRecord]) -> list[_Group]:
    """The order of the records does not matter."""
    by_row: dict[tuple[_Key, str], list[RunRecord]] = {}
    # The last of several files that list the same classes gives them its name.
    named = {candidates_key(one): candidates_label(one) for one in sorted(records, key=candidates_label)}
    for one in records:
        group = str(one.environment.get("group", ""))
        features, semantics = str(one.data["features"]), str(one.data["semantics"])
        candidates = named[candidates_key(one)]
        key = _Key(method_label(one), one.info.selection, group, features, semantics, candidates, differs="")
        by_row.setdefault((key, one.info.dataset), []).append(one)
    return [
        _Group(
            key._replace(differs=differences_text(facts)),
            dataset,
            {one.info.seed: one for one in same},
            facts,
        )
        for (key, dataset), members in sorted(by_row.items(), key=lambda row: row[0])
        for facts, same in runs_apart(members)
    ]


class _Comparison:
    """The runs by row and data set, with their ranks and published figures."""

    def __init__(
        self,
        records: Sequence[RunRecord],
        show: Collection[str],
        published: PublishedResults | None,
        metrics: Sequence[Metric] | None,
    ) -> None:
        self.records, self.show = records, show
        self.metrics = headline_metrics() if metrics is None else metrics
        self.groups = _groups(records)
        self.cells = PublishedCells()
        self._results = PublishedResults.load() if published is None else published
        self._ranks: dict[tuple[_Key, str], dict[str, Ranking]] = {}
        comparable: dict[tuple[str, ...], list[_Group]] = {}
        for one in self.groups:
            chosen = ranking_key(next(iter(one.records.values())))
            if chosen is not None:
                alike = (one.dataset, one.key.selection, one.key.features, one.key.semantics, chosen)
                comparable.setdefault(alike, []).append(one)
        for members in comparable.values():
            ranks = rank_columns({str(one.key): one.records for one in members}, metrics=self.metrics)
            self._ranks |= {(one.key, one.dataset): ranks for one in members}

    def _published(self, one: _Group) -> PublishedRow | None:
        """The published row of the method, or of the variant in the method's own ablation; published figures
        have the default candidates."""
        info = next(iter(one.records.values())).info
        if one.key.candidates != TEST:
            return None
        if info.variant is not None:
            return own_ablation(info.method).get((info.variant, one.dataset.lower()))
        return self._results.find(info.method, one.dataset, semantics=one.key.semantics)

    def _ranked(self, one: _Group, metric: Metric, cell: Cell) -> Cell:
        """The cell with its rank."""
        return marked(cell, str(one.key), self._ranks.get((one.key, one.dataset), {}).get(metric.key))

    # --- for programs ----------------------------------------------------------------------------

    def record(self, one: _Group) -> dict[str, Any]:
        row: dict[str, Any] = {**one.key.named(), "dataset": one.dataset, "seeds": len(one.records)}
        row["simulated"] = any(map(is_simulated, one.records.values()))
        row |= mark_columns(one.records.values())
        printed = self._published(one)
        more: dict[str, Any] = {}
        for metric in self.metrics:
            values, figure = SeedValues.of(one.records, metric), metric.name
            row[f"{figure}_mean"], row[f"{figure}_std"] = values.interval.mean, values.interval.std
            more[f"{figure}_low"], more[f"{figure}_high"] = values.interval.low, values.interval.high
            cell = self._ranked(one, metric, EMPTY)
            more[f"{figure}_rank"], more[f"{figure}_tied"] = cell.emphasis, cell.tied
            difference, place = self.cells.difference(values, printed)
            more[f"{figure}_published"] = printed.figures.get(figure) if printed else None
            more[f"{figure}_less_published"], more[f"{figure}_verdict"] = difference.value, place
        more["published_source"] = printed.source if printed else None
        more["published_note"] = printed.note or None if printed else None
        return row | more

    # --- for readers -----------------------------------------------------------------------------

    def table(self) -> Table:
        rows: dict[_Key, dict[str, _Group]] = {}
        for one in self.groups:
            rows.setdefault(one.key, {})[one.dataset] = one
        datasets = sorted({one.dataset for one in self.groups})
        leading = ["method", "selection"]
        leading += [name for name, values in self._inputs(rows).items() if len(values) > 1]
        leading += ["candidates"] if any(key.candidates != TEST for key in rows) else []
        leading += ["differs in"] if any(key.differs for key in rows) else []
        columns = [Column(("", "", name), name, numeric=False) for name in leading]
        for name in datasets:
            label = dataset_label(name, self.records)
            columns.append(Column((label, "", "seeds"), f"{name}_seeds"))
            columns += [
                Column((label, one.group, one.name), f"{name}_{one.key}_mean") for one in self.metrics
            ]

        # Embedding methods before generative ones, as in published tables; oracle rows below their method.
        def place(one: _Key) -> tuple[Any, ...]:
            return one.group, one.method, SELECTIONS.index(one.selection), one.candidates != TEST, one

        ordered = sorted(rows, key=place)
        lines = [row for key in ordered for row in self._rows(key, columns, rows[key])]
        spread = "half of the 95 % interval (Student's t)" if "interval" in self.show else "std"
        shared = [f"{name} {one}" for name, of in self._inputs(rows).items() if len(of) == 1 for one in of]
        title = ", ".join([f"Per-class accuracy in %, mean ± {spread} over seeds", *shared])
        return Table(tuple(columns), tuple(lines), title, self._notes())

    @staticmethod
    def _inputs(rows: Iterable[_Key]) -> dict[str, set[str]]:
        """The features and semantics of the rows; those that all rows share need no column."""
        keys = list(rows)
        return {name: {getattr(one, name) for one in keys} for name in ("features", "semantics")}

    @cached_property
    def _usual(self) -> dict[tuple[_Key, str], dict[str, str]]:
        """The usual values in each family of groups."""
        families: dict[tuple[_Key, str], list[Mapping[str, str]]] = {}
        for one in self.groups:
            families.setdefault(one.family, []).append(one.differs)
        return {family: usual_facts(members) for family, members in families.items()}

    def _unusual(self, of: Iterable[_Group]) -> str:
        """What sets a row apart, without usual values: a note below the table states these."""
        found: dict[str, str] = {}
        for one in of:
            usual = self._usual[one.family]
            found |= {name: text for name, text in one.differs.items() if usual.get(name) != text}
            if one.differs and not found:
                return _NOTHING_UNUSUAL
        return differences_text(found)

    def _rows(self, key: _Key, columns: Sequence[Column], of: Mapping[str, _Group]) -> list[Row]:
        values: dict[str, Any] = {**key.named(), "selection": selection_label(key.selection)}
        values["differs in"] = self._unusual(of.values())
        for name, one in of.items():
            values[f"{name}_seeds"] = len(one.records)
            values |= {f"{name}_{metric.key}_mean": self._ours(one, metric) for metric in self.metrics}
        rows = [Row.of(columns, values, key.group)]
        printed = {name: self._published(one) for name, one in of.items()}
        for kind, text in (("published", "published"), ("difference", "− published")):
            if kind in self.show and any(printed.values()):
                # Nothing is missing in the other columns: they belong to the row above.
                values = {one.key: Cell(words="") for one in columns if not one.header[1]}
                values["method"] = Cell(key.method, text)
                for name, one in of.items():
                    for metric in self.metrics:
                        values[f"{name}_{metric.key}_mean"] = self._below(kind, one, printed[name], metric)
                rows.append(Row.of(columns, values, key.group, kind))
        return rows

    def _ours(self, one: _Group, metric: Metric) -> Cell:
        values = SeedValues.of(one.records, metric)
        return self._ranked(one, metric, values.cell(intervals="interval" in self.show))

    def _below(self, kind: str, one: _Group, printed: PublishedRow | None, metric: Metric) -> Cell:
        if kind == "difference":
            return self.cells.difference(SeedValues.of(one.records, metric), printed)[0]
        return self.cells.figure(one.key.method, printed, metric, one.key.semantics, one.key.features)

    def _notes(self) -> tuple[str, ...]:
        rankings = [one for columns in self._ranks.values() for one in columns.values()]
        lines = ranking_notes(rankings)
        if any(one.second for one in rankings):
            lines.insert(0, "ranked among rows of one selection, features, semantics and candidates")
        lines += self.cells.notes()
        lines += dict.fromkeys(
            f"{one.key.method} on {one.dataset}, selection {one.key.selection}: {differences_text(usual)} "
            "unless a row says otherwise"
            for one in self.groups
            if (usual := self._usual[one.family])
        )
        return (*lines, *trust_notes(self.records))
