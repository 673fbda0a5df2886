"""Tables over several splits of one data set: what their figures are over, in words and numbers.

The unit is the split: figures are first averaged over the seeds of each split; means, deviations, intervals
and tests are over splits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zslbench.data.split_sets import in_natural_order, in_split_set
from zslbench.evaluation.metrics import METRICS
from zslbench.report.figures import SeedValues, complete_splits, word_list
from zslbench.report.results import selection_mark
from zslbench.report.statistics import Unit
from zslbench.report.tables.model import Cell, Table, as_table
from zslbench.store.record import RunRecord

if TYPE_CHECKING:
    from zslbench.experiment.suites.cells import Entry, SuiteOutcome

PARTIAL_NOTE = "over splits, (n): the mean over the n splits that have every seed, not ranked"


def units(outcome: SuiteOutcome, column: str) -> tuple[int, Unit]:
    """How many seeds or splits the figures in a column of the table should be over."""
    splits = outcome.split_sets.get(column)
    return (len(outcome.seeds), "seed") if splits is None else (len(splits), "split")


def split_notes(outcome: SuiteOutcome, entries: Mapping[tuple[str, str, str], Entry]) -> list[str]:
    """What the figures of each column over several splits are over, a sentence for each such column."""
    lines = []
    for column, splits in outcome.split_sets.items():
        by_count: dict[int, list[str]] = {}
        for (label, of, _), entry in entries.items():
            if of == column and entry.records:
                by_count.setdefault(counts(outcome, column, entry)["seeds"], []).append(label)
        if not by_count:
            continue
        usual, *others = sorted(by_count, key=lambda count: -len(by_count[count]))
        text = over_text(
            column, len(splits), "with one seed" if usual == 1 else f"averaged over {usual} seeds"
        )
        lines.append(text + "".join(f" ({count} for {word_list(by_count[count])})" for count in others))
        lines += filter(None, [unlike_splits(column, outcome.records)])
    return lines


def counts(outcome: SuiteOutcome, column: str, entry: Entry) -> dict[str, int]:
    """The numbers of ``seeds`` and, over several splits, of ``splits`` that an entry's figures are over."""
    if column not in outcome.split_sets:
        return {"seeds": len(entry.records)}
    found = complete_splits(entry.records)
    return {"splits": len(found), "seeds": len(next(iter(found.values()), ()))}


def over_seeds(outcome: SuiteOutcome, columns: Collection[str], spread: str = "std", alone: str = "") -> str:
    """The end of a title: what figures in these columns are over.

    Args:
        alone: what to say of a single seed.
    """
    count, mean = len(outcome.seeds), f"mean ± {spread} over"
    seeds = f", {mean} {count} seeds" if count > 1 else alone and f", {alone}"
    several = [one for one in columns if one in outcome.split_sets]
    if len(several) == len(columns):
        return f", {mean} splits"
    return f"{seeds} (on {', '.join(several)}: {mean} splits)" if several else seeds


def unlike_splits(column: str, records: Iterable[RunRecord]) -> str:
    """A note if data sets that share a column do not look like different splits of one data set; empty: they
    do."""
    found = [one for one in records if in_split_set(column, one.info.dataset)]
    of = [one.data for one in found]
    splits = {one.info.dataset: one.data.get("split_fingerprint") for one in found}
    twins = [name for name in splits if list(splits.values()).count(splits[name]) > 1 and splits[name]]
    if twins:
        names = ", ".join(in_natural_order(twins))
        return f"{column}: {names} divide the images alike, so they are not independent values"
    if all(len({one.get(name) for one in of}) <= 1 for name in ("images", "classes")):
        return ""
    return (
        f"{column}: these data sets differ in their numbers of images or classes; check that they are splits "
        "of one data set"
    )


def over_text(column: str, splits: int, how: str = "averaged over its seeds") -> str:
    """A sentence: what the figures in a column are over.

    Args:
        how: how the value of each split comes from its seeds.
    """
    over = f"mean, std, intervals and tests are over {splits_text(splits)}"
    return f"{column}: {over}, each {how}"


def splits_text(splits: int) -> str:
    """``"30 splits"``."""
    return f"{splits} split{'' if splits == 1 else 's'}"


def splits_table(column: str, records: Sequence[RunRecord], title: str = "") -> Table:
    """The runs of one method on several splits: a row per split with the means over its seeds, and a last row
    with mean ± standard deviation over the splits.

    Args:
        column: the name of the splits, such as ``hmdb51/*``.
        records: every split with the same seeds.
    """
    runs = {(one.info.dataset, one.info.seed): one for one in records}
    seeds = complete_splits(runs)
    values = {one: SeedValues.of(runs, one, unit="split") for one in METRICS.values()}
    found = {
        one for one, of in values.items() if not one.on_request and any(v == v for v in of.values.values())
    }
    shown = {one: of for one, of in values.items() if one.headline or one in found}
    mark = selection_mark(records[0])
    rows: list[dict[str, Any]] = [
        {
            "split": Cell(words=f"{split}{mark}"),
            "seeds": len(seeds[split]),
            **{one.name: Cell(of.values[split], digits=one.digits) for one, of in shown.items()},
        }
        for split in in_natural_order(seeds)
    ]
    means = {one.name: of.cell() for one, of in shown.items()}
    rows.append({"split": f"mean ± std over {splits_text(len(seeds))}{mark}", "seeds": None, **means})
    notes = filter(None, (over_text(column, len(seeds)), unlike_splits(column, records)))
    return replace(as_table(rows, title=title), notes=tuple(notes))
