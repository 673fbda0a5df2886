"""What a suite still needs, cell by cell, and what that costs, before anything is computed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from zslbench.errors import MissingData, ZslbenchError
from zslbench.experiment.datasets import DatasetCache
from zslbench.experiment.group import lift_key, replicas_for
from zslbench.experiment.job import ExecutionMode, Job
from zslbench.experiment.suites.cells import Cell, CellMemory, Memory, cells
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
"""What is computed; ``interrupted``, ``failed before`` and ``running elsewhere`` are left alone."""

Groups = Mapping[Cell, tuple[Cell, ...]]
"""Each cell's group: those that are trained together, itself among them."""


@dataclass(frozen=True, eq=False)
class Step:
    """A cell, and what is to be done about it."""

    cell: Cell
    status: Status
    run: str | None = None
    """The id of the run that it has or would get; None: unknown without the data."""
    data: str | None = None
    """Digest of the data."""
    seconds: float | None = None
    """Estimated cost; None: unknown."""
    reason: str = ""
    """Why there is nothing to do about it, or the error that it ended with."""
    error: Exception | None = None
    """Of ``cannot run`` and ``no data``."""


@dataclass(frozen=True)
class Plan:
    """All cells in the order of computing."""

    resolved: ResolvedSuite
    steps: tuple[Step, ...]
    groups: Groups

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
        """How many of them have no known cost."""
        return sum(step.seconds is None for step in self.pending)


@dataclass(frozen=True)
class Planner:
    """Looks at each cell of a suite."""

    store: Store
    datasets: DatasetCache
    mode: ExecutionMode
    retry_failed: bool = False
    only_missing: bool = False
    replicas: int | None = None
    """How many cells are trained together at most; None: :func:`replicas_for` decides."""
    across_lines: bool = False
    """Whether cells of several lines may be trained together, where their recipes allow it."""

    def plan(self, resolved: ResolvedSuite) -> Plan:
        """Reads the data sets of the suite, one after the other; computes nothing.

        Raises:
            ZslbenchError: the store cannot be read.
        """
        memory, begun = CellMemory(self.store), {one.id for one in self.store.unfinished()}
        costs = Costs(self.store.records(), self.mode)
        faults: dict[int, Exception] = {}
        every = list(cells(resolved, self.mode.precision))
        groups = self._groups(resolved, every)
        steps = []
        for cell in every:
            if cell.resolved.state != "ok":
                steps.append(Step(cell, cell.resolved.state, reason=cell.resolved.reason))
                continue
            step = self._step(cell, len(groups[cell]), memory.find(cell.id), begun, faults)
            steps.append(replace(step, seconds=costs.known(cell)))
        return Plan(resolved, tuple(steps), groups)

    def job(self, cell: Cell, replicas: int) -> Job:
        """The run of a cell, in a group of so many.

        Raises:
            MissingData: its data set is not there.
            DataError: its data set cannot be used.
        """
        place = cell.resolved
        dataset, data = self.datasets.load(cell.recipe, place.files)
        mode = replace(self.mode, replicas=replicas)
        return Job(cell.recipe, dataset, data, cell.seed, cell.selection, mode, place.keep_weights)

    def _groups(self, resolved: ResolvedSuite, every: Sequence[Cell]) -> Groups:
        families: dict[Hashable, list[Cell]] = {}
        for cell in every:
            if cell.resolved.recipe is not None:
                same = lift_key(cell.recipe) if self.across_lines else cell.line.label
                families.setdefault((cell.dataset, cell.selection.mode, same), []).append(cell)
        groups: dict[Cell, tuple[Cell, ...]] = {}
        for family in families.values():
            family.sort(key=lambda cell: resolved.lines.index(cell.line))  # line by line, then seed by seed
            size = replicas_for(self.replicas, len(family), family[0].recipe, self.mode)
            for start in range(0, len(family), size):
                group = tuple(family[start : start + size])
                groups |= dict.fromkeys(group, group)
        return groups

    def _step(
        self, cell: Cell, replicas: int, known: Memory | None, begun: set[str], faults: dict[int, Exception]
    ) -> Step:
        has = self.store.find(known.run) if known is not None and known.run is not None else None
        recipe = id(cell.recipe)  # a faulty data set is not read again for each seed
        try:
            if recipe in faults:
                raise faults[recipe]
            job = self.job(cell, replicas)
        except Exception as error:
            faults[recipe] = error
            if has is not None:
                return Step(cell, "found", has.info.id, reason="its data set is not here to compare with")
            status: Status = "no data" if isinstance(error, MissingData) else "cannot run"
            return Step(cell, status, reason=message_of(error), error=error)
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


def message_of(error: Exception) -> str:
    """One line, with the kind of an error that is not a user's."""
    return str(error) if isinstance(error, ZslbenchError) else one_line(error)


def same_figures(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two identities ask for the same figures in the same precision.

    The device, the number of threads and how many runs were trained together do not count.
    """

    def figures(identity: Mapping[str, Any]) -> str:
        precision = (identity.get("execution") or {}).get("precision")
        return canonical({**identity, "execution": {"precision": precision}})

    return figures(one) == figures(other)


_COMPARED = ("method", "variant", "reading", "components", "settings", "search", "tasks", "selection")
"""What runs of equal cost share: all of a cell's definition but the seed, the data and the versions."""


class Costs:
    """Estimates of what cells cost, in seconds.

    Args:
        records: runs of the store.
        mode: how cells are computed; runs on another device do not count.
    """

    def __init__(self, records: Iterable[RunRecord], mode: ExecutionMode) -> None:
        self._stored: dict[str, list[float]] = {}
        self._measured: dict[tuple[str, ...], list[float]] = {}
        for one in records:
            seconds = one.environment.get("seconds")
            device = (one.info.identity.get("execution") or {}).get("device")
            if isinstance(seconds, (int, float)) and device == mode.device and not one.info.resumed:
                self._stored.setdefault(_cost_key(one.info.identity), []).append(float(seconds))

    def known(self, cell: Cell) -> float | None:
        """The mean of such runs in the store; None: there is none."""
        found = self._stored.get(_cost_key(cell.definition))
        return sum(found) / len(found) if found else None

    def measured(self, cell: Cell, seconds: float) -> None:
        """A cell was computed just now."""
        self._stored.setdefault(_cost_key(cell.definition), []).append(seconds)
        for key in ((), (cell.dataset,)):
            self._measured.setdefault(key, []).append(seconds)

    def estimate(self, cell: Cell) -> float | None:
        """The mean of such runs, else of those measured on its data set, else of all; None: unknown."""
        if (known := self.known(cell)) is not None:
            return known
        found = self._measured.get((cell.dataset,)) or self._measured.get(())
        return sum(found) / len(found) if found else None


def _cost_key(identity: Mapping[str, Any]) -> str:
    return canonical({name: identity.get(name) for name in _COMPARED})
