"""What cells will cost, estimated from finished runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean

from zslbench.experiment.job import ExecutionMode
from zslbench.experiment.suites.lines import Cell, cost_key
from zslbench.store.record import RunRecord


class Costs:
    """Estimated time of cells in seconds, from runs of the store on the same kind of device."""

    def __init__(self, records: Iterable[RunRecord], mode: ExecutionMode) -> None:
        self._seconds: dict[str | None, list[float]] = {}
        """By :func:`cost_key`; those measured here also by data set, and all of them under None."""
        for one in records:
            seconds = one.environment.get("seconds")
            device = (one.info.identity.get("execution") or {}).get("device")
            if isinstance(seconds, (int, float)) and device == mode.device and not one.info.resumed:
                self._seconds.setdefault(cost_key(one.info.identity), []).append(float(seconds))

    def known(self, cell: Cell) -> float | None:
        """The mean of equal runs in the store; None: there is none."""
        return self._mean(cell.cost_key)

    def measured(self, cell: Cell, seconds: float) -> None:
        """Add a cell that has just been computed."""
        for key in (cell.cost_key, cell.dataset, None):
            self._seconds.setdefault(key, []).append(seconds)

    def estimate(self, cells: Sequence[Cell]) -> float | None:
        """The total cost of these cells; None: the cost of one of them is unknown.

        Each one costs the mean of equal runs, else of those measured on its data set, else of all.
        """
        total = 0.0
        for (key, dataset), count in Counter((cell.cost_key, cell.dataset) for cell in cells).items():
            if (one := self._mean(key, dataset, None)) is None:
                return None
            total += count * one
        return total

    def _mean(self, *keys: str | None) -> float | None:
        return next((fmean(self._seconds[key]) for key in keys if key in self._seconds), None)
