"""Computes what a suite still needs, cell by cell, and remembers what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, Unpack, runtime_checkable

from zslbench.errors import Interrupted, MissingData, SettingsError
from zslbench.experiment.datasets import DatasetCache
from zslbench.experiment.events import Display, Quiet, tracked
from zslbench.experiment.group import Ended, compute_group
from zslbench.experiment.job import versions
from zslbench.experiment.options import RunKeywords, RunOptions
from zslbench.experiment.suites import Suite, find_suite
from zslbench.experiment.suites.cells import CellMemory, CellState, Memory, SuiteOutcome, gather
from zslbench.experiment.suites.plan import Costs, Plan, Planner, Step, message_of
from zslbench.experiment.suites.resolving import resolve_suite
from zslbench.plugin.lookup import Registry
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

End = Literal["done", "found", "failed", "left"]
"""How a cell ended; ``found``: another process finished it meanwhile; ``left``: another one computes it."""


@runtime_checkable
class Watcher(Protocol):
    """Follows the cells of a suite while it is run."""

    def planned(self, plan: Plan) -> None:
        """Before the first run."""

    def started(self, step: Step, left: float | None) -> None:
        """A cell begins; ``left``: estimated seconds to the end, this cell included; None: unknown."""

    def ended(self, step: Step, end: End, message: str, left: float | None) -> None:
        """A cell ended; ``message`` is its error."""


class Unwatched:
    """A watcher that does nothing."""

    def planned(self, plan: Plan) -> None: ...

    def started(self, step: Step, left: float | None) -> None: ...

    def ended(self, step: Step, end: End, message: str, left: float | None) -> None: ...


class BenchKeywords(RunKeywords, total=False):
    """What :func:`zslbench.bench` takes: a part of the suite, what is changed in it, and how it is run."""

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
    """Settle everything before the first run, which ``run`` of the result begins.

    Arguments and errors are those of :func:`zslbench.bench`; ``across_lines`` is that of :class:`Planner`.
    """
    if only_missing and retry_failed:
        raise SettingsError("--only-missing leaves failed cells alone and --retry-failed runs them: give one")
    narrowed = (suite if isinstance(suite, Suite) else find_suite(suite)).narrowed(
        methods=_listed(methods), datasets=_listed(datasets), seeds=seeds, select=_listed(select)
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


def _listed(value: str | Sequence[str] | None) -> Sequence[str] | None:
    return [value] if isinstance(value, str) else value


@dataclass
class Bench:
    """A suite that is ready to run."""

    plan: Plan
    planner: Planner
    registry: Registry
    display: Display
    track: str | Sequence[str] | None = None
    computed: int = 0
    """How many runs this process has computed."""
    _ended: dict[Step, Ended] = field(default_factory=dict)
    """Of cells that were computed together with an earlier one."""

    @property
    def store(self) -> Store:
        return self.planner.store

    def run(self, watcher: Watcher) -> SuiteOutcome:
        """Compute what is pending.

        Raises:
            MissingData: none of the data sets is here, and nothing of the suite is in the store.
            Interrupted: stopped on request.
        """
        self._remember_plan()
        watcher.planned(self.plan)
        pending, done = self.plan.pending, 0
        costs = Costs(self.store.records(), self.planner.mode)
        left = [step for step in self.plan.steps if step.status == "running elsewhere"]
        with (
            stoppable(lambda: f"stopped after {done} of {len(pending)} runs; the same command goes on"),
            tracked(self.registry, self.track, self.store.root, self.display.say),
        ):
            for place, step in enumerate(pending):
                watcher.started(step, _left(costs, pending[place:]))
                end, message = self._compute(step, costs)
                if end == "left":
                    left.append(step)
                done += 1
                watcher.ended(step, end, message, _left(costs, pending[place + 1 :]))
            elsewhere = [step for step in left if not self._finished_elsewhere(step)]
        remarks = []
        if elsewhere:
            remarks.append(f"{len(elsewhere)} of the runs are computed by other processes: left to them")
        found = gather(self.plan.resolved, self.store, remarks, self.planner.mode.precision)
        provided = [step for step in self.plan.steps if step.status != "no plugin"]
        if provided and not found.records and all(step.status == "no data" for step in provided):
            raise MissingData(f"suite '{found.name}'", list(dict.fromkeys(step.reason for step in provided)))
        return found

    def _compute(self, step: Step, costs: Costs) -> tuple[End, str]:
        assert step.run is not None
        if self.store.is_running(step.run):
            return "left", "another process computes it"
        try:
            record, found = self._record(step)
        except Interrupted:
            raise
        except Exception as error:
            message = message_of(error)
            self._remember(step, "failed", message=message)
            return "failed", message
        self._remember(step, "run", run=record.info.id)
        if found:
            return "found", ""
        self.computed += 1
        costs.measured(step.cell, float(record.environment["seconds"]))
        return "done", ""

    def _record(self, step: Step) -> tuple[RunRecord, bool]:
        """The run of a cell; all of a group are computed when the first of them is due."""
        if step not in self._ended:
            group = self.plan.groups[step.cell]
            pending = {one.cell: one for one in self.plan.pending}
            wanted = {place for place, cell in enumerate(group) if cell in pending}
            try:
                jobs = [self.planner.job(cell, len(group)) for cell in group]
                ended = compute_group(jobs, self.store, self.registry, self.display, wanted=wanted)
            except Interrupted:
                raise
            except Exception as error:
                ended = [Ended(None, error=error)] * len(group)
            self._ended |= {pending[group[place]]: ended[place] for place in wanted}
        return self._ended.pop(step).result()

    def _finished_elsewhere(self, step: Step) -> bool:
        """Whether the process that computed the cell has finished it by now."""
        if step.run is None or self.store.find(step.run) is None:
            return False
        self._remember(step, "run", run=step.run)
        return True

    def _remember_plan(self) -> None:
        for step in self.plan.steps:
            if step.status == "found":
                self._remember(step, "run", run=step.run)
            elif step.status == "no data" and step.cell.resolved.recipe is not None:
                self._remember(step, "no data", message=step.reason)
            elif step.status == "cannot run":
                self._remember(step, "failed", message=step.reason)

    def _remember(self, step: Step, state: CellState, *, run: str | None = None, message: str = "") -> None:
        memory, cell = CellMemory(self.store), step.cell
        facts = cell.facts() | {"versions": versions(cell.recipe)}
        new = Memory(state, run, message, step.data, facts=facts)
        old = memory.find(cell.id)
        if old is None or replace(old, when="") != new:
            memory.remember(cell.id, new)


def failures(plan: Plan, outcome: SuiteOutcome) -> list[str]:
    """A line for each cell of the plan that ended with an error, now or before."""
    return [
        f"{step.cell.label}: {message}"
        for step in plan.steps
        if (entry := outcome.entries[step.cell.line.label, step.cell.dataset, step.cell.selection.mode])
        and (message := entry.failures.get(step.cell.seed)) is not None
    ]


def _left(costs: Costs, steps: Sequence[Step]) -> float | None:
    """Estimated seconds of these; None: the cost of one of them is unknown."""
    each = [costs.estimate(step.cell) for step in steps]
    return None if None in each else sum((one for one in each if one is not None), 0.0)


@contextmanager
def stoppable(message: Callable[[], str]) -> Iterator[None]:
    """Ctrl-C ends it with one line."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(message()) from None
