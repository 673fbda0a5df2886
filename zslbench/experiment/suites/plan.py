"""What a suite still needs, cell by cell, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from zslbench.errors import MissingData, ZslbenchError
from zslbench.experiment.datasets import Data
from zslbench.experiment.execution.grouping import replicas_for
from zslbench.experiment.execution.local import Job
from zslbench.experiment.execution.mode import ExecutionMode
from zslbench.experiment.suites.cells import Cell, cells
from zslbench.experiment.suites.costs import Costs
from zslbench.experiment.suites.ledger import Ledger, Remembered
from zslbench.experiment.suites.resolving import ResolvedSuite
from zslbench.plugin.lookup import one_line
from zslbench.store.identity import canonical, run_id
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

Status = Literal[
    "found",
    "to run",
    "goes on",
    "interrupted",
    "failed before",
    "running elsewhere",
    "cannot run",
    "no data",
    "no plugin",
]
PENDING: tuple[Status, ...] = ("to run", "goes on")
"""What a bench computes; ``interrupted``, ``failed before`` and ``running elsewhere`` it leaves alone."""


@dataclass(frozen=True, eq=False)
class Step:
    """A cell, and what is to be done about it."""

    cell: Cell
    status: Status
    run: str | None = None
    """The id of the run that it has or would get; None: not known without the data."""
    data: str | None = None
    """Digest of the data."""
    seconds: float | None = None
    """What it is estimated to cost; None: unknown."""
    reason: str = ""
    """Why there is nothing to do about it, or the error that it ended with."""


@dataclass(frozen=True)
class Plan:
    """All cells in the order of computing."""

    resolved: ResolvedSuite
    steps: tuple[Step, ...]

    @property
    def pending(self) -> tuple[Step, ...]:
        """Those that are computed."""
        return tuple(step for step in self.steps if step.status in PENDING)

    @property
    def seconds(self) -> float:
        """Known cost of those that are computed."""
        return sum((step.seconds or 0.0 for step in self.pending), 0.0)

    @property
    def unknown(self) -> int:
        """How many of them cost nobody knows how much."""
        return sum(step.seconds is None for step in self.pending)


@dataclass(frozen=True)
class Planner:
    """Looks at each cell of a suite."""

    store: Store
    data: Data
    mode: ExecutionMode
    retry_failed: bool = False
    """Whether what failed before is computed again."""
    only_missing: bool = False
    """Whether what was begun is left alone as well."""
    seeds: tuple[int, ...] = ()
    """The suite's seeds, which may be trained together."""
    replicas: int | None = None
    """How many of them at most; None: as :func:`zslbench.experiment.execution.grouping.replicas_for` says."""

    def plan(self, resolved: ResolvedSuite) -> Plan:
        """Reads the data sets of the suite, one after the other; computes nothing.

        Raises:
            ZslbenchError: the store cannot be read.
        """
        ledger, begun = Ledger(self.store), {one.id for one in self.store.unfinished()}
        costs = Costs(self.store.records(), self.mode)
        faults: dict[int, Exception] = {}
        steps = []
        for cell in cells(resolved, self.mode.precision):
            if cell.resolved.state != "ok":
                steps.append(Step(cell, cell.resolved.state, reason=cell.resolved.reason))
                continue
            step = self._step(cell, ledger.find(cell.id), begun, faults)
            steps.append(replace(step, seconds=costs.known(cell)))
        return Plan(resolved, tuple(steps))

    def job(self, cell: Cell) -> Job:
        """The run that a cell is.

        Raises:
            MissingData: its data set is not there.
            DataError: its data set cannot be used.
        """
        place = cell.resolved
        dataset, data = self.data.of(cell.recipe, place.which)
        mode = replace(self.mode, replicas=len(self.group(cell)))
        return Job(cell.recipe, dataset, data, cell.seed, cell.selection, mode, place.keep_weights)

    def group(self, cell: Cell) -> tuple[int, ...]:
        """The seeds that are trained together with a cell's, in the suite's order, its own among them."""
        if cell.seed not in self.seeds:
            return (cell.seed,)
        size = replicas_for(self.replicas, len(self.seeds), cell.recipe, self.mode)
        place = self.seeds.index(cell.seed)
        return self.seeds[place - place % size :][:size]

    def _step(
        self, cell: Cell, known: Remembered | None, begun: set[str], faults: dict[int, Exception]
    ) -> Step:
        has = self._remembered_run(known)
        recipe = id(cell.recipe)  # a faulty data set is not read again for each seed
        try:
            if recipe in faults:
                raise faults[recipe]
            job = self.job(cell)
        except Exception as error:
            faults[recipe] = error
            if has is not None:
                return Step(cell, "found", has.info.id, reason="its data set is not here to compare with")
            status: Status = "no data" if isinstance(error, MissingData) else "cannot run"
            return Step(cell, status, reason=message_of(error))
        identity = job.identity()
        run, data = run_id(identity), run_id(identity["data"])
        if self.store.find(run) is not None:
            return Step(cell, "found", run, data)
        if has is not None and same_figures(has.info.identity, identity):
            return Step(cell, "found", has.info.id, data)
        if self.store.is_running(run):
            return Step(cell, "running elsewhere", run, data, reason="another process computes it")
        if run in begun:
            if self.only_missing:
                return Step(cell, "interrupted", run, data, reason="it was begun; --only-missing leaves it")
            return Step(cell, "goes on", run, data)
        if known is not None and known.state == "failed" and known.data == data and not self.retry_failed:
            return Step(cell, "failed before", run, data, reason=known.message)
        return Step(cell, "to run", run, data)

    def _remembered_run(self, known: Remembered | None) -> RunRecord | None:
        return self.store.find(known.run) if known is not None and known.run is not None else None


def message_of(error: Exception) -> str:
    """One line, with the kind of an error that is not ours."""
    return str(error) if isinstance(error, ZslbenchError) else one_line(error)


def same_figures(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two identities ask for the same figures in the same precision.

    The device, the number of threads and how many seeds were trained together do not count.
    """
    return _asked(one) == _asked(other)


def _asked(identity: Mapping[str, Any]) -> str:
    precision = (identity.get("execution") or {}).get("precision")
    return canonical({**identity, "execution": {"precision": precision}})
