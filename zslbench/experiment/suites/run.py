"""Runs the missing cells of a suite and records how each cell ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Unpack

from zslbench.errors import Interrupted, MissingData, SettingsError
from zslbench.experiment.datasets import DatasetCache
from zslbench.experiment.events import Display, Quiet, tracked
from zslbench.experiment.execution import Ended, compute_group
from zslbench.experiment.job import versions
from zslbench.experiment.options import RunKeywords, RunOptions
from zslbench.experiment.suites.cells import Cell, CellRecord, CellState, Ledger, SuiteOutcome, stored_outcome
from zslbench.experiment.suites.definition import Suite, as_list, find_suite
from zslbench.experiment.suites.lines import resolve_suite
from zslbench.experiment.suites.plan import Costs, PlannedCell, Planner, SuitePlan, message_of
from zslbench.plugin.lookup import Registry
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

End = Literal["done", "found", "failed", "left"]
"""How a cell ended; ``found``: another process had finished it; ``left``: another process computes it."""


class Watcher:
    """Follows the cells of a suite that runs; these methods do nothing."""

    def planned(self, plan: SuitePlan) -> None:
        """Before the first run."""

    def started(self, planned: PlannedCell, left: float | None) -> None:
        """A cell begins; ``left``: estimated seconds to the end of the suite; None: unknown."""

    def ended(self, planned: PlannedCell, end: End, message: str, left: float | None) -> None:
        """A cell ended; ``message`` is its error."""


class BenchKeywords(RunKeywords, total=False):
    """What :func:`zslbench.bench` takes: which part of a suite, its changes, and how it runs."""

    methods: str | Sequence[str] | None
    datasets: str | Sequence[str] | None
    seeds: int | Sequence[int] | None
    select: str | Sequence[str] | None
    settings: Mapping[str, Any] | None
    preset: str | Sequence[str] | None
    only_missing: bool
    retry_failed: bool
    display: Display | None


def prepare(
    suite: str | Path | Suite,
    registry: Registry,
    *,
    methods: str | Sequence[str] | None = None,
    datasets: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    select: str | Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: str | Sequence[str] | None = None,
    only_missing: bool = False,
    retry_failed: bool = False,
    display: Display | None = None,
    across_lines: bool = False,
    **options: Unpack[RunKeywords],
) -> Bench:
    """Resolve and plan a suite; :meth:`Bench.run` of the result computes it.

    Arguments and errors are those of :func:`zslbench.bench`; ``across_lines`` is that of :class:`Planner`.
    """
    if only_missing and retry_failed:
        raise SettingsError(
            "--only-missing leaves failed cells alone and --retry-failed runs them: choose one"
        )
    narrowed = (suite if isinstance(suite, Suite) else find_suite(suite)).narrowed(
        methods=as_list(methods), datasets=as_list(datasets), seeds=seeds, select=as_list(select)
    )
    if settings or preset:
        narrowed = narrowed.overridden(settings or {}, preset)
    run, display = RunOptions(**options), display or Quiet()
    planner = Planner(
        store=run.open_store(),
        datasets=DatasetCache(run.data_root, display.say),
        mode=run.mode(),
        retry_failed=retry_failed,
        only_missing=only_missing,
        replicas=run.replicas,
        across_lines=across_lines,
    )
    with stoppable(lambda: "stopped before the first run"):
        plan = planner.plan(resolve_suite(narrowed, registry, run.data_root))
    return Bench(plan, planner, registry, display, run.track)


@dataclass
class Bench:
    """A suite that is ready to run."""

    plan: SuitePlan
    planner: Planner
    registry: Registry
    display: Display
    track: str | Sequence[str] | None = None
    computed: int = 0
    """Number of runs that this process has computed."""
    _ended: dict[Cell, Ended] = field(default_factory=dict)
    """Cells that were computed together with an earlier one."""

    @property
    def store(self) -> Store:
        return self.planner.store

    def run(self, watcher: Watcher) -> SuiteOutcome:
        """Compute what is pending.

        Raises:
            MissingData: none of the data sets is here, and nothing of the suite is in the store.
            Interrupted: stopped on request.
        """
        self._record_plan()
        watcher.planned(self.plan)
        pending, done = self.plan.pending, 0
        costs = Costs(self.store.records(), self.planner.mode)
        left = [one for one in self.plan.cells if one.status == "running elsewhere"]
        with (
            stoppable(lambda: f"stopped after {done} of {len(pending)} runs; the same command resumes"),
            tracked(self.registry, self.track, self.store.root, self.display.say),
        ):
            for place, planned in enumerate(pending):
                watcher.started(planned, _left(costs, pending[place:]))
                end, message = self._compute(planned, costs)
                if end == "left":
                    left.append(planned)
                done += 1
                watcher.ended(planned, end, message, _left(costs, pending[place + 1 :]))
            elsewhere = [planned for planned in left if not self._finished_elsewhere(planned)]
        remarks = []
        if elsewhere:
            remarks.append(f"{len(elsewhere)} of the runs are left to other processes, which compute them")
        found = stored_outcome(self.plan.resolved, self.store, remarks, self.planner.mode.precision)
        provided = [one for one in self.plan.cells if one.status != "no plugin"]
        if provided and not found.records and all(one.status == "no data" for one in provided):
            raise MissingData(f"suite '{found.name}'", list(dict.fromkeys(one.reason for one in provided)))
        return found

    def failures(self, outcome: SuiteOutcome) -> list[str]:
        """A line for each cell that ended with an error, now or before."""
        return [
            f"{one.cell.label}: {message}"
            for one in self.plan.cells
            if (message := outcome.entries[one.cell.place].failures.get(one.cell.seed)) is not None
        ]

    def _compute(self, planned: PlannedCell, costs: Costs) -> tuple[End, str]:
        assert planned.run is not None
        if self.store.is_running(planned.run):
            return "left", "another process computes it"
        try:
            record, found = self._record(planned)
        except Interrupted:
            raise
        except Exception as error:
            message = message_of(error)
            self._write(planned, "failed", message=message)
            return "failed", message
        self._write(planned, "run", run=record.info.id)
        if found:
            return "found", ""
        self.computed += 1
        costs.measured(planned.cell, float(record.environment["seconds"]))
        return "done", ""

    def _record(self, planned: PlannedCell) -> tuple[RunRecord, bool]:
        """The run of a cell; all of a group are computed when the first of them is due."""
        if planned.cell not in self._ended:
            group = self.plan.groups[planned.cell]
            pending = {one.cell for one in self.plan.pending}
            wanted = {slot for slot, cell in enumerate(group) if cell in pending}
            try:
                jobs = [self.planner.job(cell, len(group)) for cell in group]
                ended = compute_group(jobs, self.store, self.registry, self.display, wanted=wanted)
            except Interrupted:
                raise
            except Exception as error:
                ended = [Ended(None, error=error)] * len(group)
            self._ended |= {group[slot]: ended[slot] for slot in wanted}
        return self._ended.pop(planned.cell).result()

    def _finished_elsewhere(self, planned: PlannedCell) -> bool:
        """Whether the process that computed the cell has finished it by now."""
        if planned.run is None or self.store.find(planned.run) is None:
            return False
        self._write(planned, "run", run=planned.run)
        return True

    def _record_plan(self) -> None:
        """Write what is known before the first run into the ledger."""
        for planned in self.plan.cells:
            if planned.status == "found":
                self._write(planned, "run", run=planned.run)
            elif planned.status == "no data" and planned.cell.setup.recipe is not None:
                self._write(planned, "no data", message=planned.reason)
            elif planned.status == "cannot run":
                self._write(planned, "failed", message=planned.reason)

    def _write(
        self, planned: PlannedCell, state: CellState, *, run: str | None = None, message: str = ""
    ) -> None:
        ledger, cell = Ledger(self.store), planned.cell
        facts = cell.facts() | {"versions": versions(cell.recipe)}
        new = CellRecord(state, run, message, planned.data, facts=facts)
        old = ledger.find(cell.id)
        if old is None or replace(old, when="") != new:
            ledger.write(cell.id, new)


def _left(costs: Costs, planned: Sequence[PlannedCell]) -> float | None:
    """Estimated seconds of these; None: the cost of one of them is unknown."""
    each = [costs.estimate(one.cell) for one in planned]
    return None if None in each else sum((one for one in each if one is not None), 0.0)


@contextmanager
def stoppable(message: Callable[[], str]) -> Iterator[None]:
    """End with one line on Ctrl-C."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(message()) from None
