"""Published figures in percent: the row that belongs to a run, its cells, verdicts, and listings."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from zslbench.errors import PluginError, UnknownName
from zslbench.evaluation.metrics import Metric
from zslbench.experiment.published import (
    DISPUTED_MARK,
    DISPUTED_NOTE,
    FIGURES,
    PublishedResults,
    PublishedRow,
)
from zslbench.report.figures import SeedValues, place_list, word_list
from zslbench.report.statistics import Interval
from zslbench.report.tables.model import Cell, Column, Row, Table

if TYPE_CHECKING:
    from zslbench.experiment.suites.cells import SuiteOutcome
    from zslbench.experiment.suites.lines import Line

UNLIKE_MARK = "§"

# --- lookup --------------------------------------------------------------------------------------

Lookup: TypeAlias = "Callable[[Line, str, str], PublishedRow | None]"
"""From a suite's line, a data set and class semantics to the published row."""


def published_lookup(outcome: SuiteOutcome, results: PublishedResults) -> Lookup:
    """A function that finds the published row of a suite's line: a method, or a variant of its ablation."""

    def find(line: Line, dataset: str, semantics: str) -> PublishedRow | None:
        if line.published_variant is not None:
            return own_ablation(line.method).get((line.published_variant, dataset.lower()))
        if line.published is None:
            return None
        return results.find(line.published, dataset, outcome.published_source, semantics=semantics)

    return find


@functools.cache
def own_ablation(method: str) -> Mapping[tuple[str, str], PublishedRow]:
    """A method's published ablation by variant and data set; empty: it has none, or no plugin has it."""
    from zslbench.experiment.published import published_ablation
    from zslbench.plugin.discovery import registry

    try:
        return published_ablation(registry().method(method).declaration)
    except (UnknownName, PluginError):
        return {}


# --- verdicts ------------------------------------------------------------------------------------

Place = Literal["inside", "above", "below", "unknown"]


@dataclass(frozen=True)
class PublishedVerdict:
    """A published figure compared with ours."""

    place: Place
    """Where the **published** figure lies relative to the interval of our mean over seeds: ``above`` means
    that it is higher than the variation over our seeds explains."""
    difference: float
    """Our mean minus the published figure, in percentage points; NaN if either is missing."""
    reason: str = ""
    """Why the place is unknown, one line."""

    @property
    def text(self) -> str:
        """For readers: ``"published inside the interval"``, or the reason."""
        return self.reason if self.place == "unknown" else f"published {self.place} the interval"


def verdict(ours: Interval, published: float, rounding: float = 0.0) -> PublishedVerdict:
    """Compare our interval over seeds with a published figure, both in percent.

    It accounts for our seeds only: those of published figures are unknown, and most are the best of one run.

    Args:
        published: NaN: none is printed.
        rounding: half a unit of its last printed digit (``PublishedRow.rounding``): the figure is outside if
            everything that rounds to it is.
    """
    difference = ours.mean - published
    if math.isnan(published):
        return PublishedVerdict("unknown", difference, "not published")
    if math.isnan(ours.low):
        return PublishedVerdict("unknown", difference, ours.reason)
    slack = rounding + 1e-9  # so that a figure printed as 0.3 is not outside 0.35 by its last bit
    place: Place = (
        "above" if published - slack > ours.high else "below" if published + slack < ours.low else "inside"
    )
    return PublishedVerdict(place, difference)


# --- cells ---------------------------------------------------------------------------------------


@dataclass
class PublishedCells:
    """Creates the cells of published rows and differences, and collects their notes."""

    preferred: str | None = None
    """The source that is named first."""
    shown: list[tuple[str, PublishedRow]] = field(default_factory=list)
    """The rows shown, each with the label of its line."""
    unlike: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)
    """What the intervals with a verdict are over: ``seed``, ``split``."""
    refused: set[str] = field(default_factory=set)

    def figure(
        self, label: str, row: PublishedRow | None, metric: Metric, semantics: str, features: str = "res101"
    ) -> Cell:
        """A published figure as printed; a disputed H and figures from other conditions are marked.

        Args:
            label: the line's.
            row: None: nothing is published.
            semantics, features: of our runs that it is compared with.
        """
        value = math.nan if row is None else row.figures.get(metric.name, math.nan)
        if row is None or math.isnan(value):
            return Cell(note="not published" if row is None else f"not in {row.source}")
        reasons = row.differences(semantics, features)
        if (label, row) not in self.shown:
            self.shown.append((label, row))
        for reason in reasons:
            where = self.unlike.setdefault(reason, [])
            if (row.method, row.dataset) not in where:
                where.append((row.method, row.dataset))
        mark, note = "", f"{row.citation}, {row.source}" if row.citation else row.source
        if row.disputed and metric.key == "h":
            mark, note = DISPUTED_MARK, row.note
        if reasons:
            mark += UNLIKE_MARK
            note = f"{note}; {', '.join(reasons)}"
        return Cell(value, digits=metric.digits, mark=mark, note=note)

    def difference(self, ours: SeedValues, row: PublishedRow | None) -> tuple[Cell, str | None]:
        """Ours minus published with its verdict, and the verdict for programs."""
        name = ours.metric.name
        value = math.nan if row is None else row.figures.get(name, math.nan)
        if row is None or math.isnan(value) or math.isnan(ours.interval.mean):
            return Cell(), None
        found = verdict(ours.interval, value, row.rounding(name))
        if found.place == "unknown":
            self.refused.add(found.reason)
        else:
            self.judged.add(ours.unit)
        mark = {"inside": " ∈", "above": " ∉", "below": " ∉", "unknown": ""}[found.place] + ours.mark
        cell = Cell(found.difference, digits=ours.metric.digits, signed=True, mark=mark, note=found.text)
        return cell, found.place

    def notes(self) -> list[str]:
        """Sources, disputed figures, other conditions, what the verdicts mean."""
        lines = self._sources()
        disputed = {(row.method, row.dataset, row.source): row for _, row in self.shown if row.disputed}
        lines += [f"{DISPUTED_MARK} {row.method} on {row.dataset}: {row.note}" for row in disputed.values()]
        lines += [
            f"{UNLIKE_MARK} published under other conditions ({reason}): {place_list(where)}"
            for reason, where in self.unlike.items()
        ]
        if self.judged:
            lines.append(
                "∈, ∉: the published figure lies inside, outside the 95 % interval (Student's t) of our mean "
                f"over {' or '.join(f'{one}s' for one in sorted(self.judged))}"
            )
        if self.refused:
            lines.append(f"differences without a verdict: {word_list(sorted(self.refused), 3)}")
        return lines

    def _sources(self) -> list[str]:
        sources: dict[str, list[tuple[str, str]]] = {}
        for _, row in self.shown:
            sources.setdefault(row.source, []).append((row.method, row.dataset))
        if not sources:
            return []
        most = max(sources, key=lambda one: len(sources[one]))
        first = self.preferred if self.preferred in sources else most
        others = [f"from {name}: {place_list(where)}" for name, where in sources.items() if name != first]
        return [f"published: {'; '.join([str(first), *others])}"]


# --- listings ------------------------------------------------------------------------------------


def published_table(rows: Sequence[PublishedRow], title: str = "", *, notes: bool = True) -> Table:
    """One line for each published row: figures as printed, their source, and conditions.

    Args:
        notes: whether readers see the notes of rows as a column; programs always do.
    """
    columns = (
        _words("method"),
        _words("variant", readers=any(one.variant for one in rows)),
        _words("group", readers=False),
        _words("citation", readers=False),
        _words("dataset", "data set"),
        *(Column((one.group, one.name), one.key) for one in FIGURES.values()),
        Column(("", "H recomputed"), "h_recomputed", readers=False),
        _words("disputed", readers=False),
        _words("semantics"),
        _words("finetuned", "backbone"),
        _words("features", readers=any(one.features for one in rows)),
        _words("source"),
        _words("origin", "printed by"),
        _words("note", readers=notes and any(one.note for one in rows)),
    )
    lines = [DISPUTED_NOTE] if any(one.disputed for one in rows) else []
    if lines and not notes:
        lines += [f"{one.method} on {one.dataset} ({one.source}): {one.note}" for one in rows if one.disputed]
    return Table(columns, tuple(Row.of(columns, _values(one)) for one in rows), title, tuple(lines))


def _words(key: str, header: str = "", *, readers: bool = True) -> Column:
    return Column(("", header or key), key, numeric=False, readers=readers)


def _values(row: PublishedRow) -> dict[str, Any]:
    """Attributes and figures as printed, by the keys of columns."""
    values = {**vars(row), "disputed": row.disputed, "note": row.note}
    values = {name: None if value == "" else value for name, value in values.items()}
    for name, metric in FIGURES.items():
        digits = len(row.printed[name].partition(".")[2])
        mark = DISPUTED_MARK if row.disputed and metric.key == "h" else ""
        values[metric.key] = Cell(row.figures[name], digits=digits, mark=mark)
    recomputed = None if math.isnan(row.h_recomputed) else round(row.h_recomputed, 4)
    backbone = Cell(row.finetuned, "fine-tuned" if row.finetuned else "frozen")
    return {**values, "h_recomputed": Cell(recomputed, digits=2), "finetuned": backbone}
