"""What cells will cost, estimated from finished runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean

from zslbench.experiment.job import ExecutionMode
from zslbench.experiment.suites.lines import PENDING, Cell, computation
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

_ENOUGH = 8
"""How many finished runs of a suite are enough to estimate the cost of an equal one."""


class Costs:
    """Estimated time of cells in seconds, from finished runs on the same kind of device."""

    def __init__(self, store: Store, mode: ExecutionMode) -> None:
        self._store, self._device = store, mode.device
        self._seconds: dict[str | None, list[float]] = {}
        """By :func:`computation`; those measured here also by data set, and all of them under None."""

    def learn(self, cells: Iterable[Cell]) -> None:
        """Find finished runs equal to the pending cells: in the suite, and only then in the whole store."""
        # Opening every run of a large store takes seconds.
        found, unknown = [], set()
        for cell in cells:
            if cell.status in PENDING:
                unknown.add(cell.computation)
            elif cell.status == "found":
                found.append(cell)
        for cell in found:
            key = cell.computation
            if key in unknown and len(self._seconds.get(key, ())) < _ENOUGH:
                self._add(key, self._store.find(cell.run or ""))
        unknown -= self._seconds.keys()
        for record in self._store.records() if unknown else ():
            if (key := computation(record.info.identity)) in unknown:
                self._add(key, record)

    def _add(self, key: str, record: RunRecord | None) -> None:
        if record is None or record.info.resumed:
            return
        seconds = record.environment.get("seconds")
        device = (record.info.identity.get("execution") or {}).get("device")
        if isinstance(seconds, (int, float)) and device == self._device:
            self._seconds.setdefault(key, []).append(float(seconds))

    def known(self, cell: Cell) -> float | None:
        """The mean of equal runs in the store; None: there is none."""
        return self._mean(cell.computation)

    def measured(self, cell: Cell, seconds: float) -> None:
        """Add a cell that has just been computed."""
        for key in (cell.computation, cell.dataset, None):
            self._seconds.setdefault(key, []).append(seconds)

    def estimate(self, cells: Sequence[Cell]) -> float | None:
        """The total cost of these cells; None: the cost of one of them is unknown.

        Each one costs the mean of equal runs, else of those measured on its data set, else of all.
        """
        total = 0.0
        for (key, dataset), count in Counter((cell.computation, cell.dataset) for cell in cells).items():
            if (one := self._mean(key, dataset, None)) is None:
                return None
            total += count * one
        return total

    def _mean(self, *keys: str | None) -> float | None:
        return next((fmean(self._seconds[key]) for key in keys if key in self._seconds), None)
