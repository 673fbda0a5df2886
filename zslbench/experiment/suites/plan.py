"""What a suite still needs, cell by cell, and how long it will take, before anything is computed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any, Literal

from zslbench.errors import MissingData, ZslbenchError
from zslbench.experiment.datasets import DatasetCache
from zslbench.experiment.job import ExecutionMode, Job, lift_key, replicas_for
from zslbench.experiment.suites.cells import Cell, Ledger, cells
from zslbench.experiment.suites.lines import ResolvedSuite
from zslbench.plugin.lookup import one_line
from zslbench.store.identity import canonical, run_id
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

Status = Literal[
    "found",
    "to run",
    "to resume",
    "interrupted",
    "failed before",
    "running elsewhere",
    "cannot run",
    "no data",
    "no plugin",
]
PENDING: tuple[Status, ...] = ("to run", "to resume")
"""What is computed; ``interrupted``, ``failed before`` and ``running elsewhere`` are left alone."""


@dataclass(frozen=True, eq=False)
class PlannedCell:
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
    """Why there is nothing to do, or the error that it ended with."""
    error: Exception | None = None
    """Of ``cannot run`` and ``no data``."""


@dataclass(frozen=True)
class SuitePlan:
    """All cells in the order of computing."""

    resolved: ResolvedSuite
    cells: tuple[PlannedCell, ...]
    groups: Mapping[Cell, tuple[Cell, ...]]
    """Each cell's group: those that are trained together, itself among them."""

    @property
    def pending(self) -> tuple[PlannedCell, ...]:
        """Those that are computed."""
        return tuple(one for one in self.cells if one.status in PENDING)

    @property
    def seconds(self) -> float:
        """Known cost of those that are computed."""
        return sum((one.seconds or 0.0 for one in self.pending), 0.0)

    @property
    def unknown(self) -> int:
        """How many of them have no known cost."""
        return sum(one.seconds is None for one in self.pending)


@dataclass(frozen=True)
class Planner:
    """Decides what is to be done about each cell of a suite."""

    store: Store
    datasets: DatasetCache
    mode: ExecutionMode
    retry_failed: bool = False
    only_missing: bool = False
    replicas: int | None = None
    """How many cells are trained together at most; None: :func:`replicas_for` decides."""
    across_lines: bool = False
    """Whether cells of several lines may be trained together, where their recipes allow it."""

    def plan(self, resolved: ResolvedSuite) -> SuitePlan:
        """Reads the data sets of the suite, one after the other; computes nothing.

        Raises:
            ZslbenchError: the store cannot be read.
        """
        begun = {one.id for one in self.store.unfinished()}
        costs = Costs(self.store.records(), self.mode)
        faults: dict[int, Exception] = {}
        every = list(cells(resolved, self.mode.precision))
        groups = self._groups(resolved, every)
        planned = [self._planned(cell, groups, costs, begun, faults) for cell in every]
        return SuitePlan(resolved, tuple(planned), groups)

    def job(self, cell: Cell, replicas: int) -> Job:
        """The run of a cell, in a group of this size.

        Raises:
            MissingData: its data set is missing.
            DataError: its data set cannot be used.
        """
        dataset, data = self.datasets.load(cell.recipe, cell.setup.files)
        mode = replace(self.mode, replicas=replicas)
        return Job(
            cell.recipe, dataset, data, cell.seed, cell.selection, mode, keep_weights=cell.setup.keep_weights
        )

    def _groups(self, resolved: ResolvedSuite, every: Sequence[Cell]) -> dict[Cell, tuple[Cell, ...]]:
        families: dict[Hashable, list[Cell]] = {}
        for cell in every:
            if cell.setup.recipe is not None:
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

    def _planned(
        self,
        cell: Cell,
        groups: Mapping[Cell, Sequence[Cell]],
        costs: Costs,
        begun: set[str],
        faults: dict[int, Exception],
    ) -> PlannedCell:
        if cell.setup.state != "ok":
            return PlannedCell(cell, cell.setup.state, reason=cell.setup.reason)
        known = Ledger(self.store).find(cell.id)
        record = self.store.find(known.run) if known is not None and known.run is not None else None
        recipe = id(cell.recipe)  # a faulty data set is not read again for each seed
        planned = partial(PlannedCell, cell, seconds=costs.known(cell))
        try:
            if recipe in faults:
                raise faults[recipe]
            identity = self.job(cell, len(groups[cell])).identity()
        except Exception as error:
            faults[recipe] = error
            if record is not None:
                return planned("found", record.info.id, reason="its data set is not here to compare with")
            status: Status = "no data" if isinstance(error, MissingData) else "cannot run"
            return planned(status, reason=message_of(error), error=error)
        run, data = run_id(identity), run_id(identity["data"])
        if self.store.find(run) is not None:
            return planned("found", run, data)
        if record is not None and same_figures(record.info.identity, identity):
            return planned("found", record.info.id, data)
        if self.store.is_running(run):
            return planned("running elsewhere", run, data, reason="another process computes it")
        if run in begun:
            if self.only_missing:
                return planned("interrupted", run, data, reason="it was begun; --only-missing leaves it")
            return planned("to resume", run, data)
        if known is not None and known.state == "failed" and known.data == data and not self.retry_failed:
            return planned("failed before", run, data, reason=known.message)
        return planned("to run", run, data)


def message_of(error: Exception) -> str:
    """One line, with the type of an error that is not a user's."""
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
"""What runs of equal cost share: all of a cell's definition except the seed, the data and the versions."""


class Costs:
    """Estimated time of cells, in seconds.

    Args:
        records: runs of the store.
        mode: how cells are computed; runs on another device do not count.
    """

    def __init__(self, records: Iterable[RunRecord], mode: ExecutionMode) -> None:
        self._seconds: dict[str | None, list[float]] = {}
        """By :func:`_cost_key`; of those measured also by data set, and None: of all of them."""
        for one in records:
            seconds = one.environment.get("seconds")
            device = (one.info.identity.get("execution") or {}).get("device")
            if isinstance(seconds, (int, float)) and device == mode.device and not one.info.resumed:
                self._seconds.setdefault(_cost_key(one.info.identity), []).append(float(seconds))

    def known(self, cell: Cell) -> float | None:
        """The mean of equal runs in the store; None: there is none."""
        return self._mean(_cost_key(cell.definition))

    def measured(self, cell: Cell, seconds: float) -> None:
        """Add a cell that has just been computed."""
        for key in (_cost_key(cell.definition), cell.dataset, None):
            self._seconds.setdefault(key, []).append(seconds)

    def estimate(self, cell: Cell) -> float | None:
        """The mean of equal runs, else of those measured on its data set, else of all; None: unknown."""
        return self._mean(_cost_key(cell.definition), cell.dataset, None)

    def _mean(self, *keys: str | None) -> float | None:
        return next((fmean(self._seconds[key]) for key in keys if key in self._seconds), None)


def _cost_key(identity: Mapping[str, Any]) -> str:
    return canonical({name: identity.get(name) for name in _COMPARED})
