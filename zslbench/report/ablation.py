"""An ablation: the variants of a method by data sets, against the whole method and what is printed of it.

Figures in percent. Differences are taken seed by seed, so that what two runs of one seed share cancels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pandas as pd

from zslbench.evaluation.metrics import criteria, headline_metrics
from zslbench.experiment.published import PublishedRow, published_ablation
from zslbench.experiment.recipe import label_text
from zslbench.experiment.suites.cells import Entry, SuiteOutcome
from zslbench.plugin.declarations import FULL, Method
from zslbench.report.one_run import stages_line
from zslbench.report.results import (
    ORACLE_NOTE,
    dataset_label,
    has_oracle,
    is_simulated,
    runs_frame,
    selection_label,
)
from zslbench.report.tables.model import Cell, Column, Row, Table
from zslbench.store.record import RunRecord

FIGURES = tuple((one.group, one.name) for one in headline_metrics())
DIFFERENCES = tuple(one.name for one in criteria())
"""The figures whose difference to the whole method is shown."""

VERSUS = f"Δ to {FULL}"


@dataclass(frozen=True)
class Failure:
    """A run that ended with an error."""

    variant: str
    dataset: str
    seed: int
    message: str


@dataclass(frozen=True)
class Ablation:
    """What an ablation found; :meth:`frame` for programs, :meth:`table` for readers."""

    method: str
    """The method's label: its name, with the reading where that is not the method's first."""
    selection: str
    seeds: tuple[int, ...]
    variants: Mapping[str, str]
    """Name and summary of each row in order; ``full`` is the whole method."""
    datasets: tuple[str, ...]
    entries: Mapping[tuple[str, str], Entry]
    """By variant and data set."""
    printed: Mapping[tuple[str, str], PublishedRow] = field(default_factory=dict)
    """Published figures, by variant and data set in lower case."""
    found: int = 0
    """How many runs had been computed before."""
    remarks: tuple[str, ...] = ()
    """What else a reader must know, a line each."""

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """All runs."""
        return tuple(record for entry in self.entries.values() for record in entry.records.values())

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The runs that ended with an error."""
        return tuple(
            Failure(variant, dataset, seed, message)
            for (variant, dataset), entry in self.entries.items()
            for seed, message in entry.failures.items()
        )

    def state(self, variant: str, dataset: str) -> str:
        """``ok``, ``failed`` (all or some of the runs) or ``missing`` (the data set)."""
        entry = self.entries[variant, dataset]
        return "missing" if entry.state == "no data" else "failed" if entry.failures else "ok"

    def frame(self) -> pd.DataFrame:
        """One row per variant and data set: mean and standard deviation of every figure and difference."""
        rows = [self._row(variant, dataset) for dataset in self.datasets for variant in self.variants]
        return pd.DataFrame(rows)

    def table(self, datasets: Sequence[str] | None = None) -> pd.DataFrame:
        """The texts of :meth:`as_table`."""
        return self.as_table(datasets).frame()

    def as_table(self, datasets: Sequence[str] | None = None) -> Table:
        """One row per variant, under its summary; three levels of columns: data set, kind of figure, figure.

        A figure carries the number of seeds in brackets where some of its runs failed; a data set of which
        nothing is published has no columns for it.

        Args:
            datasets: these only; None: all.
        """
        columns = [("", "", "variant")]
        for dataset in self.datasets if datasets is None else datasets:
            columns += [(dataset, part, figure) for part, figure in FIGURES]
            columns += [(dataset, VERSUS, figure) for figure in DIFFERENCES]
            if self.is_printed(dataset):
                columns += [(dataset, "published", figure) for _, figure in FIGURES]
                columns += [(dataset, f"published {VERSUS}", figure) for figure in DIFFERENCES]
        rows = tuple(
            Row((Cell(summary), *(self._cell(variant, *column) for column in columns[1:])))
            for variant, summary in self.variants.items()
        )
        shown = (
            Column(
                (dataset_label(name, self.records), part, figure), " ".join(filter(None, column)), place > 0
            )
            for place, column in enumerate(columns)
            for name, part, figure in (column,)
        )
        return Table(tuple(shown), rows, self.title(datasets))

    def title(self, datasets: Sequence[str] | None = None) -> str:
        """A heading for :meth:`table`."""
        named = self.datasets if datasets is None else datasets
        places = ", ".join(dataset_label(name, self.records) for name in named)
        seeds = f", mean ± std over {len(self.seeds)} seeds" if len(self.seeds) > 1 else ""
        selection = f"selection {selection_label(self.selection)}"
        return f"Ablation of {self.method} on {places}, {selection}: per-class accuracy in %{seeds}"

    def is_printed(self, dataset: str) -> bool:
        """Whether any figure of the rows is published for this data set."""
        return any((variant, dataset.lower()) in self.printed for variant in self.variants)

    def values(self, variant: str, dataset: str, figure: str) -> pd.Series[float]:
        """A figure of each seed, in percent, NaN where a run has none; indexed by seed."""
        records = tuple(self.entries[variant, dataset].records.values())
        if not records:
            return pd.Series(dtype=float)
        frame = runs_frame(records)
        return pd.Series(frame[figure].to_numpy(float), index=frame["seed"].to_numpy())

    def differences(self, variant: str, dataset: str, figure: str) -> pd.Series[float]:
        """The figure of each seed that both have, less that of the whole method."""
        one, whole = (self.values(name, dataset, figure) for name in (variant, FULL))
        both = one.index.intersection(whole.index)
        return one[both] - whole[both]

    def printed_figure(self, variant: str, dataset: str, figure: str) -> float:
        """The published figure in percent; NaN: there is none."""
        found = self.printed.get((variant, dataset.lower()))
        return found.figures.get(figure, math.nan) if found else math.nan

    def printed_difference(self, variant: str, dataset: str, figure: str) -> float:
        """The difference of the published figures, to their one decimal."""
        one, whole = (self.printed_figure(name, dataset, figure) for name in (variant, FULL))
        return round(one - whole, 1)

    def _row(self, variant: str, dataset: str) -> dict[str, Any]:
        entry = self.entries[variant, dataset]
        records = tuple(entry.records.values())
        row: dict[str, Any] = {
            "method": self.method,
            "variant": variant,
            "summary": self.variants[variant],
            "dataset": dataset,
            "simulated": any(is_simulated(one) for one in records),
            "selection": self.selection,
            "features": records[0].data["features"] if records else None,
            "semantics": records[0].data["semantics"] if records else None,
            "state": self.state(variant, dataset),
            "seeds": len(records),
            "failed": len(entry.failures),
        }
        of = [(figure, self.values(variant, dataset, figure)) for _, figure in FIGURES]
        of += [(f"{one}_diff", self.differences(variant, dataset, one)) for one in DIFFERENCES]
        for name, values in of:
            row[f"{name}_mean"] = values.mean(skipna=False)
            row[f"{name}_std"] = values.std(ddof=1, skipna=False)
        if any(self.is_printed(one) for one in self.datasets):
            for _, figure in FIGURES:
                row[f"{figure}_published"] = self.printed_figure(variant, dataset, figure)
            for figure in DIFFERENCES:
                row[f"{figure}_diff_published"] = self.printed_difference(variant, dataset, figure)
            found = self.printed.get((variant, dataset.lower()))
            row["published_source"] = found.source if found else None
            row["published_note"] = found.note if found else None
        return row

    def _cell(self, variant: str, dataset: str, part: str, figure: str) -> Cell:
        if part == "published":
            return Cell(self.printed_figure(variant, dataset, figure))
        if part == f"published {VERSUS}":
            found = math.nan if variant == FULL else self.printed_difference(variant, dataset, figure)
            return Cell(found, signed=True)
        if not self.entries[variant, dataset].records:
            return Cell(words=self.state(variant, dataset)) if (part, figure) == FIGURES[0] else Cell()
        if part == VERSUS and variant == FULL:
            return Cell()
        values = (self.differences if part == VERSUS else self.values)(variant, dataset, figure)
        mark = f" ({len(values)})" if len(values) < len(self.seeds) else ""
        mean, std = values.mean(skipna=False), values.std(ddof=1) if len(values) > 1 else math.nan
        return Cell(mean, spread=std, signed=part == VERSUS, mark=mark if mean == mean else "")


def ablation_of(
    outcome: SuiteOutcome, method: Method, reading: str | None, found: int, missing: Sequence[str]
) -> Ablation:
    """What a suite of a method's variants found, as an ablation.

    Args:
        outcome: of :func:`zslbench.experiment.suites.ablation_suite`, with one selection.
        reading: the one that was asked for.
        found: how many runs had been computed before.
        missing: what is said of absent data sets.
    """
    (selection,) = outcome.selections
    summaries = {FULL: f"{method.name} ({FULL})"} | {one.name: one.summary for one in method.variants}
    elsewhere = "another process computes it"
    entries = {}
    for (variant, dataset, _), entry in outcome.entries.items():
        if entry.state != "no data":  # a run that was left to another process is not there either
            left = {seed: elsewhere for seed in outcome.seeds if seed not in entry.records}
            entry = replace(entry, failures={**left, **entry.failures})
        entries[variant, dataset] = entry
    default = method.readings[0].name if method.readings else None
    return Ablation(
        method=label_text(method.name, None, None if reading == default else reading),
        selection=selection,
        seeds=outcome.seeds,
        variants={line.label: summaries[line.label] for line in outcome.lines},
        datasets=outcome.datasets,
        entries=entries,
        printed=published_ablation(method),
        found=found,
        remarks=(*(text.partition(": ")[2] for text in outcome.remarks), *missing),
    )


def notes(ablation: Ablation) -> list[str]:
    """Lines below the table: what was reused, which order differs from the published one, and its source."""
    records = ablation.records
    lines = list(ablation.remarks)
    lines += [
        f"{dataset}: published {figure} in order: {orders[0]}; here: {orders[1]}"
        for dataset in ablation.datasets
        for figure in DIFFERENCES
        if (orders := other_order(ablation, dataset, figure)) is not None
    ]
    if any(entry.records and entry.failures for entry in ablation.entries.values()):
        lines.append("(n): over the n seeds whose runs did not fail")
    sources = {
        printed.source
        for (variant, dataset), printed in ablation.printed.items()
        if variant in ablation.variants and dataset in map(str.lower, ablation.datasets)
    }
    if sources:
        lines.append(f"published: {', '.join(sorted(sources))}")
    lines += [
        f"{dataset}: published under other conditions than ours ({', '.join(reasons)})"
        for dataset in ablation.datasets
        if (reasons := other_conditions(ablation, dataset))
    ]
    if records:
        lines.append(f"runs: {len(records) - ablation.found} computed, {ablation.found} found in the store")
    if stages := stages_line(records):
        lines.append(stages)
    if has_oracle(records):
        lines.append(ORACLE_NOTE)
    return lines


def other_conditions(ablation: Ablation, dataset: str) -> list[str]:
    """How the conditions of the published figures differ from those of the runs, a reason each."""
    found = [
        reason
        for variant in ablation.variants
        if (row := ablation.printed.get((variant, dataset.lower()))) is not None
        for record in ablation.entries[variant, dataset].records.values()
        for reason in row.differences(str(record.data["semantics"]), str(record.data["features"]))
    ]
    return list(dict.fromkeys(found))


def other_order(ablation: Ablation, dataset: str, figure: str) -> tuple[str, str] | None:
    """The published order of the variants and the one found, best first; None: they agree.

    Variants that lack a figure on either side are left out. Published figures that are equal say nothing
    about an order.
    """
    printed, here = {}, {}
    for variant in ablation.variants:
        published = ablation.printed_figure(variant, dataset, figure)
        found = ablation.values(variant, dataset, figure).mean(skipna=False)
        if published == published and found == found:  # neither is NaN
            printed[variant], here[variant] = published, float(found)
    agree = all(
        here[better] > here[worse]
        for better in printed
        for worse in printed
        if printed[better] > printed[worse]
    )
    return None if agree else (_order(printed), _order(here))


def _order(figures: Mapping[str, float]) -> str:
    """``"full > no-gce > no-scr = no-egs"``."""
    names = sorted(figures, key=lambda name: -figures[name])
    text = names[0]
    for before, name in pairwise(names):
        text += f" {'=' if figures[name] == figures[before] else '>'} {name}"
    return text
