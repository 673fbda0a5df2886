"""What the table of a suite says: ranks, differences from the best, and what single choices are worth.

Each finding is a table with its own notes; :func:`suite_findings` has those that a suite's runs allow. All
use the selection that is ranked; values are in percent. A closed-form method gives one figure whatever the
seed, so its single run stands for every seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations, product
from typing import Any, TypeVar

from zslbench.data.split_sets import whole_name
from zslbench.evaluation.metrics import METRICS, Metric, criteria
from zslbench.evaluation.selection import uses_test_images
from zslbench.experiment.published import PublishedResults, PublishedRow
from zslbench.experiment.suites.cells import SuiteOutcome
from zslbench.experiment.suites.lines import Line
from zslbench.plugin.presets import flatten
from zslbench.report.figures import SeedValues, is_closed_form, marked, ranking_notes, word_list
from zslbench.report.orders import RANKS_NOTE, Rank, order_agreement, ranks
from zslbench.report.over_splits import units
from zslbench.report.published import PublishedCells
from zslbench.report.results import (
    dataset_label,
    mark_notes,
    ranking_key,
    selection_label,
    trust_mark,
)
from zslbench.report.statistics import Ranking, against_best, interval
from zslbench.report.tables.model import Cell, Column, Row, Table, as_table, signed
from zslbench.store.record import RunRecord

RANKED = tuple(METRICS[key] for key in ("h", "h_cal", "acc"))
"""Plain H, beside it H with an offset from validation, and Acc."""

VALIDATION = replace(METRICS["h"], key="val_h", name="H on validation")
"""What records have under ``val_h``: H of the schedule and the settings that validation chose."""

CLOSED_NOTE = "closed-form methods do not depend on the seed: their one figure counts for every seed"

Values = Mapping[Any, float]
"""By seed, or by split; empty: something is missing."""


def suite_findings(outcome: SuiteOutcome, counterparts: Mapping[str, str] | None = None) -> list[Table]:
    """All findings that the runs of a suite allow, a table each.

    Args:
        counterparts: published data sets that stand for the suite's own, ``{"cub2010": "cub"}``.
    """
    return [
        table
        for table in (
            ranks_table(outcome),
            differences_table(outcome),
            calibration_table(outcome),
            *(leak_table(outcome, one) for one in outcome.selections[1:] if uses_test_images(one)),
            settings_table(outcome),
            *agreement_tables(outcome, counterparts or {}),
        )
        if table is not None and table.rows
    ]


def seed_values(
    outcome: SuiteOutcome, label: str, column: str, metric: Metric, selection: str | None = None
) -> Values:
    """A line's figures in a column of the table, under the selection that is ranked or another; empty if a
    seed, or the figure of one, is missing."""
    records = outcome.entry(label, column, selection or outcome.selections[0]).records
    of = SeedValues.of(records, metric, *units(outcome, column))
    if of.partial or not all(map(math.isfinite, of.values.values())):
        return {}
    if of.unit == "seed" and len(records) == 1 and all(map(is_closed_form, records.values())):
        return dict.fromkeys(outcome.seeds, *of.values.values())
    return of.values


def _comparable(outcome: SuiteOutcome, column: str, metric: Metric) -> list[dict[str, Values]]:
    """Groups of lines that may be ranked together, with their figures; a line with no others to compare with
    is in none."""
    groups: dict[str | None, dict[str, Values]] = {}
    for line in outcome.lines:
        keys = {ranking_key(one) for one in _records(outcome, line, [column])}
        if len(keys) == 1 and (values := seed_values(outcome, line.label, column, metric)):
            groups.setdefault(keys.pop(), {})[line.label] = values
    return [of for key, of in groups.items() if key is not None and len(of) > 1]


def _records(outcome: SuiteOutcome, line: Line, columns: Iterable[str]) -> Iterator[RunRecord]:
    for column in columns:
        yield from outcome.entry(line.label, column, outcome.selections[0]).records.values()


# --- the form of the tables ----------------------------------------------------------------------

K = TypeVar("K")


def _per_dataset(
    outcome: SuiteOutcome,
    title: str,
    shown: Mapping[K, str],
    cell: Callable[[str, str, K], Cell | None],
    notes: Callable[[], Iterable[str]],
    rows: Mapping[str, Mapping[str, Any]] | None = None,
) -> Table | None:
    """A row for each line with any cell, or for each of ``rows``; data sets side by side. None: no cell.

    Args:
        shown: the columns below each data set, with their headers.
        cell: of a row's label, a data set and a column; None: empty.
        notes: called after all cells.
        rows: by label, the leading cells by the name of their column.
    """
    if rows is None:
        rows = {line.label: {"method": _name(outcome, line)} for line in outcome.lines}
    columns = [Column(("", name), name, numeric=False) for name in next(iter(rows.values()), ())]
    keys = {}
    for dataset in outcome.columns:
        label = dataset_label(dataset, outcome.records)
        for place, (of, header) in enumerate(shown.items()):
            columns.append(Column((label, header), f"{dataset}_{place}"))
            keys[columns[-1].key] = dataset, of
    groups = {line.label: line.group for line in outcome.lines}
    found = []
    for label, first in rows.items():
        cells = {key: cell(label, *where) for key, where in keys.items()}
        if any(cells.values()):
            found.append(Row.of(columns, {**first, **cells}, groups.get(label, "")))
    return Table(tuple(columns), tuple(found), title, tuple(notes())) if found else None


def _name(outcome: SuiteOutcome, line: Line) -> Cell:
    return Cell(line.label, mark=trust_mark(_records(outcome, line, outcome.columns)))


def _gain(a: Values, b: Values, metric: Metric) -> Cell | None:
    """The mean of a - b over the seeds that both have, with their deviation where they vary."""
    found = interval([a[seed] - b[seed] for seed in a if seed in b])
    spread = found.std or math.nan
    return Cell(found.mean, spread=spread, digits=metric.digits, signed=True) if found.n else None


GAIN_NOTE = "mean over seeds ± standard deviation of the differences, seed by seed"

# --- orders --------------------------------------------------------------------------------------


def suite_ranks(outcome: SuiteOutcome, column: str, metric: Metric) -> dict[str, Rank]:
    """The rank of each line with an interval, among the lines of a column that may be ranked together."""
    return {
        label: rank
        for of in _comparable(outcome, column, metric)
        for label, rank in ranks(of, higher=metric.higher_is_better).items()
    }


def ranks_table(outcome: SuiteOutcome) -> Table | None:
    """The rank of each method by plain H, by calibrated H and by Acc, each with its interval."""
    found = {(of, one): suite_ranks(outcome, of, one) for of in outcome.columns for one in RANKED}

    def cell(label: str, dataset: str, metric: Metric) -> Cell | None:
        rank = found[dataset, metric].get(label)
        return Cell(rank.rank, rank.text) if rank else None

    notes = (RANKS_NOTE, CLOSED_NOTE, *mark_notes(outcome.records))
    shown = {one: f"by {one.name}" for one in RANKED}
    return _per_dataset(outcome, "Ranks", shown, cell, lambda: notes)


def differences_table(outcome: SuiteOutcome) -> Table | None:
    """The difference of each method from the best of its column, paired over seeds, and whether it holds."""
    rankings: dict[tuple[str, str, Metric], Ranking] = {}
    for dataset, metric in product(outcome.columns, RANKED):
        for of in _comparable(outcome, dataset, metric):
            ranking = against_best(of, higher=metric.higher_is_better, unit=units(outcome, dataset)[1])
            rankings |= {(label, dataset, metric): ranking for label in of}

    def cell(label: str, dataset: str, metric: Metric) -> Cell | None:
        if (ranking := rankings.get((label, dataset, metric))) is None:
            return None
        one = ranking.verdicts[label]
        if (gap := one.paired) is None:
            return marked(Cell(0.0, "best"), label, ranking)
        between = f" ({signed(gap.low)} to {signed(gap.high)})" if math.isfinite(gap.low) else ""
        text = f"{signed(gap.difference)}{between}"
        return Cell(gap.difference, text, tied=one.state == "tied", note=one.reason)

    def notes() -> Iterator[str]:
        yield (
            "in brackets: the 95 % interval (Student's t) of the mean difference, paired over seeds and not "
            "corrected for the number of comparisons"
        )
        found = list(rankings.values())
        if any(one.comparisons for one in found):
            yield from ranking_notes(found)
        else:
            refused = dict.fromkeys(reason for one in found for reason in one.not_judged.values())
            yield f"no difference is judged: {word_list(refused, 3, '; ')}"
        yield CLOSED_NOTE

    title = "Differences from the best, in percentage points"
    return _per_dataset(outcome, title, {one: one.name for one in RANKED}, cell, notes)


def agreement_tables(outcome: SuiteOutcome, counterparts: Mapping[str, str]) -> list[Table | None]:
    """How far the published order of the methods agrees with this one: Kendall's τ where at least five are
    published, and the figures behind it.

    If several lines have the same method, the first counts; variants and compositions have no published row
    of their own.
    """
    results, cells = PublishedResults.load(), PublishedCells(outcome.published_source)
    rows: dict[tuple[str, str], tuple[PublishedRow, str, str]] = {}
    """By label and data set, with the semantics and features of our run."""
    lines: dict[str, Line] = {}
    for line in outcome.lines:
        if line.variant is None and not line.components and any(_records(outcome, line, outcome.columns)):
            lines.setdefault(line.method, line)
    for line, dataset in product(lines.values(), outcome.columns):
        if record := next(_records(outcome, line, [dataset]), None):
            inputs = str(record.data["semantics"]), str(record.data["features"])
            name, of = line.published or line.method, counterparts.get(dataset, whole_name(dataset))
            if row := results.find(name, of, outcome.published_source, semantics=inputs[0]):
                rows[line.label, dataset] = row, *inputs

    def mean(label: str, dataset: str, metric: Metric) -> float:
        return interval(seed_values(outcome, label, dataset, metric).values()).mean

    taus = []
    h, h_cal, acc = RANKED
    for dataset, (printed, ours) in product(outcome.columns, [(h, h), (h, h_cal), (acc, acc)]):
        theirs = {
            label: row.figures[printed.name] for (label, at), (row, *_) in rows.items() if at == dataset
        }
        found = order_agreement(theirs, {label: mean(label, dataset, ours) for label in theirs})
        if math.isfinite(found.low):
            taus.append(
                {
                    "data set": dataset,
                    "published": f"{printed.name} on {counterparts.get(dataset, dataset)}",
                    "here": ours.name,
                    "methods": found.n,
                    "τ": Cell(found.mean, digits=2, signed=True),
                    "95 % interval": f"{signed(found.low, 2)} to {signed(found.high, 2)}",
                }
            )
    if not taus:
        return []

    def cell(label: str, dataset: str, of: tuple[Metric, bool]) -> Cell | None:
        metric, published = of
        if (found := rows.get((label, dataset))) is None:
            return None
        if published:
            return cells.figure(label, found[0], metric, *found[1:])
        return Cell(mean(label, dataset, metric), digits=metric.digits)

    shown = {
        (one, printed): f"{one.name} {'published' if printed else 'here'}"
        for one, printed in product((acc, h), (True, False))
    }
    table = as_table(taus, title="Agreement of the published order with this one (Kendall's τ)")
    note = (
        "95 % interval: percentile bootstrap over methods, as if they were a sample of methods; it does not "
        "cover what other seeds would change, here or in the papers"
    )
    return [
        replace(table, notes=(note,)),
        _per_dataset(outcome, "The published figures and those here", shown, cell, cells.notes),
    ]


# --- what a choice is worth ----------------------------------------------------------------------


def calibration_table(outcome: SuiteOutcome) -> Table | None:
    """What calibrated stacking is worth: H with an offset from validation minus plain H, for each method."""
    plain, calibrated = METRICS["h"], METRICS["h_cal"]

    def cell(label: str, dataset: str, metric: Metric) -> Cell | None:
        a, b = (seed_values(outcome, label, dataset, one) for one in (calibrated, plain))
        return _gain(a, b, metric)

    offset = "the offset is chosen on validation and subtracted from the scores of seen classes"
    notes = (GAIN_NOTE, offset, *mark_notes(outcome.records))
    title = "What calibrated stacking is worth: H_cal − H, in percentage points"
    return _per_dataset(outcome, title, {plain: "H_cal − H"}, cell, lambda: notes)


def leak_table(outcome: SuiteOutcome, selection: str = "oracle") -> Table | None:
    """What selection on test images adds to each method's figures; None: the suite does not run it."""
    first = outcome.selections[0]
    if selection not in outcome.selections[1:]:
        return None

    def cell(label: str, dataset: str, metric: Metric) -> Cell | None:
        a, b = (seed_values(outcome, label, dataset, metric, one) for one in (selection, first))
        return _gain(a, b, metric)

    chosen = "Acc and H each have the epoch and the settings that are best for it on the test images"
    shown = {one: one.name for one in criteria()}
    title = f"What test images leak: {selection_label(selection)} − {first}, in percentage points"
    return _per_dataset(outcome, title, shown, cell, lambda: (GAIN_NOTE, chosen))


def settings_table(outcome: SuiteOutcome) -> Table | None:
    """What single settings are worth: pairs of a method's lines that differ in one setting or input."""
    facts = {
        (line.label, dataset): _facts(record)
        for line, dataset in product(outcome.lines, outcome.columns)
        for record in _records(outcome, line, [dataset])
    }
    pairs: dict[str, tuple[str, str]] = {}
    rows: dict[str, dict[str, str]] = {}
    for one, other in combinations(outcome.lines, 2):
        apart = {
            frozenset(a.items() ^ b.items())
            for dataset in outcome.columns
            if one.method == other.method
            and (a := facts.get((one.label, dataset))) is not None
            and (b := facts.get((other.label, dataset))) is not None
        }
        names = {name for pair in apart for name, _ in pair}
        if len(apart) == len(names) == 1:
            name = names.pop()
            label = f"{other.label} − {one.label}"
            pairs[label] = other.label, one.label
            after, before = (
                next(of[name] for (at, _), of in facts.items() if at == line) for line in pairs[label]
            )
            rows[label] = {"lines": label, "setting": f"{name} = {after} instead of {before}"}

    def cell(label: str, dataset: str, metric: Metric) -> Cell | None:
        a, b = (seed_values(outcome, one, dataset, metric) for one in pairs[label])
        return _gain(a, b, metric)

    notes = (GAIN_NOTE, "everything else is the same for both lines")
    title = "What single settings are worth, in percentage points"
    shown = {one: one.name for one in (VALIDATION, *RANKED)}
    return _per_dataset(outcome, title, shown, cell, lambda: notes, rows)


def _facts(record: RunRecord) -> dict[str, str]:
    """What a run computed, whatever its data set, seed and versions: components, settings, inputs by name."""
    identity, data = record.info.identity, record.data
    found = {**flatten(identity["settings"]), **dict.fromkeys(identity.get("search", ()), "searched")}
    found |= {kind: name for kind, name in identity["components"].items() if kind != "dataset"}
    found |= {name: data[name] for name in ("features", "semantics")}
    found |= {
        "regions": (data.get("regions") or {}).get("name"),
        "transductive": identity.get("transductive"),
    }
    return {name: str(value) for name, value in found.items()}
