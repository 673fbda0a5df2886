"""An ablation: variants of a method by data sets, compared with the whole method and published figures.

Figures in percent. Differences are taken seed by seed, or split by split over several splits, so that
what two runs share cancels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from zslbench.data.split_sets import whole_name
from zslbench.evaluation.candidates import TEST
from zslbench.evaluation.metrics import Metric, criteria, headline_metrics
from zslbench.experiment.published import PublishedRow, published_ablation
from zslbench.experiment.recipe import label_text
from zslbench.experiment.suites.cells import Entry, SuiteOutcome
from zslbench.plugin.declarations import FULL, Method
from zslbench.report.figures import SeedValues
from zslbench.report.one_run import stages_line
from zslbench.report.over_splits import PARTIAL_NOTE, counts, over_seeds, split_notes, units
from zslbench.report.results import (
    candidates_label,
    dataset_label,
    is_simulated,
    is_verified,
    selection_label,
    trust_mark,
    trust_notes,
)
from zslbench.report.tables.model import Cell, Column, Row, Table, frame_of

if TYPE_CHECKING:
    import pandas as pd

VERSUS = f"Δ to {FULL}"


@dataclass(frozen=True, kw_only=True)
class Ablation(SuiteOutcome):
    """A suite of variants with one selection; :meth:`frame` for programs, :meth:`as_table` for readers."""

    method: str
    """The method's label: its name, with the reading where that is not the method's first."""
    variants: Mapping[str, str]
    """Name and summary of each line in order; ``full`` is the whole method."""
    printed: Mapping[tuple[str, str], PublishedRow] = field(default_factory=dict)
    """Published figures, by variant and data set in lower case."""
    found: int = 0
    """How many runs had been computed before."""

    @property
    def failures(self) -> tuple[str, ...]:
        """A line for each run that ended with an error, or was left to another process."""
        return tuple(
            f"{variant} on {dataset}, seed {seed}: {message}"
            for variant, dataset, _ in self.entries
            for seed, message in self._failures(variant, dataset).items()
        )

    def _failures(self, variant: str, dataset: str) -> dict[Any, str]:
        """Messages by seed; over several splits by split and seed."""
        if splits := self.split_sets.get(dataset):
            found = {one: self._failures(variant, one) for one in splits}
            return {(one, seed): text for one, of in found.items() for seed, text in of.items()}
        entry = self._entry(variant, dataset)
        if entry.state == "no data":
            return {}
        left = (seed for seed in self.seeds if seed not in entry.records)
        return {**dict.fromkeys(left, "another process is computing it"), **entry.failures}

    def _entry(self, variant: str, dataset: str) -> Entry:
        return self.entry(variant, dataset, self.selections[0])

    def _state(self, variant: str, dataset: str) -> str:
        """``ok``, ``failed`` (all or some of the runs) or ``missing`` (the data set)."""
        missing = self._entry(variant, dataset).state == "no data"
        return "missing" if missing else "failed" if self._failures(variant, dataset) else "ok"

    def _values(self, variant: str, dataset: str, metric: Metric, *, versus: bool = False) -> SeedValues:
        """A figure over seeds, or its difference from that of the whole method over those of both."""
        own, full = (
            SeedValues.of(self._entry(name, dataset).records, metric, *units(self, dataset))
            for name in (variant, FULL)
        )
        both = own.values.keys() & full.values.keys()
        less = {seed: value - full.values[seed] for seed, value in own.values.items() if seed in both}
        return replace(own, values=less) if versus else own

    def _published(self, variant: str, dataset: str, metric: Metric, *, versus: bool = False) -> float:
        """The published figure, or its difference from that of the whole method, to its one decimal."""
        rows = (self.printed.get((name, whole_name(dataset).lower())) for name in (variant, FULL))
        own, full = (row.figures.get(metric.name, math.nan) if row else math.nan for row in rows)
        return round(own - full, 1) if versus else own

    def _has_published(self, dataset: str) -> bool:
        """Whether any row has published figures for this data set."""
        return any((variant, whole_name(dataset).lower()) in self.printed for variant in self.variants)

    # --- tables ----------------------------------------------------------------------------------

    def frame(self) -> pd.DataFrame:
        """One row per variant and data set: mean and standard deviation of every figure and difference."""
        rows = [self._record(variant, dataset) for dataset in self.columns for variant in self.variants]
        return frame_of(rows)

    def table(self, datasets: Sequence[str] | None = None) -> pd.DataFrame:
        """The texts of :meth:`as_table`."""
        return self.as_table(datasets).frame()

    def as_table(self, datasets: Sequence[str] | None = None) -> Table:
        """One row per variant, under its summary; three levels of columns: data set, kind of figure, figure.

        A figure carries the number of seeds in brackets where some of its runs failed; a data set without
        published figures has no columns for them.

        Args:
            datasets: these only; None: all.
        """
        named = self.columns if datasets is None else datasets
        parts = [
            (dataset, part, metric)
            for dataset in named
            for part, metric in self._parts(self._has_published(dataset))
        ]
        columns = [Column(("", "", "variant"), "variant", numeric=False)]
        for dataset, part, metric in parts:
            header = (dataset_label(dataset, self.records), part, metric.name)
            columns.append(Column(header, f"{dataset} {part} {metric.name}"))
        rows = tuple(
            Row(
                (
                    Cell(summary, mark=self._mark(variant, named)),
                    *(self._cell(variant, *one) for one in parts),
                )
            )
            for variant, summary in self.variants.items()
        )
        return Table(tuple(columns), rows, self.heading(datasets))

    def heading(self, datasets: Sequence[str] | None = None) -> str:
        """A heading for :meth:`table`."""
        named = self.columns if datasets is None else datasets
        places = ", ".join(dataset_label(name, self.records) for name in named)
        seeds = over_seeds(self, named)
        selection = f"selection {selection_label(self.selections[0])}"
        others = sorted({candidates_label(one) for one in self.records} - {TEST})
        candidates = f", candidates {', '.join(others)}" if others else ""
        return (
            f"Ablation of {self.method} on {places}, {selection}{candidates}: per-class accuracy in %{seeds}"
        )

    def _parts(self, published: bool) -> Iterator[tuple[str, Metric]]:
        yield from ((metric.group, metric) for metric in headline_metrics())
        yield from ((VERSUS, metric) for metric in criteria())
        if published:
            yield from (("published", metric) for metric in headline_metrics())
            yield from ((f"published {VERSUS}", metric) for metric in criteria())

    def _mark(self, variant: str, datasets: Sequence[str]) -> str:
        entries = (self._entry(variant, dataset) for dataset in datasets)
        return trust_mark(record for one in entries for record in one.records.values())

    def _cell(self, variant: str, dataset: str, part: str, metric: Metric) -> Cell:
        versus = part.endswith(VERSUS)
        if variant == FULL and versus:
            return Cell()
        if part.startswith("published"):
            return Cell(self._published(variant, dataset, metric, versus=versus), signed=versus)
        if not self._entry(variant, dataset).records:
            first = not versus and metric == headline_metrics()[0]
            return Cell(words=self._state(variant, dataset)) if first else Cell()
        return replace(self._values(variant, dataset, metric, versus=versus).cell(), signed=versus)

    def _record(self, variant: str, dataset: str) -> dict[str, Any]:
        records = tuple(self._entry(variant, dataset).records.values())
        row: dict[str, Any] = {
            "method": self.method,
            "variant": variant,
            "summary": self.variants[variant],
            "dataset": dataset,
            "simulated": any(map(is_simulated, records)),
            "selection": self.selections[0],
            "features": records[0].data["features"] if records else None,
            "semantics": records[0].data["semantics"] if records else None,
            "candidates": candidates_label(records[0]) if records else None,
            "verified": all(map(is_verified, records)) if records else None,
            "state": self._state(variant, dataset),
            **counts(self, dataset, self._entry(variant, dataset)),
            "failed": len(self._failures(variant, dataset)),
        }
        published = any(map(self._has_published, self.columns))
        for part, metric in self._parts(published):
            versus = part.endswith(VERSUS)
            name = f"{metric.name}_diff" if versus else metric.name
            if part.startswith("published"):
                row[f"{name}_published"] = self._published(variant, dataset, metric, versus=versus)
            else:
                found = self._values(variant, dataset, metric, versus=versus).interval
                row[f"{name}_mean"], row[f"{name}_std"] = found.mean, found.std
        if published:
            printed = self.printed.get((variant, whole_name(dataset).lower()))
            row["published_source"] = printed.source if printed else None
            row["published_note"] = printed.note if printed else None
        return row

    # --- notes -----------------------------------------------------------------------------------

    def notes(self) -> list[str]:
        """Lines below the table: orders that differ from the published ones, sources, conditions, reuse."""
        records, lines = self.records, list(self.remarks)
        lines += [
            f"{dataset}: published {metric.name} in order: {orders[0]}; here: {orders[1]}"
            for dataset in self.columns
            for metric in criteria()
            if (orders := self.other_order(dataset, metric)) is not None
        ]
        entries = {
            (variant, dataset, self.selections[0]): self._entry(variant, dataset)
            for variant in self.variants
            for dataset in self.columns
        }
        lines += split_notes(self, entries)
        partial = {one for (name, one, _), of in entries.items() if of.records and self._failures(name, one)}
        if partial - self.split_sets.keys():
            lines.append("(n): over the n seeds whose runs did not fail")
        if partial & self.split_sets.keys():
            lines.append(PARTIAL_NOTE)
        shown = {
            (variant, whole_name(dataset).lower()) for variant in self.variants for dataset in self.columns
        }
        if sources := {row.source for key, row in self.printed.items() if key in shown}:
            lines.append(f"published: {', '.join(sorted(sources))}")
        lines += [
            f"{dataset}: published under conditions that differ from ours ({', '.join(reasons)})"
            for dataset in self.columns
            if (reasons := self._other_conditions(dataset))
        ]
        if records:
            lines.append(f"runs: {len(records) - self.found} computed, {self.found} found in the store")
        if stages := stages_line(records):
            lines.append(stages)
        return [*lines, *trust_notes(records)]

    def other_order(self, dataset: str, metric: Metric) -> tuple[str, str] | None:
        """The published order of the variants and the one found, best first; None: they agree.

        Variants that lack a figure on either side are left out. Published figures that are equal imply no
        order.
        """
        printed, here = {}, {}
        for variant in self.variants:
            published = self._published(variant, dataset, metric)
            found = self._values(variant, dataset, metric).interval.mean
            if not (math.isnan(published) or math.isnan(found)):
                printed[variant], here[variant] = published, found
        agree = all(here[a] > here[b] for a in printed for b in printed if printed[a] > printed[b])
        return None if agree else (_order(printed), _order(here))

    def _other_conditions(self, dataset: str) -> list[str]:
        """How the conditions of the published figures differ from those of the runs, a reason each."""
        found = [
            reason
            for variant in self.variants
            if (row := self.printed.get((variant, whole_name(dataset).lower()))) is not None
            for record in self._entry(variant, dataset).records.values()
            for reason in row.differences(str(record.data["semantics"]), str(record.data["features"]))
        ]
        return list(dict.fromkeys(found))


def _order(figures: Mapping[str, float]) -> str:
    """``"full > no-gce > no-scr = no-egs"``."""
    names = sorted(figures, key=lambda name: -figures[name])
    steps = (f" {'=' if figures[a] == figures[b] else '>'} {b}" for a, b in pairwise(names))
    return names[0] + "".join(steps)


def ablation_of(
    outcome: SuiteOutcome, method: Method, reading: str | None, found: int, missing: Sequence[str]
) -> Ablation:
    """What a suite of a method's variants found, as an ablation.

    Args:
        outcome: of :func:`zslbench.experiment.suites.from_options.ablation_suite`, with one selection.
        reading: the requested one.
        found: how many runs had been computed before.
        missing: why data sets are absent, a line each.
    """
    summaries = {FULL: f"{method.name} ({FULL})"} | {one.name: one.summary for one in method.variants}
    default = method.readings[0].name if method.readings else None
    labels = tuple(f"{line.label}: " for line in outcome.lines)
    remarks = (text.partition(": ")[2] if text.startswith(labels) else text for text in outcome.remarks)
    return Ablation(
        **vars(replace(outcome, remarks=(*remarks, *missing))),
        method=label_text(method.name, None, None if reading == default else reading),
        variants={line.label: summaries[line.label] for line in outcome.lines},
        printed=published_ablation(method),
        found=found,
    )
