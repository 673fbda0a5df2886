"""What a store has of a suite: reads run records and the ledger, no data set, and computes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zslbench.experiment.suites.catalogue import Suite
from zslbench.experiment.suites.cells import Cell, cells
from zslbench.experiment.suites.ledger import Ledger
from zslbench.experiment.suites.outcome import Entry, State, SuiteOutcome
from zslbench.experiment.suites.resolving import ResolvedSuite, resolve_suite
from zslbench.plugin.lookup import Registry
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

if TYPE_CHECKING:
    from zslbench.training.precision import Precision


def suite_outcome(
    suite: Suite, store: Store, registry: Registry, *, data_root: str | Path | None = None
) -> SuiteOutcome:
    """What there is of a suite, in float32.

    Args:
        data_root: where data sets lie that are folders and not registered by a plugin.

    Raises:
        SettingsError: the suite asks for something that its methods do not have.
    """
    return outcome(resolve_suite(suite, registry, data_root), store)


def outcome(
    resolved: ResolvedSuite, store: Store, remarks: Iterable[str] = (), precision: Precision = "float32"
) -> SuiteOutcome:
    """The same of a suite that is resolved, with further remarks, in this precision."""
    suite, ledger = resolved.suite, Ledger(store)
    gathered: dict[tuple[str, str, str], list[Cell]] = {
        (line.label, dataset, mode): []
        for line in resolved.lines
        for dataset in suite.datasets
        for mode in suite.selections
    }
    for cell in cells(resolved, precision):
        gathered[cell.line.label, cell.dataset, cell.selection.mode].append(cell)
    return SuiteOutcome(
        name=suite.name,
        title=suite.title,
        lines=resolved.lines,
        datasets=suite.datasets,
        selections=suite.selections,
        seeds=suite.seeds,
        entries={key: _entry(found, store, ledger) for key, found in gathered.items()},
        published_source=suite.definition.published_source,
        remarks=(*resolved.remarks, *remarks),
    )


def _entry(of: Sequence[Cell], store: Store, ledger: Ledger) -> Entry:
    place = of[0].resolved
    if place.state != "ok":
        return Entry(place.state, reason=place.reason)
    records: dict[int, RunRecord] = {}
    failures: dict[int, str] = {}
    absent = ""
    for cell in of:
        known = ledger.find(cell.id)
        if known is None:
            continue
        if known.state == "failed":
            failures[cell.seed] = known.message
        elif known.state == "no data":
            absent = known.message
        elif known.run is not None and (record := store.find(known.run)) is not None:
            records[cell.seed] = record
    missing = [str(cell.seed) for cell in of if cell.seed not in records]
    if not missing:
        return Entry("done", records)
    state: State = "partial" if records else "failed" if failures else "no data" if absent else "missing"
    reason = "; ".join(
        [f"seed {seed}: {message}" for seed, message in failures.items()] or ([absent] if absent else [])
    ) or (f"not run: seed {', '.join(missing)}")
    return Entry(state, records, failures, reason)
