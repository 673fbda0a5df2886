"""What a store has of a suite: the ledger of its cells, and the entries of its table.

The ledger, ``<store>/cells/<cell id>.json``, holds the run of each cell, or the error that it ended with.
Each file is written atomically, so any number of processes may write at once; of two that write one cell the
last wins. The files only point to runs: if a run is gone its cell is missing, and a cell without a file finds
its run by identity as soon as the data are read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

from zslbench.data.split_sets import columns_of
from zslbench.evaluation.candidates import TEST
from zslbench.experiment.job import versions
from zslbench.experiment.suites.definition import Suite
from zslbench.experiment.suites.lines import Cell, Line, Place, ResolvedSuite, computation, resolve_suite
from zslbench.plugin.lookup import Registry
from zslbench.store.files import checked_json, explained, parse_checked_json, write_atomically
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

LEDGER_FORMAT = 1
CellState = Literal["run", "failed", "no data"]
_log = logging.getLogger("zslbench")


@dataclass(frozen=True)
class CellRecord:
    """What the ledger has of a cell."""

    state: CellState
    """``run``: it has one; ``failed``; ``no data``: the data set was missing."""
    run: str | None = None
    """The run's id."""
    message: str = ""
    """The error, or what is missing."""
    data: str | None = None
    """Digest of the data that it failed on; None: they could not be read."""
    when: str = ""
    """UTC; empty: now."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Method, data set, seed and so on, and the versions of all code involved; for people."""


class Ledger:
    """The ledger of cells in a store; its folder is made when something is first written."""

    def __init__(self, store: Store) -> None:
        self.store, self.folder = store, store.root / "cells"

    def find(self, cell: str) -> CellRecord | None:
        """The record of a cell; None: there is none. A damaged file is moved away with a warning."""
        path = self.folder / f"{cell}.json"
        try:
            content = parse_checked_json(path.read_bytes())
            if content.pop("format") != LEDGER_FORMAT or content.pop("cell") != cell:
                raise ValueError("it belongs to another cell, or has another format")
            found = CellRecord(**content)
            if found.state not in get_args(CellState) or (found.state == "run") != isinstance(found.run, str):
                raise ValueError(f"state {found.state!r} with run {found.run!r}")
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("%s: cannot be read (%s); looking for the cell's run", path, error.strerror)
            return None
        except (ValueError, KeyError, TypeError) as error:
            unique = f"cell-{cell}.{os.getpid()}.{secrets.token_hex(4)}.json"
            target = self.folder.with_name("damaged") / unique
            with contextlib.suppress(OSError):  # in a read-only store it stays where it is
                target.parent.mkdir(exist_ok=True)
                path.rename(target)
            _log.warning("%s: damaged (%s), moved to %s; looking for the cell's run", path, error, target)
            return None
        return found

    def ids(self) -> frozenset[str]:
        """The cells that have a record."""
        with contextlib.suppress(OSError):
            return frozenset(one.removesuffix(".json") for one in os.listdir(self.folder))  # noqa: PTH208
        return frozenset()

    def write(self, cell: str, record: CellRecord) -> None:
        """Replace the record of a cell."""
        when = record.when or datetime.now(UTC).isoformat(timespec="seconds")
        content = {"format": LEDGER_FORMAT, "cell": cell, **asdict(record), "when": when}
        with explained(self.store.root, "write the run store"):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / f"{cell}.json", checked_json(content))


EntryState = Literal["done", "partial", "failed", "missing", "no data", "no plugin", "not applicable"]
"""``partial``: some seeds have finished; ``failed``: none has and one ended with an error; ``missing``: not
run; ``no data``: the data set is not on this machine; ``no plugin``: no plugin provides the method; ``not
applicable``: the method does not do this, as an oracle selection of a closed form, or the suite leaves it
out."""


_WORST_FIRST: tuple[EntryState, ...] = ("failed", "missing", "no data", "no plugin", "not applicable")


@dataclass(frozen=True)
class Entry:
    """An entry of a suite's table: one line on one data set under one selection."""

    state: EntryState
    records: Mapping[Any, RunRecord] = field(default_factory=dict)
    """Finished runs by seed; over several splits by data set and seed."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Messages of seeds that ended with an error."""
    reason: str = ""
    """Why runs are missing, one line."""


@dataclass(frozen=True)
class SuiteOutcome:
    """Everything that tables and reports of a suite show."""

    name: str
    title: str
    lines: tuple[Line, ...]
    datasets: tuple[str, ...]
    """Names of data sets, in the order of the table's columns."""
    selections: tuple[str, ...]
    """Which selections the suite runs; the first one ranks."""
    seeds: tuple[int, ...]
    entries: Mapping[Place, Entry]
    """By label of a line, data set and selection; one for every combination."""
    published_source: str | None = None
    """The source whose published figures are preferred, e.g. ``SC-EGG IJCAI-22 Table 1``."""
    remarks: tuple[str, ...] = ()
    """What else a reader must know, a line each."""
    split_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Data sets that share a column, by its name: ``hmdb51/*`` and its splits."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table: data sets, with one name such as ``hmdb51/*`` for several splits."""
        return tuple(dict.fromkeys(columns_of(self.datasets, self.split_sets).values()))

    def entry(self, line: str, column: str, selection: str) -> Entry:
        """The entry of a line in a column. Over splits, it has the runs of the splits that are done."""
        if column not in self.split_sets:
            return self.entries[line, column, selection]
        return _over_splits({one: self.entries[line, one, selection] for one in self.split_sets[column]})

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """All finished runs, in the order of the table."""
        return tuple(record for entry in self.entries.values() for record in entry.records.values())


def suite_outcome(
    suite: Suite, store: Store, registry: Registry, *, data_root: str | Path | None = None
) -> SuiteOutcome:
    """What a store has of a suite, in float32; ``data_root`` has data sets that no plugin registers.

    Raises:
        SettingsError: the suite asks for something that its methods do not have.
    """
    return stored_outcome(resolve_suite(suite, registry, data_root), store)


def stored_outcome(resolved: ResolvedSuite, store: Store, remarks: Iterable[str] = ()) -> SuiteOutcome:
    """What a store has of a resolved suite."""
    ledger = Ledger(store)

    def find(cell: Cell) -> RunRecord | CellRecord | None:
        known = ledger.find(cell.id)
        return store.find(known.run) if known is not None and known.run is not None else known

    found = _outcome(resolved, find, remarks)
    return replace(found, remarks=(*found.remarks, *_of_other_versions(resolved, found.entries)))


def recorded_outcome(
    suite: Suite, records: Iterable[RunRecord], registry: Registry, *, data_root: str | Path | None = None
) -> SuiteOutcome:
    """The outcome of a suite as far as these runs give it, whatever versions of the code computed them.

    A run fills a cell with the same method, settings, selection, seed and names of inputs. Of several, the
    newest counts, and all runs of an entry must have the same data and splits as its newest. Where the suite
    leaves features and regions to the data set, any will do. No data are read.

    Args:
        data_root: has the folders of data sets that no plugin registers; their names suffice.

    Raises:
        SettingsError: the suite asks for something that its methods do not have.
    """
    resolved = resolve_suite(suite, registry, data_root)
    computed: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda one: (one.finished, one.info.id), reverse=True):
        computed.setdefault(computation(record.info.identity), []).append(record)
    by_place: dict[Place, list[RunRecord]] = {}
    for cell in resolved.cells:
        if cell.resolved is not None and cell.place not in by_place:
            found = [one for one in computed.get(cell.computation, ()) if _reads(one, cell)]
            by_place[cell.place] = [one for one in found if _same_data(one, found[0])]

    def find(cell: Cell) -> RunRecord | None:
        return next((one for one in by_place[cell.place] if one.info.seed == cell.seed), None)

    return _outcome(resolved, find)


def _reads(record: RunRecord, cell: Cell) -> bool:
    """Whether a run read the inputs that the cell names, and computed in its precision."""
    files, data = cell.files, record.data
    regions = data.get("regions")
    return (
        record.info.identity["execution"]["precision"] == cell.precision
        and data.get("candidates", TEST) == (files.candidates or TEST)
        and data["semantics"] == (files.semantics or "att")
        and files.features in (None, data["features"])
        and (not regions or files.regions in (None, regions["name"]))
    )


def _same_data(one: RunRecord, other: RunRecord) -> bool:
    """Whether both have the same splits, and the same digests of the arrays that both name."""
    a, b = (record.info.identity["data"] for record in (one, other))
    arrays = a["arrays"].keys() & b["arrays"].keys()
    return all(a[key] == b[key] for key in ("split", "validation")) and all(
        a["arrays"][name] == b["arrays"][name] for name in arrays
    )


def _outcome(
    resolved: ResolvedSuite,
    find: Callable[[Cell], RunRecord | CellRecord | None],
    remarks: Iterable[str] = (),
) -> SuiteOutcome:
    suite = resolved.suite
    labels = [line.label for line in resolved.lines]
    by_place: dict[Place, list[Cell]] = {place: [] for place in product(labels, suite.datasets, suite.select)}
    for cell in resolved.cells:
        by_place[cell.place].append(cell)
    return SuiteOutcome(
        name=suite.name,
        title=suite.title,
        lines=resolved.lines,
        datasets=suite.datasets,
        selections=suite.select,
        seeds=suite.seeds,
        entries={place: _entry(seeds, find) for place, seeds in by_place.items()},
        published_source=suite.published_source,
        remarks=(*resolved.remarks, *remarks),
        split_sets=suite.split_sets,
    )


def _of_other_versions(resolved: ResolvedSuite, entries: Mapping[Place, Entry]) -> Iterator[str]:
    """A remark on runs that another version of the code computed, if there are any."""
    cells = {cell.place: cell for cell in resolved.cells if entries[cell.place].records}
    runs = [
        (record, versions(cell.recipe))
        for place, cell in cells.items()
        for record in entries[place].records.values()
    ]
    others = [record for record, here in runs if record.info.identity["versions"] != here]
    if others:
        sources = [one.environment.get("git") for one in others]
        names = dict.fromkeys(f"git {one['revision'][:7]}" if one else "no checkout" for one in sources)
        yield (
            f"{len(others)} of the {len(runs)} runs were computed by other versions of the code "
            f"({', '.join(names)})"
        )


def _over_splits(entries: Mapping[str, Entry]) -> Entry:
    """The entries of one line on several splits as one. A split that lacks a seed is left out, since means
    over different seeds are not comparable."""
    done = {split: one for split, one in entries.items() if one.state == "done"}
    left = {split: one for split, one in entries.items() if split not in done}
    records = {(split, seed): record for split, one in done.items() for seed, record in one.records.items()}
    if not left:
        return Entry("done", records)
    reasons: dict[str, list[str]] = {}
    for split, one in left.items():
        reasons.setdefault(one.reason or one.state, []).append(split)
    reason = "; ".join(f"{_listed(of)}: {text}" for text, of in reasons.items())
    states = {one.state for one in left.values()}
    begun = bool(done) or any(one.records for one in left.values())
    state = "partial" if begun else next(one for one in _WORST_FIRST if one in states)
    return Entry(state, records, reason=reason)


def _listed(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _entry(seeds: Sequence[Cell], find: Callable[[Cell], RunRecord | CellRecord | None]) -> Entry:
    if not seeds:
        return Entry("not applicable", reason="the suite does not run this line here")
    if seeds[0].resolved is None:
        state: EntryState = "no data" if seeds[0].status == "no data" else "no plugin"
        return Entry(state, reason=seeds[0].reason)
    records: dict[int, RunRecord] = {}
    failures: dict[int, str] = {}
    absent = ""
    for cell in seeds:
        found = find(cell)
        if isinstance(found, RunRecord):
            records[cell.seed] = found
        elif found is not None and found.state == "failed":
            failures[cell.seed] = found.message
        elif found is not None:
            absent = found.message
    missing = [str(cell.seed) for cell in seeds if cell.seed not in records]
    if not missing:
        return Entry("done", records)
    reason = "; ".join(f"seed {seed}: {message}" for seed, message in failures.items())
    reason = reason or absent or f"not run: seed {', '.join(missing)}"
    state = "partial" if records else "failed" if failures else "no data" if absent else "missing"
    return Entry(state, records, failures, reason)
