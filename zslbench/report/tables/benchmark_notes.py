"""Title and notes of a suite's table."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from zslbench.report.results import ORACLE_NOTE, is_simulated
from zslbench.report.tables.figures import words
from zslbench.report.tables.printed import Printed
from zslbench.report.tables.ranking import Ranks, notes as ranking_notes
from zslbench.suites.outcome import SuiteOutcome

SELECTED = {
    "val": "val: epochs and hyper-parameters from validation classes inside the training images",
    "last": "last: schedule and hyper-parameters as given, nothing selected",
    "oracle": ORACLE_NOTE,
}


def title(outcome: SuiteOutcome, *, intervals: bool) -> str:
    """What the table is, its unit and what stands behind ±."""
    count = len(outcome.seeds)
    spread = "half of the 95 % interval" if intervals else "std"
    seeds = f", mean ± {spread} over {count} seeds" if count > 1 else ", one seed"
    return f"{outcome.title or outcome.name}: per-class accuracy in %{seeds}"


def notes(
    outcome: SuiteOutcome,
    selections: Collection[str],
    ranked: Iterable[Ranks],
    printed: Printed,
    *,
    intervals: bool,
) -> list[str]:
    """A sentence each: selection, ranking, seeds, what is published, what is missing, the runs' inputs."""
    lines = [SELECTED[selection] for selection in selections]
    lines += ranking_notes(ranked)
    lines += _partial(outcome, selections)
    if intervals:
        lines.append("no ± where seeds give no interval: one seed, or the same figure for each")
    lines += printed.notes()
    lines += _missing(outcome, selections)
    lines += _inputs(outcome)
    lines += outcome.remarks
    return lines


def _partial(outcome: SuiteOutcome, selections: Collection[str]) -> list[str]:
    entries = [one for key, one in outcome.entries.items() if key[2] in selections]
    if not any(one.state == "partial" for one in entries):
        return []
    return [f"(n): the mean of n of the {len(outcome.seeds)} seeds, ranked with no other"]


def _missing(outcome: SuiteOutcome, selections: Collection[str]) -> list[str]:
    """What is missing by its reason: a method without plugin is told once, whatever the data sets."""
    found: dict[tuple[str, str], list[str]] = {}
    for (label, dataset, selection), entry in outcome.entries.items():
        if selection not in selections or entry.state in ("done", "not applicable"):
            continue
        where = label if entry.state == "no plugin" else f"{label} on {dataset}"
        if entry.state == "no data":
            where = dataset
        elif entry.state != "no plugin" and len(outcome.selections) > 1:
            where += f" ({selection})"
        reason = "" if entry.state == "no plugin" else entry.reason
        found.setdefault((entry.state, reason), []).append(where)
    return [
        f"{state}: {words(where)}{f': {reason}' if reason else ''}"
        for (state, reason), where in found.items()
    ]


def _inputs(outcome: SuiteOutcome) -> list[str]:
    """What the runs read: figures on other features or semantics are not like."""
    found: dict[str, list[str]] = {}
    for (label, dataset, _), entry in outcome.entries.items():
        for record in entry.records.values():
            what = f"features {record.data['features']}, semantics {record.data['semantics']}"
            found.setdefault(what, []).append(f"{label} on {dataset}")
    lines = []
    if len(found) == 1:
        lines.append(f"our runs: {next(iter(found))}")
    elif found:
        told = (f"{what} ({words(where, 6)})" for what, where in found.items())
        lines.append(f"our runs differ in their inputs: {'; '.join(told)}")
    simulated = dict.fromkeys(one.info.dataset for one in outcome.records if is_simulated(one))
    if simulated:
        lines.append(f"simulated data, no real images: {words(simulated)}")
    return lines
