"""The cells of a suite (a line on a data set under a selection with a seed: one run), and their states.

``<store>/cells/<cell id>.json`` says which run a cell has, or the error it ended with. Each file is written
whole, so any number of processes may write at once; of two that write the same cell the last wins. The files
only point to runs: if a run is gone its cell is missing, and a cell without a file finds its run by identity
as soon as the data are read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from zslbench.errors import ZslbenchError
from zslbench.evaluation.selection import Selection
from zslbench.experiment.job import requested, versions
from zslbench.experiment.recipe import Recipe
from zslbench.experiment.suites import Suite
from zslbench.experiment.suites.resolving import Line, Resolved, ResolvedSuite, resolve_suite
from zslbench.plugin.lookup import Registry
from zslbench.store.files import checked_json, parse_checked_json, write_whole
from zslbench.store.identity import run_id
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

if TYPE_CHECKING:
    from zslbench.training.step import Precision


CELL_FORMAT = 1
"""Raised when the meaning of a cell's definition changes."""

MEMORY_FORMAT = 1
CellState = Literal["run", "failed", "no data"]
_log = logging.getLogger("zslbench")


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell."""

    line: Line
    dataset: str
    selection: Selection
    seed: int
    resolved: Resolved
    precision: Precision = "float32"
    """Of matrix products; a cell in another precision is another cell."""

    @property
    def recipe(self) -> Recipe:
        """The recipe of a cell that can be computed."""
        assert self.resolved.recipe is not None
        return self.resolved.recipe

    @cached_property
    def id(self) -> str:
        """A hash of everything that the cell's figures depend on but the data and the machine.

        So it is known without reading a data set; an edited plugin makes a new cell.
        """
        precision = {} if self.precision == "float32" else {"precision": self.precision}
        return run_id(self.definition | precision | {"seed": self.seed, "versions": versions(self.recipe)})

    @cached_property
    def definition(self) -> dict[str, Any]:
        """What is computed, whatever the seed and the versions."""
        return {
            "format": CELL_FORMAT,
            **requested(self.recipe, self.selection),
            "files": asdict(self.resolved.files),
        }

    @property
    def label(self) -> str:
        """For readers: ``"sc-egg [paper] on toy, val, seed 0"``."""
        return f"{self.line.label} on {self.dataset}, {self.selection.mode}, seed {self.seed}"

    def facts(self) -> dict[str, Any]:
        """What it is, for readers of its files."""
        line = self.line
        return {
            "method": line.method, "variant": line.variant, "reading": line.reading,
            "dataset": self.dataset, "selection": self.selection.mode, "seed": self.seed,
        }  # fmt: skip


def cells(resolved: ResolvedSuite, precision: Precision = "float32") -> Iterator[Cell]:
    """Every cell in the order of computing.

    One data set after the other, seed by seed, so that a whole column of one seed is there early.
    """
    suite = resolved.suite
    for dataset in suite.datasets:
        for seed in suite.seeds:
            for mode in suite.selections:
                for line in resolved.lines:
                    place = resolved.places[line.label, dataset]
                    selection = Selection(mode, place.every)  # type: ignore[arg-type]
                    yield Cell(line, dataset, selection, seed, place, precision)


@dataclass(frozen=True)
class Memory:
    """What is known of a cell."""

    state: CellState
    """``run``: it has one; ``failed``; ``no data``: the data set was not there."""
    run: str | None = None
    """The run's id."""
    message: str = ""
    """The error, or what is missing."""
    data: str | None = None
    """Digest of the data that it failed on; None: they could not be read."""
    when: str = ""
    """UTC."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Method, data set, seed and so on, and the versions of everything that took part; for people."""


class CellMemory:
    """What a store remembers of cells.

    Args:
        store: the folder ``cells`` in it is made when something is first remembered.
    """

    def __init__(self, store: Store) -> None:
        self.folder = store.root / "cells"

    def find(self, cell: str) -> Memory | None:
        """What is known of a cell; None: nothing. A damaged file is moved away with a warning."""
        path = self.folder / f"{cell}.json"
        try:
            content = parse_checked_json(path.read_bytes())
            if content.pop("format") != MEMORY_FORMAT or content.pop("cell") != cell:
                raise ValueError("it belongs to another cell, or has another format")
            found = Memory(**content)
            if found.state not in get_args(CellState) or (found.state == "run") != isinstance(found.run, str):
                raise ValueError(f"state {found.state!r} with run {found.run!r}")
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("%s: cannot be read (%s); the cell is looked up by its run", path, error.strerror)
            return None
        except (ValueError, KeyError, TypeError) as error:
            _move_away(path, error)
            return None
        return found

    def remember(self, cell: str, memory: Memory) -> None:
        """Replace what is known of a cell.

        Raises:
            ZslbenchError: it cannot be written.
        """
        when = memory.when or datetime.now(UTC).isoformat(timespec="seconds")
        content = {"format": MEMORY_FORMAT, "cell": cell, **asdict(memory), "when": when}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / f"{cell}.json", checked_json(content))
        except OSError as error:
            raise ZslbenchError(
                f"{self.folder}: cannot be written ({error.strerror or error}); free space, set permissions, "
                "or use another store (--store, ZSLBENCH_STORE)"
            ) from error


def _move_away(path: Path, error: Exception) -> None:
    target = path.parent.with_name("damaged") / f"cell-{path.stem}.{os.getpid()}.{secrets.token_hex(4)}.json"
    with contextlib.suppress(OSError):  # in a store that this user may only read, it stays
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    _log.warning(
        "%s: damaged (%s) and set aside in %s; the cell is looked up by its run", path, error, target
    )


EntryState = Literal["done", "partial", "failed", "missing", "no data", "no plugin", "not applicable"]
"""``partial``: some seeds are there; ``failed``: none is and one ended with an error; ``missing``: not run;
``no data``: the data set is not on this machine; ``no plugin``: nobody registered the method; ``not
applicable``: the method does not do this, as an oracle selection of a closed form."""


@dataclass(frozen=True)
class Entry:
    """One line on one data set under one selection."""

    state: EntryState
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
    state: EntryState = "partial" if records else "failed" if failures else "no data" if absent else "missing"
    if failures:
        reason = "; ".join(f"seed {seed}: {message}" for seed, message in failures.items())
    else:
        reason = absent or f"not run: seed {', '.join(missing)}"
    return Entry(state, records, failures, reason)
