"""Title and notes of a suite's table."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from zslbench.experiment.suites.results import SuiteOutcome
from zslbench.report.results import ORACLE_NOTE, is_simulated
from zslbench.report.tables.figures import places, words
from zslbench.report.tables.printed import Printed
from zslbench.report.tables.ranking import Ranks, notes as ranking_notes

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
    ran = {selection for (_, _, selection), entry in outcome.entries.items() if entry.records}
    lines = [SELECTED[selection] for selection in selections if selection in ran]
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
    """What is missing, by state and reason: a method without plugin is told once, whatever the data sets."""
    selected: dict[tuple[str, str], list[str]] = {}
    for (label, dataset, selection), entry in outcome.entries.items():
        if selection in selections and entry.state not in ("done", "not applicable"):
            selected.setdefault((label, dataset), []).append(selection)
    found: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for (label, dataset), missing in selected.items():
        for selection in missing:
            entry = outcome.entries[label, dataset, selection]
            alike = [one for one in missing if outcome.entries[label, dataset, one].reason == entry.reason]
            told = f" ({', '.join(alike)})" if len(selections) > 1 else ""
            if entry.state in ("no plugin", "no data"):
                told = ""
            reason = "" if entry.state == "no plugin" else entry.reason
            where = found.setdefault((entry.state, told, reason), [])
            if (label, dataset) not in where:
                where.append((label, dataset))
    return [
        f"{state}{told}: {_where(state, where)}{f': {reason}' if reason else ''}"
        for (state, told, reason), where in found.items()
    ]


def _where(state: str, found: Collection[tuple[str, str]]) -> str:
    if state == "no plugin":
        return words(label for label, _ in found)
    return words(dataset for _, dataset in found) if state == "no data" else places(found)


def _inputs(outcome: SuiteOutcome) -> list[str]:
    """What the runs read: figures on other features or semantics are not like."""
    found: dict[str, dict[str, list[str]]] = {}
    for (label, dataset, _), entry in outcome.entries.items():
        for record in entry.records.values():
            what = f"features {record.data['features']}, semantics {record.data['semantics']}"
            found.setdefault(dataset, {}).setdefault(what, []).append(label)
    lines = []
    alike: dict[str, list[str]] = {}
    for dataset, inputs in found.items():
        if len(inputs) == 1:
            alike.setdefault(next(iter(inputs)), []).append(dataset)
        else:
            told = (f"{what} ({words(labels, 6)})" for what, labels in inputs.items())
            lines.append(f"our runs on {dataset} differ in their inputs: {'; '.join(told)}")
    lines += [f"our runs on {words(datasets)}: {what}" for what, datasets in alike.items()]
    simulated = dict.fromkeys(one.info.dataset for one in outcome.records if is_simulated(one))
    return [*lines, *([f"simulated data, no real images: {words(simulated)}"] if simulated else [])]
