"""What a report is of: a suite, named runs, or all that a store holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zslbench.experiment import Entry, Line, SuiteOutcome
from zslbench.report.alike import told_apart
from zslbench.report.results import label
from zslbench.store.record import RunRecord

_SELECTIONS = ("val", "last", "oracle")
_LONGEST = 60
"""Characters of what sets two lines of one method apart."""


def outcome_of_runs(records: Sequence[RunRecord], name: str, title: str) -> SuiteOutcome:
    """Any runs as a table: a line for each method, variant, reading, features and semantics.

    Unlike numbers never share a cell: where several runs of one seed differ in anything else, each has a line
    of its own that says what sets it apart.
    """
    lines: dict[str, Line] = {}
    cells: dict[tuple[str, str, str], dict[int, RunRecord]] = {}
    for record, line in _labelled(records):
        lines.setdefault(line.label, line)
        cells.setdefault((line.label, record.info.dataset, record.info.selection), {})[record.info.seed] = (
            record
        )
    datasets = tuple(sorted({record.info.dataset for record in records}))
    selections = tuple(one for one in _SELECTIONS if any(record.info.selection == one for record in records))
    seeds = tuple(sorted({record.info.seed for record in records}))
    ordered = sorted(lines.values(), key=lambda one: (one.group, one.label))
    entries = {
        (line.label, dataset, selection): _entry(
            cells.get((line.label, dataset, selection), {}), seeds, selection == selections[0]
        )
        for line in ordered
        for dataset in datasets
        for selection in selections
    }
    return SuiteOutcome(name, title, tuple(ordered), datasets, selections, seeds, entries)


def _entry(records: Mapping[int, RunRecord], seeds: Sequence[int], ranks: bool) -> Entry:
    """Nobody asked for a grid here: selections beside the one that ranks are not missed."""
    if not records:
        return Entry("missing", reason="not run") if ranks else Entry("not applicable")
    lacking = [seed for seed in seeds if seed not in records]
    told = f"not run with seed {', '.join(map(str, lacking))}" if lacking else ""
    return Entry("partial" if lacking else "done", dict(records), reason=told)


def _labelled(records: Sequence[RunRecord]) -> list[tuple[RunRecord, Line]]:
    by_place: dict[tuple[str, str, str], list[RunRecord]] = {}
    for record in records:
        by_place.setdefault((label(record), record.info.dataset, record.info.selection), []).append(record)
    found = []
    for (name, _, _), members in by_place.items():
        for differs, same in told_apart(members):
            text = f"{name} · {differs}" if differs else name
            text = (
                text
                if len(differs) <= _LONGEST
                else f"{name} · {differs[:_LONGEST]}… ({same[0].info.id[:6]})"
            )
            found += [(record, _line(record, text)) for record in same]
    return found


def _line(record: RunRecord, text: str) -> Line:
    info = record.info
    group = str(record.environment.get("group") or "")
    return Line(text, info.method, info.variant, info.reading, group)
