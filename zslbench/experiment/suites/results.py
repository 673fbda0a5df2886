"""What a store has of a suite: reads run records and remembered cells, opens no data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zslbench.experiment.suites.cells import Cell, CellMemory, cells
from zslbench.experiment.suites.resolving import Line, ResolvedSuite, resolve_suite
from zslbench.experiment.suites.suite import Suite
from zslbench.plugin.lookup import Registry
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

if TYPE_CHECKING:
    from zslbench.training.precision import Precision

State = Literal["done", "partial", "failed", "missing", "no data", "no plugin", "not applicable"]
"""``partial``: some seeds are there; ``failed``: none is and one ended with an error; ``missing``: not run;
``no data``: the data set is not on this machine; ``no plugin``: nobody registered the method; ``not
applicable``: the method does not do this, as an oracle selection of a closed form."""


@dataclass(frozen=True)
class Entry:
    """One line on one data set under one selection."""

    state: State
    records: Mapping[int, RunRecord] = field(default_factory=dict)
    """Finished runs by seed."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Messages of seeds that ended with an error."""
    reason: str = ""
    """One line that says why runs are missing."""


@dataclass(frozen=True)
class SuiteOutcome:
    """Everything that tables and reports of a suite show."""

    name: str
    title: str
    lines: tuple[Line, ...]
    datasets: tuple[str, ...]
    """Names of data sets, in the order of the table's columns."""
    selections: tuple[str, ...]
    """``val``, ``last`` and ``oracle``, those that the suite runs; the first one ranks."""
    seeds: tuple[int, ...]
    entries: Mapping[tuple[str, str, str], Entry]
    """By label of a line, data set and selection; one for every combination."""
    published_source: str | None = None
    """The source whose published numbers go before others, as ``SC-EGG IJCAI-22 Table 1``."""
    remarks: tuple[str, ...] = ()
    """What else a reader must know, a line each."""

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """All finished runs, in the order of the table."""
        return tuple(record for entry in self.entries.values() for record in entry.records.values())


def suite_outcome(
    suite: Suite, store: Store, registry: Registry, *, data_root: str | Path | None = None
) -> SuiteOutcome:
    """What the store has of a suite, in float32.

    Args:
        data_root: where data sets are that are folders and not registered by a plugin.

    Raises:
        SettingsError: the suite asks for something that its methods do not have.
    """
    return gather(resolve_suite(suite, registry, data_root), store)


def gather(
    resolved: ResolvedSuite, store: Store, remarks: Iterable[str] = (), precision: Precision = "float32"
) -> SuiteOutcome:
    """The same of a resolved suite, with further remarks, in this precision."""
    suite, memory = resolved.suite, CellMemory(store)
    by_entry: dict[tuple[str, str, str], list[Cell]] = {
        (line.label, dataset, mode): []
        for line in resolved.lines
        for dataset in suite.datasets
        for mode in suite.selections
    }
    for cell in cells(resolved, precision):
        by_entry[cell.line.label, cell.dataset, cell.selection.mode].append(cell)
    return SuiteOutcome(
        name=suite.name,
        title=suite.title,
        lines=resolved.lines,
        datasets=suite.datasets,
        selections=suite.selections,
        seeds=suite.seeds,
        entries={key: _entry(found, store, memory) for key, found in by_entry.items()},
        published_source=suite.definition.published_source,
        remarks=(*resolved.remarks, *remarks),
    )


def _entry(seeds: Sequence[Cell], store: Store, memory: CellMemory) -> Entry:
    place = seeds[0].resolved
    if place.state != "ok":
        return Entry(place.state, reason=place.reason)
    records: dict[int, RunRecord] = {}
    failures: dict[int, str] = {}
    absent = ""
    for cell in seeds:
        known = memory.find(cell.id)
        if known is None:
            continue
        if known.state == "failed":
            failures[cell.seed] = known.message
        elif known.state == "no data":
            absent = known.message
        elif known.run is not None and (record := store.find(known.run)) is not None:
            records[cell.seed] = record
    missing = [str(cell.seed) for cell in seeds if cell.seed not in records]
    if not missing:
        return Entry("done", records)
    state: State = "partial" if records else "failed" if failures else "no data" if absent else "missing"
    if failures:
        reason = "; ".join(f"seed {seed}: {message}" for seed, message in failures.items())
    else:
        reason = absent or f"not run: seed {', '.join(missing)}"
    return Entry(state, records, failures, reason)
