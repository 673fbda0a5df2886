"""An ablation: the variants of a method by data sets, against the whole method and what is printed of it.

Figures in percent. Differences are taken seed by seed, so that what two runs of one seed share cancels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from zslbench.evaluation.metrics import criteria, headline_metrics
from zslbench.experiment.published.row import PublishedRow
from zslbench.plugin.declarations import FULL
from zslbench.report.results import dataset_label, is_simulated, runs_frame, selection_label
from zslbench.report.tables.figures import number, signed
from zslbench.store.record import RunRecord

FIGURES = tuple((one.group, one.name) for one in headline_metrics())
DIFFERENCES = tuple(one.name for one in criteria())
"""The figures whose difference to the whole method is told."""

VERSUS = f"Δ to {FULL}"


@dataclass(frozen=True)
class Failure:
    """A run that ended with an error."""

    variant: str
    dataset: str
    seed: int
    message: str


@dataclass(frozen=True)
class Cell:
    """The runs of one variant on one data set."""

    records: tuple[RunRecord, ...] = ()
    failed: int = 0
    """How many runs ended with an error."""
    missing: bool = False
    """Whether the data set is not there."""

    @property
    def state(self) -> str:
        """``ok``, ``failed`` (all or some of the runs) or ``missing``."""
        return "missing" if self.missing else "failed" if self.failed else "ok"


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
    cells: Mapping[tuple[str, str], Cell]
    """By variant and data set."""
    printed: Mapping[tuple[str, str], PublishedRow] = field(default_factory=dict)
    """What is published, by variant and data set in lower case."""
    failures: tuple[Failure, ...] = ()
    found: int = 0
    """How many runs had been computed before."""
    remarks: tuple[str, ...] = ()
    """What else a reader must know, a line each."""

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """The runs of all cells."""
        return tuple(record for cell in self.cells.values() for record in cell.records)

    def frame(self) -> pd.DataFrame:
        """One row per variant and data set: mean and standard deviation of every figure and difference."""
        rows = [self._row(variant, dataset) for dataset in self.datasets for variant in self.variants]
        return pd.DataFrame(rows)

    def table(self, datasets: Sequence[str] | None = None) -> pd.DataFrame:
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
        content = [
            [summary, *(self._text(variant, *column) for column in columns[1:])]
            for variant, summary in self.variants.items()
        ]
        shown = [(dataset_label(name, self.records), part, figure) for name, part, figure in columns]
        return pd.DataFrame(content, columns=pd.MultiIndex.from_tuples(shown), dtype=object)

    def title(self, datasets: Sequence[str] | None = None) -> str:
        """A heading for :meth:`table`."""
        named = self.datasets if datasets is None else datasets
        places = ", ".join(dataset_label(name, self.records) for name in named)
        seeds = f", mean ± std over {len(self.seeds)} seeds" if len(self.seeds) > 1 else ""
        selection = f"selection {selection_label(self.selection)}"
        return f"Ablation of {self.method} on {places}, {selection}: per-class accuracy in %{seeds}"

    def is_printed(self, dataset: str) -> bool:
        """Whether anything is published of the rows on this data set."""
        return any((variant, dataset.lower()) in self.printed for variant in self.variants)

    def values(self, variant: str, dataset: str, figure: str) -> pd.Series[float]:
        """A figure of each seed, in percent, NaN where a run has none; indexed by seed."""
        records = self.cells[variant, dataset].records
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
        """What is published, in percent; NaN: nothing is."""
        found = self.printed.get((variant, dataset.lower()))
        return found.figures.get(figure, math.nan) if found else math.nan

    def printed_difference(self, variant: str, dataset: str, figure: str) -> float:
        """The difference of the published figures, to the one decimal that they have."""
        one, whole = (self.printed_figure(name, dataset, figure) for name in (variant, FULL))
        return round(one - whole, 1)

    def _row(self, variant: str, dataset: str) -> dict[str, Any]:
        cell = self.cells[variant, dataset]
        row: dict[str, Any] = {
            "method": self.method,
            "variant": variant,
            "summary": self.variants[variant],
            "dataset": dataset,
            "simulated": any(is_simulated(one) for one in cell.records),
            "selection": self.selection,
            "features": cell.records[0].data["features"] if cell.records else None,
            "semantics": cell.records[0].data["semantics"] if cell.records else None,
            "state": cell.state,
            "seeds": len(cell.records),
            "failed": cell.failed,
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

    def _text(self, variant: str, dataset: str, part: str, figure: str) -> str | None:
        if part == "published":
            return number(self.printed_figure(variant, dataset, figure))
        if part == f"published {VERSUS}":
            return None if variant == FULL else signed(self.printed_difference(variant, dataset, figure))
        cell = self.cells[variant, dataset]
        if not cell.records:
            return cell.state if (part, figure) == FIGURES[0] else None
        if part == VERSUS:
            if variant == FULL:
                return None
            values, told = self.differences(variant, dataset, figure), signed
        else:
            values, told = self.values(variant, dataset, figure), number
        mean = told(values.mean(skipna=False))
        if mean is None:
            return None
        spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
        return f"{mean}{spread}" + (f" ({len(values)})" if len(values) < len(self.seeds) else "")
