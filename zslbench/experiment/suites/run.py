"""Plans a suite (what it still needs, and how long that will take) and runs it cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from zslbench.errors import DataError, Interrupted, MissingData, SettingsError, ZslbenchError, memory_shortage
from zslbench.experiment.datasets import DatasetCache
from zslbench.experiment.events import Display, Quiet, tracked
from zslbench.experiment.execution import JobResult, compute_group
from zslbench.experiment.job import Job, lift_key, replicas_for, versions
from zslbench.experiment.options import RunOptions
from zslbench.experiment.suites.cells import CellRecord, CellState, Ledger, SuiteOutcome, stored_outcome
from zslbench.experiment.suites.costs import Costs
from zslbench.experiment.suites.definition import Suite, as_list, find_suite
from zslbench.experiment.suites.executor import RunExecutor, requested_executor
from zslbench.experiment.suites.group_state import GroupState
from zslbench.experiment.suites.lines import PENDING, Cell, ResolvedSuite, Status, resolve_suite
from zslbench.experiment.suites.reuse import by_figures, figures_key
from zslbench.experiment.suites.splits import with_splits
from zslbench.experiment.suites.submission import PlannedCell, PlannedGroup, Submission
from zslbench.plugin.boundary import one_line
from zslbench.plugin.lookup import Registry
from zslbench.store.identity import run_id, run_ids
from zslbench.store.record import RunRecord


class Watcher:
    """Follows the cells of a suite that runs; these methods do nothing."""

    def planned(self, bench: Bench) -> None:
        """Before the first run."""

    def started(self, cell: Cell, left: float | None) -> None:
        """A cell begins; ``left``: estimated seconds to the end of the suite; None: unknown."""

    def progressed(self, cell: Cell, stage: str, epoch: int, epochs: int) -> None:
        """A worker process trains a cell, or several of which this is the first."""

    def ended(self, cell: Cell, left: float | None) -> None:
        """A cell ended; its status is ``done``, ``failed`` or, of what another process computes or has
        computed, ``running elsewhere`` or ``found``."""


def prepare(
    suite: str | Path | Mapping[str, Any] | Suite,
    registry: Registry,
    across_lines: bool = False,
    dry_run: bool = False,
    force: bool = False,
    *,
    methods: str | Sequence[str] | None = None,
    datasets: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    select: str | Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: str | Sequence[str] | None = None,
    only_missing: bool = False,
    retry_failed: bool = False,
    any_version: bool = False,
    display: Display | None = None,
    **options: Any,
) -> Bench:
    """Resolve and plan a suite; :meth:`Bench.run` of the result computes it.

    Arguments and errors are those of :func:`zslbench.bench`; ``across_lines`` and ``force`` are those of
    :class:`Bench`. With ``dry_run`` nothing will be computed, so the store need not be writable.
    """
    run = RunOptions(**options)
    executor = requested_executor(run, registry)
    if only_missing and retry_failed:
        raise SettingsError(
            "--only-missing leaves failed cells alone and --retry-failed runs them: choose one"
        )
    whole = with_splits(suite if isinstance(suite, Suite) else find_suite(suite), registry, run.data_root)
    narrowed = whole.narrowed(
        methods=as_list(methods), datasets=as_list(datasets), seeds=seeds, select=as_list(select)
    )
    if settings or preset:
        narrowed = narrowed.overridden(settings or {}, preset)
    with stoppable(lambda: "stopped before the first run"):
        bench = Bench(
            narrowed,
            registry,
            run if executor is None else executor.worker_options(),
            display or Quiet(),
            only_missing,
            retry_failed,
            across_lines,
            force,
            any_version=any_version,
            executor=executor,
        )
        if not dry_run:
            bench.store.prepare()
        bench.plan()
    return bench


@dataclass(frozen=True)
class _Planned:
    """What cells that differ only in their seed have in common."""

    identity: Mapping[str, Any]
    run: Callable[[int], str]
    """The id of the run with a seed."""
    data: str
    """Digest of the data."""


_LEDGER_STATES: Mapping[Status, CellState] = {
    "found": "run",
    "done": "run",
    "failed": "failed",
    "cannot run": "failed",
    "no data": "no data",
}


class Bench:
    """A suite that is ready to run.

    Args:
        across_lines: whether cells of several lines may be trained together, where their recipes allow it.
        force: whether to compute runs again that are in the store.
        any_version: whether finished runs of other versions of the code count.
        executor: where to compute; None: in this process.
        group: a resolved part of the suite, whose cells are one group; None: the whole suite.
        datasets: those that are in memory already.
    """

    def __init__(
        self,
        suite: Suite,
        registry: Registry,
        options: RunOptions,
        display: Display,
        only_missing: bool = False,
        retry_failed: bool = False,
        across_lines: bool = False,
        force: bool = False,
        *,
        any_version: bool = False,
        executor: RunExecutor | None = None,
        group: ResolvedSuite | None = None,
        datasets: DatasetCache | None = None,
    ) -> None:
        self.registry, self.options, self.display = registry, options, display
        self.only_missing, self.retry_failed, self.across_lines = only_missing, retry_failed, across_lines
        self.force, self.executor, self._group = force, executor, group
        self.store, self.mode = options.open_store(), options.mode(executor is not None and executor.remote)
        self.resolved = group or resolve_suite(suite, registry, options.data_root, self.mode.precision)
        self.computed = 0
        """Number of runs that were computed, here or by workers."""
        self._done, self._watcher = 0, Watcher()
        self._started: set[Cell] = set()
        """Those that workers have begun."""
        self._by_key: dict[tuple[str, str, str, int], Cell] = {}
        self._datasets = datasets or DatasetCache(options.data_root, display.say, options.store_check)
        self._ledger = Ledger(self.store)
        self._costs = Costs(self.store, self.mode)
        self._listed: dict[str, frozenset[str]] = {}
        """Names of what the store has, by kind (see :meth:`plan`); empty: it was not listed."""
        self._of_any_version = by_figures(self.store.records()) if any_version and not force else {}
        self._identities: dict[tuple[Cell, int], _Planned] = {}
        self._ended: dict[Cell, JobResult] = {}
        """Cells that were computed together with an earlier one."""
        if group is not None:
            for cell in group.cells:
                cell.group = group.cells

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells in the order of computing."""
        return self.resolved.cells

    @property
    def pending(self) -> tuple[Cell, ...]:
        """The cells still to be computed."""
        return tuple(cell for cell in self.cells if cell.status in PENDING)

    # --- planning --------------------------------------------------------------------------------

    def plan(self) -> None:
        """Decide what is to be done about each cell. Reads the data sets, one after the other."""
        self._form_groups()
        if self._group is None:  # three listings instead of thousands of lookups
            self._listed = {
                "runs": self.store.ids(),
                "begun": self.store.begun(),
                "cells": self._ledger.ids(),
            }
        faults: dict[int, Exception] = {}
        for cell in self.cells:
            if cell.resolved is not None:
                self._decide(cell, faults)
        if self._group is None:  # the worker of a group estimates nothing
            self._costs.learn(self.cells)
            for cell in self.pending:
                cell.seconds = self._costs.known(cell)

    def _form_groups(self) -> None:
        families: dict[Hashable, list[Cell]] = {}
        for cell in self.cells:
            if cell.resolved is not None and not cell.group:
                same = lift_key(cell.recipe) if self.across_lines else cell.line.label
                families.setdefault((cell.dataset, cell.selection.mode, same), []).append(cell)
        place_of = {line.label: place for place, line in enumerate(self.resolved.lines)}
        for family in families.values():
            family.sort(key=lambda cell: place_of[cell.line.label])  # each line seed by seed
            size = replicas_for(self.options.replicas, len(family), family[0].recipe, self.mode)
            for place, cell in enumerate(family):
                start = place - place % size
                cell.group = tuple(family[start : start + size])

    def _decide(self, cell: Cell, faults: dict[int, Exception]) -> None:
        recipe = id(cell.recipe)  # a faulty data set is not read again for each seed
        try:
            if recipe in faults:
                raise faults[recipe]
            planned = self._planned(cell)
        except Exception as error:
            faults[recipe] = error
            if (record := self._run_of(self._ledger_entry(cell))) is not None:
                cell.status, cell.run = "found", record.info.id
                cell.reason = "its data set is not on this machine to compare with"
            else:
                cell.status = "no data" if isinstance(error, MissingData) else "cannot run"
                cell.reason, cell.error = message_of(error), error
            return
        cell.run, cell.data = planned.run(cell.seed), planned.data
        if self.force:
            return
        if self._may_exist("runs", cell.run) and self.store.has(cell.run):
            cell.status = "found"
            return
        begun = self._may_exist("begun", cell.run)
        known = self._ledger_entry(cell)
        if (record := self._finished(known, {**planned.identity, "seed": cell.seed})) is not None:
            cell.status, cell.run = "found", record.info.id
        elif begun and self.store.is_running(cell.run):
            cell.status, cell.reason = "running elsewhere", "another process is computing it"
        elif begun and self.store.has_begun(cell.run):
            cell.status = "to resume"
            if self.only_missing:
                cell.status, cell.reason = "interrupted", "it was started before; --only-missing skips it"
        elif known and known.state == "failed" and known.data == cell.data and not self.retry_failed:
            cell.status, cell.reason = "failed before", known.message

    def _planned(self, cell: Cell) -> _Planned:
        """The identity of a cell's run. The data set is read for the first of several cells."""
        key = (cell.same or cell, len(cell.group))
        if key not in self._identities:
            identity = self._job(cell).identity()
            self._identities[key] = _Planned(identity, run_ids(identity), run_id(identity["data"]))
        return self._identities[key]

    def _may_exist(self, what: Literal["runs", "begun", "cells"], name: str) -> bool:
        return not self._listed or name in self._listed[what]

    def _ledger_entry(self, cell: Cell) -> CellRecord | None:
        """The cell's entry in the ledger."""
        return self._ledger.find(cell.id) if self._may_exist("cells", cell.id) else None

    def _finished(self, known: CellRecord | None, identity: Mapping[str, Any]) -> RunRecord | None:
        """A run that has the figures of this identity, though another id."""
        record = self._run_of(known)
        if record is not None and figures_key(record.info.identity) == figures_key(identity):
            return record
        if not self._of_any_version:
            return None
        return self._of_any_version.get(figures_key(identity, any_version=True))

    def _run_of(self, known: CellRecord | None) -> RunRecord | None:
        """The finished run that a ledger entry names."""
        return self.store.find(known.run) if known is not None and known.run is not None else None

    def _job(self, cell: Cell) -> Job:
        dataset, data = self._datasets.load(cell.recipe, cell.files, cell.named)
        mode = replace(self.mode, replicas=len(cell.group))
        debug = self.options.debug_samples
        return Job(cell.recipe, dataset, data, cell.seed, cell.selection, mode, cell.keep_weights, debug)

    # --- running ---------------------------------------------------------------------------------

    def run(self, watcher: Watcher) -> SuiteOutcome:
        """Compute what is pending.

        Raises:
            MissingData: none of the data sets is here, and nothing of the suite is in the store.
            Interrupted: stopped on request.
        """
        for cell in self.cells:
            self.record(cell)
        watcher.planned(self)
        pending = self.pending
        with stoppable(
            lambda: f"stopped after {self._done} of {len(pending)} runs; the same command resumes"
        ):
            if self.executor is None:
                with tracked(self.registry, self.options.track, self.store.root, self.display.say):
                    self.compute(watcher)
            elif pending:
                self._watcher = watcher
                self.executor.execute(self.submission(), self._watch, self.display.say)
            elsewhere = [cell for cell in self.cells if cell.status == "running elsewhere"]
            for cell in elsewhere:  # by now the other process may have finished it
                if cell.run is not None and self.store.find(cell.run) is not None:
                    cell.status = "found"
                    self.record(cell)
        left = sum(cell.status == "running elsewhere" for cell in elsewhere)
        remarks = [f"{left} of the runs are being computed by other processes"] if left else []
        found = stored_outcome(self.resolved, self.store, remarks)
        provided = [cell for cell in self.cells if cell.status != "no plugin"]
        if provided and not found.records and all(cell.status == "no data" for cell in provided):
            raise MissingData(f"suite '{found.name}'", list(dict.fromkeys(cell.reason for cell in provided)))
        return found

    def compute(self, watcher: Watcher) -> None:
        """Compute what is pending in this process; Interrupted as :meth:`run`."""
        pending = self.pending
        for place, cell in enumerate(pending):
            cell.status = "running"
            watcher.started(cell, self._costs.estimate(pending[place:]))
            self._compute(cell)
            self.record(cell)
            self._done += 1
            watcher.ended(cell, self._costs.estimate(pending[place + 1 :]))

    def submission(self) -> Submission:
        """What is pending, for an executor."""
        groups = dict.fromkeys(cell.group for cell in self.pending)
        planned = [
            PlannedGroup(
                number,
                tuple(
                    PlannedCell(*cell.place, cell.seed, cell.id, cell.run, cell.status in PENDING)
                    for cell in group
                ),
                self._costs.estimate([cell for cell in group if cell.status in PENDING]),
            )
            for number, group in enumerate(groups)
        ]
        return Submission.new(
            self.store,
            self.resolved.suite,
            self.options,
            planned,
            across_lines=self.across_lines,
            force=self.force,
        )

    def preview(self) -> list[str]:
        """What the executor would do, a line each."""
        if self.executor is None or not self.pending:
            return []
        return list(self.executor.preview(self.submission()))

    def _watch(self, submission: Submission) -> bool:
        """Show what the workers of a submission do; whether each of its groups has ended."""
        if not self._by_key:
            self._by_key = {(*cell.place, cell.seed): cell for cell in self.pending}
        states = submission.states()
        running = max(1, sum(one.state == "running" for one in states.values()))
        for number, state in states.items():
            shown = False
            for place, planned in enumerate(submission.groups[number].cells):
                cell = self._by_key.get((planned.line, planned.dataset, planned.selection, planned.seed))
                if cell is None or not planned.wanted or cell.status not in (*PENDING, "running"):
                    continue
                self._update(cell, state, state.cells.get(str(place)), running)
                if cell.status == "running" and not shown and state.epoch is not None:
                    shown = True
                    self._watcher.progressed(cell, state.stage or "", state.epoch, state.epochs or 0)
        return len(states) == len(submission.groups) and all(one.state == "ended" for one in states.values())

    def _update(self, cell: Cell, state: GroupState, result: Mapping[str, Any] | None, workers: int) -> None:
        """Give a cell the state that its worker reports."""

        def left() -> float | None:
            total = self._costs.estimate([one for one in self.cells if one.status in (*PENDING, "running")])
            return None if total is None else total / workers

        if state.state != "stopped" or result is not None:
            cell.status = "running"
            if cell not in self._started:
                self._started.add(cell)
                self._watcher.started(cell, left())
        elif cell.status == "running":
            cell.status = "to resume"
        if result is not None:
            cell.status, cell.run, cell.reason = result["status"], result["run"], result["reason"]
            self._done += 1
            if cell.status == "done":
                self.computed += 1
                if cell.run is not None and (record := self.store.find(cell.run)) is not None:
                    self._costs.measured(cell, float(record.environment["seconds"]))
            self._watcher.ended(cell, left())

    def failures(self, outcome: SuiteOutcome) -> list[str]:
        """A line for each cell that ended with an error, now or before."""
        return [
            f"{cell.label}: {message}"
            for cell in self.cells
            if (message := outcome.entries[cell.place].failures.get(cell.seed)) is not None
        ]

    def _compute(self, cell: Cell) -> None:
        """Compute a cell, and with it those of its group that are pending."""
        assert cell.run is not None
        if self.store.is_running(cell.run):
            cell.status, cell.reason = "running elsewhere", "another process is computing it"
            return
        if cell not in self._ended:
            self._ended |= self._compute_group(cell)
        ended = self._ended.pop(cell)
        if isinstance(ended, Exception):
            cell.status, cell.reason = "failed", message_of(ended)
            if isinstance(ended, DataError):  # files that are repaired get back the digest they should have
                cell.data = None
            return
        record, found = ended
        cell.status, cell.run = "found" if found else "done", record.info.id
        if not found:
            self.computed += 1
            self._costs.measured(cell, float(record.environment["seconds"]))

    def _compute_group(self, first: Cell) -> dict[Cell, JobResult]:
        group = first.group
        wanted = {slot for slot, cell in enumerate(group) if cell.status in (*PENDING, "running")}
        try:
            ended = compute_group(
                list(map(self._job, group)),
                self.store,
                self.registry,
                self.display,
                force=self.force,
                wanted=wanted,
            )
        except Interrupted:
            raise
        except Exception as error:
            ended = dict.fromkeys(wanted, error)
        return {group[slot]: one for slot, one in ended.items()}

    def record(self, cell: Cell) -> None:
        """Write what is known of a cell into the ledger, unless it is there."""
        if cell.resolved is None or cell.status not in _LEDGER_STATES:
            return
        state = _LEDGER_STATES[cell.status]
        run, message = (cell.run, "") if state == "run" else (None, cell.reason)
        facts = cell.facts() | {"versions": versions(cell.recipe)}
        new = CellRecord(state, run, message, cell.data, facts=facts)
        old = self._ledger.find(cell.id)
        if old is None or replace(old, when="") != new:
            self._ledger.write(cell.id, new)


def message_of(error: Exception) -> str:
    """One line, with the type of an error that is not a user's."""
    if isinstance(error, ZslbenchError):
        return str(error)
    return memory_shortage(error) or one_line(error)


@contextmanager
def stoppable(message: Callable[[], str]) -> Iterator[None]:
    """End with one line on Ctrl-C."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(message()) from None
