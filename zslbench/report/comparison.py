"""All runs of a store: methods × data sets, the headline metrics over the seeds in the store. In percent.

Only comparable numbers share a row: rows are distinguished by variant, features, semantics, selection,
candidates and, if the store has several runs of one seed, by whatever else differs (settings, versions,
execution). Several splits of one data set share a column if they are named together, as ``hmdb51/*``. Rows
are ranked among those of one data set, features, semantics, selection and candidates. Oracle, transductive
and external results are not ranked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from zslbench.data.split_sets import columns_of, splits_named, whole_name
from zslbench.evaluation.candidates import TEST
from zslbench.evaluation.metrics import Metric, headline_metrics
from zslbench.experiment.published import PublishedResults, PublishedRow
from zslbench.report.figures import (
    EMPTY,
    SeedValues,
    complete_splits,
    marked,
    rank_columns,
    ranking_notes,
)
from zslbench.report.over_splits import PARTIAL_NOTE, over_text, splits_text, unlike_splits
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
from zslbench.report.statistics import Ranking, Unit
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
    split_sets: Sequence[str] = (),
) -> pd.DataFrame:
    """One row per method and data set, for programs: seeds, mean, deviation and interval of each figure.

    A figure that one of a row's seeds lacks is missing, not averaged over the others; a single seed has no
    standard deviation. Each figure comes with its rank (``best``, ``second``), whether it is tied with the
    best, the published figure, our difference from it, and where that lies relative to our interval.

    Args:
        published: published results; None: the package's.
        metrics: which figures; None: the headline metrics.
        split_sets: names such as ``hmdb51/*`` of splits whose figures are combined.
    """
    found = _Comparison(records, (), published, metrics, split_sets)
    return frame_of([found.record(one) for one in found.groups])


def comparison_table(
    records: Sequence[RunRecord],
    show: Collection[str] = (),
    published: PublishedResults | None = None,
    metrics: Sequence[Metric] | None = None,
    split_sets: Sequence[str] = (),
) -> Table:
    """The same for readers: one row per method, three levels of columns (data set, CZSL or GZSL, figure).

    Args:
        show: what to show in addition to our figures, from ``SHOW``.
        published: published results; None: the package's.
        metrics: which figures; None: the headline metrics.
        split_sets: names such as ``hmdb51/*`` of splits that share columns.
    """
    return _Comparison(records, show, published, metrics, split_sets).table()


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
    """The runs of one row on one data set, which differ in their seed only; or on several splits of it."""

    key: _Key
    dataset: str
    """A data set, or the name that stands for its splits."""
    records: Mapping[Any, RunRecord]
    """By seed, ascending; over splits by data set and seed."""
    differs: Mapping[str, str]
    """What ``key.differs`` says in one line: values by name."""
    splits: int | None = None
    """How many splits have runs, in any row; None: a single data set."""

    def values(self, metric: Metric) -> SeedValues:
        return SeedValues.of(self.records, metric, self.splits, self.unit)

    @property
    def unit(self) -> Unit:
        return "seed" if self.splits is None else "split"

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of splits, where there are several, and of seeds."""
        if self.splits is None:
            return {"seeds": len(self.records)}
        found = complete_splits(self.records)
        return {"splits": len(found), "seeds": len(next(iter(found.values()), ()))}

    @property
    def family(self) -> tuple[_Key, str]:
        """The same for all groups that differ in nothing else."""
        return self.key._replace(differs=""), self.dataset


def _groups(records: Sequence[RunRecord], split_sets: Sequence[str]) -> list[_Group]:
    """The order of the records does not matter.

    Raises:
        SettingsError: a data set is among several of ``split_sets``.
    """
    datasets = {one.info.dataset for one in records}
    splits = splits_named(split_sets, datasets)
    column = columns_of(datasets, splits)
    by_row: dict[tuple[_Key, str], list[RunRecord]] = {}
    # The last of several files that list the same classes gives them its name.
    named = {candidates_key(one): candidates_label(one) for one in sorted(records, key=candidates_label)}
    for one in records:
        group = str(one.environment.get("group", ""))
        features, semantics = str(one.data["features"]), str(one.data["semantics"])
        candidates = named[candidates_key(one)]
        key = _Key(method_label(one), one.info.selection, group, features, semantics, candidates, differs="")
        by_row.setdefault((key, column[one.info.dataset]), []).append(one)
    return [
        _Group(
            key._replace(differs=differences_text(facts)),
            dataset,
            {(one.info.dataset, one.info.seed) if dataset in splits else one.info.seed: one for one in same},
            facts,
            len(splits[dataset]) if dataset in splits else None,
        )
        for (key, dataset), members in sorted(by_row.items(), key=lambda row: row[0])
        for facts, same in runs_apart(members, splits=dataset in splits)
    ]


class _Comparison:
    """The runs by row and data set, with their ranks and published figures."""

    def __init__(
        self,
        records: Sequence[RunRecord],
        show: Collection[str],
        published: PublishedResults | None,
        metrics: Sequence[Metric] | None,
        split_sets: Sequence[str],
    ) -> None:
        self.records, self.show = records, show
        self.metrics = headline_metrics() if metrics is None else metrics
        self.groups = _groups(records, split_sets)
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
            ranks = rank_columns(
                {str(one.key): one.records for one in members},
                members[0].splits,
                self.metrics,
                members[0].unit,
            )
            self._ranks |= {(one.key, one.dataset): ranks for one in members}

    def _published(self, one: _Group) -> PublishedRow | None:
        """The published row of the method, or of the variant in the method's own ablation; published figures
        have the default candidates."""
        info = next(iter(one.records.values())).info
        if one.key.candidates != TEST:
            return None
        if info.variant is not None:
            return own_ablation(info.method).get((info.variant, whole_name(one.dataset).lower()))
        return self._results.find(info.method, whole_name(one.dataset), semantics=one.key.semantics)

    def _ranked(self, one: _Group, metric: Metric, cell: Cell) -> Cell:
        """The cell with its rank."""
        return marked(cell, str(one.key), self._ranks.get((one.key, one.dataset), {}).get(metric.key))

    # --- for programs ----------------------------------------------------------------------------

    def record(self, one: _Group) -> dict[str, Any]:
        row: dict[str, Any] = {**one.key.named(), "dataset": one.dataset, **one.counts}
        row["simulated"] = any(map(is_simulated, one.records.values()))
        row |= mark_columns(one.records.values())
        printed = self._published(one)
        more: dict[str, Any] = {}
        for metric in self.metrics:
            values, figure = one.values(metric), metric.name
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
        several = {one.dataset for one in self.groups if one.splits is not None}
        leading = ["method", "selection"]
        leading += [name for name, values in self._inputs(rows).items() if len(values) > 1]
        leading += ["candidates"] if any(key.candidates != TEST for key in rows) else []
        leading += ["differs in"] if any(key.differs for key in rows) else []
        columns = [Column(("", "", name), name, numeric=False) for name in leading]
        for name in datasets:
            label = dataset_label(name, self.records)
            header = "splits × seeds" if name in several else "seeds"
            columns.append(Column((label, "", header), f"{name}_seeds"))
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
        units = " or ".join(dict.fromkeys(f"{one.unit}s" for one in self.groups))
        title = ", ".join([f"Per-class accuracy in %, mean ± {spread} over {units}", *shared])
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
            count, *seeds = one.counts.values()
            values[f"{name}_seeds"] = Cell(count, f"{count} × {seeds[0]}" if seeds else None)
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
        values = one.values(metric)
        return self._ranked(one, metric, values.cell(intervals="interval" in self.show))

    def _below(self, kind: str, one: _Group, printed: PublishedRow | None, metric: Metric) -> Cell:
        if kind == "difference":
            return self.cells.difference(one.values(metric), printed)[0]
        return self.cells.figure(one.key.method, printed, metric, one.key.semantics, one.key.features)

    def _split_notes(self) -> list[str]:
        over = {one.dataset: one.splits for one in self.groups if one.splits is not None}
        lines = [over_text(name, splits) for name, splits in over.items()]
        lines += filter(None, (unlike_splits(name, self.records) for name in over))
        partial: dict[str, int] = {}
        for one in self.groups:
            if one.splits is not None and (
                left := len({split for split, _ in one.records}) - one.counts["splits"]
            ):
                partial[f"{one.key.method} on {one.dataset}"] = left
        lines += [
            f"{place}: {splits_text(left)} left out, since seeds are missing"
            for place, left in partial.items()
        ]
        if any(one.splits is not None and one.counts["splits"] < one.splits for one in self.groups):
            lines.append(PARTIAL_NOTE)
        return lines

    def _notes(self) -> tuple[str, ...]:
        rankings = [one for columns in self._ranks.values() for one in columns.values()]
        lines = ranking_notes(rankings)
        if any(one.second for one in rankings):
            lines.insert(0, "ranked among rows of one selection, features, semantics and candidates")
        lines += self._split_notes()
        lines += self.cells.notes()
        lines += dict.fromkeys(
            f"{one.key.method} on {one.dataset}, selection {one.key.selection}: {differences_text(usual)} "
            "unless a row says otherwise"
            for one in self.groups
            if (usual := self._usual[one.family])
        )
        return (*lines, *trust_notes(self.records))
