"""Computes what a suite still needs, cell by cell, and remembers what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from zslbench.errors import Interrupted, MissingData
from zslbench.experiment.execution.local import compute
from zslbench.experiment.execution.together import Ended, compute_together
from zslbench.experiment.suites.cells import Cell, versions
from zslbench.experiment.suites.costs import Costs
from zslbench.experiment.suites.ledger import Ledger, Remembered
from zslbench.experiment.suites.outcome import SuiteOutcome
from zslbench.experiment.suites.plan import Plan, Planner, Step, message_of
from zslbench.experiment.suites.status import outcome
from zslbench.experiment.tracking import tracked
from zslbench.plugin.lookup import Registry
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

if TYPE_CHECKING:
    from zslbench.experiment.execution.local import Display

End = Literal["done", "found", "failed", "left"]
"""How a cell ended; ``found``: another process finished it meanwhile; ``left``: another one computes it."""


@runtime_checkable
class Watcher(Protocol):
    """Is told how a bench gets on."""

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


@dataclass
class Bench:
    """A suite that may be run."""

    plan: Plan
    planner: Planner
    registry: Registry
    display: Display
    track: str | Sequence[str] | None = None
    _ended: dict[Step, Ended] = field(default_factory=dict)
    """Of cells that were computed along with one that came before them."""

    @property
    def store(self) -> Store:
        return self.planner.store

    def run(self, watcher: Watcher) -> SuiteOutcome:
        """Compute what is pending.

        Raises:
            MissingData: none of the data sets is here, and nothing of the suite is in the store.
            Interrupted: stopped on request.
        """
        self._remember_what_is_known()
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
        found = outcome(self.plan.resolved, self.store, remarks, self.planner.mode.precision)
        provided = [step for step in self.plan.steps if step.status != "no plugin"]
        if provided and not found.records and all(step.status == "no data" for step in provided):
            raise MissingData(f"suite '{found.name}'", list(dict.fromkeys(step.reason for step in provided)))
        return found

    def _compute(self, step: Step, costs: Costs) -> tuple[End, str]:
        assert step.run is not None
        if self.store.is_running(step.run):
            return "left", "another process computes it"
        try:
            record, was_there = self._record(step)
        except Interrupted:
            raise
        except Exception as error:
            message = message_of(error)
            self._remember(step, "failed", message=message)
            return "failed", message
        self._remember(step, "run", run=record.info.id)
        if was_there:
            return "found", ""
        costs.measured(step.cell, float(record.environment["seconds"]))
        return "done", ""

    def _record(self, step: Step) -> tuple[RunRecord, bool]:
        """The run of a cell; seeds that are trained together are computed with the first of them."""
        seeds = self.planner.group(step.cell)
        if len(seeds) == 1:
            return compute(self.planner.job(step.cell), self.store, self.registry, self.display)
        if step not in self._ended:
            cell = step.cell
            mates = {one.cell.seed: one for one in self.plan.pending if _is_mate(one.cell, cell)}
            jobs = [self.planner.job(replace(cell, seed=seed)) for seed in seeds]
            wanted = {place for place, seed in enumerate(seeds) if seed in mates}
            ended = compute_together(jobs, self.store, self.registry, self.display, wanted=wanted)
            self._ended |= {mates[seeds[place]]: ended[place] for place in wanted}
        one = self._ended.pop(step)
        if one.record is None:
            assert one.error is not None
            raise one.error
        return one.record, one.found

    def _finished_elsewhere(self, step: Step) -> bool:
        """Whether the process that computed the cell has finished it by now."""
        if step.run is None or self.store.find(step.run) is None:
            return False
        self._remember(step, "run", run=step.run)
        return True

    def _remember_what_is_known(self) -> None:
        for step in self.plan.steps:
            if step.status == "found":
                self._remember(step, "run", run=step.run)
            elif step.status == "no data" and step.cell.resolved.recipe is not None:
                self._remember(step, "no data", message=step.reason)
            elif step.status == "cannot run":
                self._remember(step, "failed", message=step.reason)

    def _remember(
        self,
        step: Step,
        state: Literal["run", "failed", "no data"],
        *,
        run: str | None = None,
        message: str = "",
    ) -> None:
        ledger, cell = Ledger(self.store), step.cell
        facts = cell.facts() | {"versions": versions(cell.recipe)}
        new = Remembered(state, run, message, step.data, facts=facts)
        old = ledger.find(cell.id)
        if old is None or replace(old, when="") != new:
            ledger.remember(cell.id, new)


def _is_mate(one: Cell, other: Cell) -> bool:
    """Whether cells are of one line, data set and selection."""
    return (one.line, one.dataset, one.selection) == (other.line, other.dataset, other.selection)


def failures(plan: Plan, outcome: SuiteOutcome) -> list[str]:
    """A line for each cell of the plan that ended with an error, now or before."""
    return [
        f"{step.cell.told()}: {message}"
        for step in plan.steps
        if (entry := outcome.entries[step.cell.line.label, step.cell.dataset, step.cell.selection.mode])
        and (message := entry.failures.get(step.cell.seed)) is not None
    ]


def _left(costs: Costs, steps: Sequence[Step]) -> float | None:
    """Estimated seconds of these; None: of one of them nobody knows."""
    each = [costs.estimate(step.cell) for step in steps]
    return None if None in each else sum((one for one in each if one is not None), 0.0)


@contextmanager
def stoppable(told: Callable[[], str]) -> Iterator[None]:
    """Ctrl-C ends it with one line."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(told()) from None
