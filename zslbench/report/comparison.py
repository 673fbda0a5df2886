"""All runs of a store: methods × data sets, the headline metrics over the seeds in the store. In percent.

Only comparable numbers share a row: rows are distinguished by variant, features, semantics, selection and, if
the store has several runs of one seed, by whatever else differs (settings, versions, execution). Rows are
ranked among those of one data set, features, semantics and selection. Oracle results are not ranked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from zslbench.evaluation.metrics import Metric, headline_metrics
from zslbench.experiment.published import PublishedResults, PublishedRow
from zslbench.report.figures import EMPTY, Ranks, ranking_notes, ranks, seed_values
from zslbench.report.published import PublishedCells, own_ablation
from zslbench.report.results import (
    KEY_NAMES,
    ORACLE_NOTE,
    GroupKey,
    RunGroup,
    dataset_label,
    has_oracle,
    is_simulated,
    run_groups,
    selection_label,
)
from zslbench.report.tables.model import Cell, Column, Row, Table
from zslbench.store.record import RunRecord

if TYPE_CHECKING:
    import pandas as pd

SHOW = ("published", "difference", "interval")
"""``published``: rows of published figures, if there are any of the method; ``difference``: ours minus
published, with a verdict; ``interval``: ± half of the 95 % interval instead of ± std."""

_BLANK = Cell(words="")
_SELECTIONS = ("val", "last", "oracle")
"""In the order of a method's rows."""


def comparison_frame(records: Sequence[RunRecord], published: PublishedResults | None = None) -> pd.DataFrame:
    """One row per method and data set, for programs: seeds, mean, deviation and interval of each figure.

    A figure that one of a row's seeds lacks is missing, not averaged over the others; a single seed has no
    standard deviation. Each figure comes with its rank (``best``, ``second``), whether it is tied with the
    best, the published figure, our difference from it, and where that lies relative to our interval.

    Args:
        published: published results; None: the package's.
    """
    import pandas as pd

    found = _Found(records, published)
    return pd.DataFrame([_record(found, one) for one in found.groups])


def comparison_table(
    records: Sequence[RunRecord],
    show: Collection[str] = (),
    published: PublishedResults | None = None,
) -> Table:
    """The same for readers: one row per method, three levels of columns (data set, CZSL or GZSL, figure).

    Args:
        show: what to show in addition to our figures, from ``SHOW``.
        published: published results; None: the package's.
    """
    return _Builder(_Found(records, published), frozenset(show)).table()


class _Found:
    """The runs by row and data set, with their ranks and published figures."""

    def __init__(self, records: Sequence[RunRecord], published: PublishedResults | None) -> None:
        self.records = records
        self.groups = run_groups(records)
        self.results = PublishedResults.load() if published is None else published
        self.ranks: dict[tuple[GroupKey, str, str], Ranks] = {}
        comparable: dict[GroupKey, list[RunGroup]] = {}
        for one in self.groups:
            about = dict(zip(KEY_NAMES, one.key, strict=True))
            if about["selection"] != "oracle":
                like = (one.dataset, about["selection"], about["features"], about["semantics"])
                comparable.setdefault(like, []).append(one)
        for members in comparable.values():
            for metric in headline_metrics():
                ranked = ranks({_name(one.key): seed_values(one.records, metric) for one in members})
                self.ranks |= {(one.key, one.dataset, metric.key): ranked for one in members}

    def published(self, one: RunGroup) -> PublishedRow | None:
        """The published row of the method, or of the variant in the method's own ablation."""
        record = next(iter(one.records.values()))
        if record.info.variant is not None:
            return own_ablation(record.info.method).get((record.info.variant, one.dataset.lower()))
        return self.results.find(record.info.method, one.dataset, semantics=str(record.data["semantics"]))

    def marked(self, one: RunGroup, metric: Metric, cell: Cell) -> Cell:
        """The cell with its rank."""
        ranked = self.ranks.get((one.key, one.dataset, metric.key))
        return cell if ranked is None else ranked.marked(_name(one.key), cell)


def _name(key: GroupKey) -> str:
    return "\n".join(key)


def _record(found: _Found, one: RunGroup) -> dict[str, Any]:
    row: dict[str, Any] = {**dict(zip(KEY_NAMES, one.key, strict=True)), "dataset": one.dataset}
    row["seeds"] = len(one.records)
    row["simulated"] = any(is_simulated(record) for record in one.records.values())
    cells, printed = PublishedCells(), found.published(one)
    more: dict[str, Any] = {}
    for metric in headline_metrics():
        values, figure = seed_values(one.records, metric), metric.name
        row[f"{figure}_mean"], row[f"{figure}_std"] = values.interval.mean, values.interval.std
        more[f"{figure}_low"], more[f"{figure}_high"] = values.interval.low, values.interval.high
        cell = found.marked(one, metric, EMPTY)
        more[f"{figure}_rank"], more[f"{figure}_tied"] = cell.emphasis, cell.tied
        less, place = cells.difference(values, printed)
        more[f"{figure}_published"] = printed.figures.get(figure) if printed else None
        more[f"{figure}_less_published"], more[f"{figure}_verdict"] = less.value, place
    more["published_source"] = printed.source if printed else None
    more["published_note"] = printed.note or None if printed else None
    return row | more


@dataclass
class _Builder:
    found: _Found
    show: frozenset[str]
    cells: PublishedCells = field(default_factory=PublishedCells)

    def table(self) -> Table:
        rows: dict[GroupKey, dict[str, RunGroup]] = {}
        for one in self.found.groups:
            rows.setdefault(one.key, {})[one.dataset] = one
        names = sorted({one.dataset for one in self.found.groups})
        abouts = [name for name in KEY_NAMES if name != "group"]
        if not any(key[-1] for key in rows):
            abouts.remove("differs in")
        columns = [Column(("", "", name), name, numeric=False) for name in abouts]
        for name in names:
            label = dataset_label(name, self.found.records)
            columns.append(Column((label, "", "seeds"), f"{name}_seeds"))
            columns += [
                Column((label, one.group, one.name), f"{name}_{one.key}_mean") for one in headline_metrics()
            ]
        made = [
            row for key, of in sorted(rows.items(), key=_order) for row in self._rows(key, abouts, names, of)
        ]
        spread = "half of the 95 % interval (Student's t)" if "interval" in self.show else "std"
        return Table(
            tuple(columns), tuple(made), f"Per-class accuracy in %, mean ± {spread} over seeds", self._notes()
        )

    def _rows(
        self, key: GroupKey, abouts: Sequence[str], names: Sequence[str], of: Mapping[str, RunGroup]
    ) -> list[Row]:
        about = dict(zip(KEY_NAMES, key, strict=True))
        about["selection"] = selection_label(about["selection"])
        cells = [Cell(about[name]) for name in abouts]
        for name in names:
            one = of.get(name)
            cells.append(EMPTY if one is None else Cell(len(one.records)))
            cells += [EMPTY if one is None else self._ours(one, metric) for metric in headline_metrics()]
        rows = [Row(tuple(cells), about["group"])]
        printed = {name: self.found.published(one) for name, one in of.items()}
        if not any(printed.values()):
            return rows
        blank = [_BLANK] * (len(abouts) - 1)
        for kind, text in (("published", "published"), ("difference", "− published")):
            if kind not in self.show:
                continue
            cells = [Cell(about["method"], text), *blank]
            for name in names:
                cells.append(_BLANK)
                cells += [
                    self._below(kind, of.get(name), printed.get(name), metric)
                    for metric in headline_metrics()
                ]
            rows.append(Row(tuple(cells), about["group"], kind))
        return rows

    def _ours(self, one: RunGroup, metric: Metric) -> Cell:
        values = seed_values(one.records, metric)
        cell = values.cell(intervals="interval" in self.show)
        if not cell.number:
            cell = replace(cell, note=values.interval.reason)
        return self.found.marked(one, metric, cell)

    def _below(self, kind: str, one: RunGroup | None, printed: PublishedRow | None, metric: Metric) -> Cell:
        if one is None:
            return EMPTY
        if kind == "difference":
            return self.cells.difference(seed_values(one.records, metric), printed)[0]
        data = next(iter(one.records.values())).data
        used = str(data["semantics"]), str(data["features"])
        return self.cells.figure(one.key[0], printed, metric, *used)

    def _notes(self) -> tuple[str, ...]:
        lines = ranking_notes(self.found.ranks.values())
        if any(one.ranking for one in self.found.ranks.values()):
            lines.insert(0, "ranked among rows of one selection, features and semantics")
        lines += self.cells.notes()
        if has_oracle(self.found.records):
            lines.append(ORACLE_NOTE)
        return tuple(lines)


def _order(row: tuple[GroupKey, Mapping[str, RunGroup]]) -> tuple[str, str, int, GroupKey]:
    """Embedding methods before generative ones, as in published tables; oracle rows below their method."""
    about = dict(zip(KEY_NAMES, row[0], strict=True))
    return about["group"], about["method"], _SELECTIONS.index(about["selection"]), row[0]
