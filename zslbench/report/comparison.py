"""All runs of a store: methods × data sets, CZSL Acc | GZSL U S H over the seeds there are. In percent.

Unlike numbers never share a row: rows are told apart by variant, features, semantics, selection and, where
the store holds several runs of one seed, by whatever else they differ in (settings, versions, execution).
Rows are ranked among their like: one data set, features, semantics and selection. What was chosen on test
images is not ranked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from zslbench.evaluation.metrics import Metric, headline_metrics
from zslbench.experiment.published.results import PublishedResults
from zslbench.experiment.published.rows import PublishedRow
from zslbench.report.alike import ABOUT, Alike, Key, alike
from zslbench.report.results import ORACLE_NOTE, dataset_label, has_oracle, is_simulated, selection_label
from zslbench.report.tables.figures import known, over, spread_text
from zslbench.report.tables.model import Cell, Column, Row, Table
from zslbench.report.tables.printed import Printed
from zslbench.report.tables.published_of import ablation
from zslbench.report.tables.ranking import Ranks, notes as ranking_notes, ranks
from zslbench.store.record import RunRecord

SHOW = ("published", "difference", "interval")
"""``published``: rows of published figures where a method's name is in them; ``difference``: ours less
published with a verdict; ``interval``: ± half of the 95 % interval, not ± std."""

_BLANK = Cell("")
_SELECTIONS = ("val", "last", "oracle")
"""In the order of a method's rows."""


def comparison_frame(records: Sequence[RunRecord], published: PublishedResults | None = None) -> pd.DataFrame:
    """One row per method and data set, for programs: seeds, mean, deviation and interval of each figure.

    A figure that one of a row's seeds lacks is missing, not averaged over the others; a single seed has no
    standard deviation. Beside each figure stand its rank (``best``, ``second``), whether it is tied with the
    best, what is published, ours less that, and where the published figure lies against our interval.

    Args:
        published: published results; None: the package's.
    """
    found = _Found(records, published)
    return pd.DataFrame([_record(found, one) for one in found.alike])


def comparison_table(
    records: Sequence[RunRecord],
    show: Collection[str] = (),
    published: PublishedResults | None = None,
) -> Table:
    """The same for readers: one row per method, three levels of columns (data set, CZSL or GZSL, figure).

    Args:
        show: what is shown beside ours, of ``SHOW``.
        published: published results; None: the package's.
    """
    return _Maker(_Found(records, published), frozenset(show)).table()


class _Found:
    """The runs by row and data set, with their ranks and what is published of them."""

    def __init__(self, records: Sequence[RunRecord], published: PublishedResults | None) -> None:
        self.records = records
        self.alike = alike(records)
        self.results = PublishedResults.load() if published is None else published
        self.ranks: dict[tuple[Key, str, str], Ranks] = {}
        comparable: dict[Key, list[Alike]] = {}
        for one in self.alike:
            about = dict(zip(ABOUT, one.key, strict=True))
            if about["selection"] != "oracle":
                like = (one.dataset, about["selection"], about["features"], about["semantics"])
                comparable.setdefault(like, []).append(one)
        for members in comparable.values():
            for metric in headline_metrics():
                ranked = ranks({_name(one.key): over(one.records, metric) for one in members})
                self.ranks |= {(one.key, one.dataset, metric.key): ranked for one in members}

    def printed(self, one: Alike) -> PublishedRow | None:
        """What is published of the method, or of the variant in the method's own ablation."""
        record = next(iter(one.records.values()))
        if record.info.variant is not None:
            return ablation(record.info.method).get((record.info.variant, one.dataset.lower()))
        return self.results.find(record.info.method, one.dataset, semantics=str(record.data["semantics"]))

    def marked(self, one: Alike, metric: Metric, cell: Cell) -> Cell:
        """The cell with its rank."""
        ranked = self.ranks.get((one.key, one.dataset, metric.key))
        return cell if ranked is None else ranked.marked(_name(one.key), cell)


def _name(key: Key) -> str:
    return "\n".join(key)


def _record(found: _Found, one: Alike) -> dict[str, Any]:
    row: dict[str, Any] = {**dict(zip(ABOUT, one.key, strict=True)), "dataset": one.dataset}
    row["seeds"] = len(one.records)
    row["simulated"] = any(is_simulated(record) for record in one.records.values())
    said, printed = Printed(), found.printed(one)
    beside: dict[str, Any] = {}
    for metric in headline_metrics():
        values, figure = over(one.records, metric), metric.name
        row[f"{figure}_mean"], row[f"{figure}_std"] = values.interval.mean, values.interval.std
        beside[f"{figure}_low"], beside[f"{figure}_high"] = values.interval.low, values.interval.high
        cell = found.marked(one, metric, Cell(None))
        beside[f"{figure}_rank"], beside[f"{figure}_tied"] = cell.emphasis, cell.tied
        less, place = said.difference(values, printed)
        beside[f"{figure}_published"] = printed.figures.get(figure) if printed else None
        beside[f"{figure}_less_published"], beside[f"{figure}_verdict"] = less.value, place
    beside["published_source"] = printed.source if printed else None
    beside["published_note"] = printed.note or None if printed else None
    return row | beside


@dataclass
class _Maker:
    """One table for readers in the making."""

    found: _Found
    show: frozenset[str]
    said: Printed = field(default_factory=Printed)

    def table(self) -> Table:
        rows: dict[Key, dict[str, Alike]] = {}
        for one in self.found.alike:
            rows.setdefault(one.key, {})[one.dataset] = one
        names = sorted({one.dataset for one in self.found.alike})
        abouts = [name for name in ABOUT if name != "group"]
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
        self, key: Key, abouts: Sequence[str], names: Sequence[str], of: Mapping[str, Alike]
    ) -> list[Row]:
        about = dict(zip(ABOUT, key, strict=True))
        about["selection"] = selection_label(about["selection"])
        cells = [Cell(about[name], about[name]) for name in abouts]
        for name in names:
            one = of.get(name)
            cells.append(Cell(None) if one is None else Cell(str(len(one.records)), len(one.records)))
            cells += [Cell(None) if one is None else self._ours(one, metric) for metric in headline_metrics()]
        rows = [Row(tuple(cells), about["group"])]
        printed = {name: self.found.printed(one) for name, one in of.items()}
        if not any(printed.values()):
            return rows
        blank = [_BLANK] * (len(abouts) - 1)
        for kind, text in (("published", "published"), ("difference", "− published")):
            if kind not in self.show:
                continue
            cells = [Cell(text, about["method"]), *blank]
            for name in names:
                cells.append(_BLANK)
                cells += [
                    self._beside(kind, of.get(name), printed.get(name), metric)
                    for metric in headline_metrics()
                ]
            rows.append(Row(tuple(cells), about["group"], kind))
        return rows

    def _ours(self, one: Alike, metric: Metric) -> Cell:
        values = over(one.records, metric)
        text = spread_text(values.interval, "interval" in self.show, metric.digits)
        note = values.interval.reason if text is None else ""
        return self.found.marked(one, metric, Cell(text, known(values.interval.mean), note=note))

    def _beside(self, kind: str, one: Alike | None, printed: PublishedRow | None, metric: Metric) -> Cell:
        if one is None:
            return Cell(None)
        if kind == "difference":
            return self.said.difference(over(one.records, metric), printed)[0]
        data = next(iter(one.records.values())).data
        used = str(data["semantics"]), str(data["features"])
        return self.said.figure(one.key[0], printed, metric, *used)

    def _notes(self) -> tuple[str, ...]:
        lines = ranking_notes(self.found.ranks.values())
        if any(one.ranking for one in self.found.ranks.values()):
            lines.insert(0, "ranked among rows of one selection, features and semantics")
        lines += self.said.notes()
        if has_oracle(self.found.records):
            lines.append(ORACLE_NOTE)
        return tuple(lines)


def _order(row: tuple[Key, Mapping[str, Alike]]) -> tuple[str, str, int, Key]:
    """Embedding before generative, as published tables have them; below a method, its oracle."""
    about = dict(zip(ABOUT, row[0], strict=True))
    return about["group"], about["method"], _SELECTIONS.index(about["selection"]), row[0]
