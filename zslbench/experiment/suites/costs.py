"""What runs cost: seconds of those that were computed before, and means of those measured meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zslbench.experiment.execution.mode import ExecutionMode
from zslbench.experiment.suites.cells import Cell
from zslbench.store.identity import canonical
from zslbench.store.record import RunRecord

_SAME = ("method", "variant", "reading", "components", "settings", "search", "tasks", "selection")
"""What like runs share: all of a cell's definition but the seed, the data and the versions."""


class Costs:
    """Estimates of what cells cost, in seconds.

    Args:
        records: runs of the store.
        mode: how cells are computed; runs of another device say nothing of this one.
    """

    def __init__(self, records: Iterable[RunRecord], mode: ExecutionMode) -> None:
        self._stored: dict[str, list[float]] = {}
        self._measured: dict[tuple[str, ...], list[float]] = {}
        for one in records:
            seconds = one.environment.get("seconds")
            device = (one.info.identity.get("execution") or {}).get("device")
            if isinstance(seconds, (int, float)) and device == mode.device and not one.info.resumed:
                self._stored.setdefault(_key(one.info.identity), []).append(float(seconds))

    def known(self, cell: Cell) -> float | None:
        """The mean of like runs in the store; None: there is none."""
        found = self._stored.get(_key(cell.definition))
        return sum(found) / len(found) if found else None

    def measured(self, cell: Cell, seconds: float) -> None:
        """A cell was computed just now."""
        self._stored.setdefault(_key(cell.definition), []).append(seconds)
        for key in ((), (cell.dataset,)):
            self._measured.setdefault(key, []).append(seconds)

    def estimate(self, cell: Cell) -> float | None:
        """The mean of like runs, else of what was measured on its data set, else of all; None: unknown."""
        if (known := self.known(cell)) is not None:
            return known
        found = self._measured.get((cell.dataset,)) or self._measured.get(())
        return sum(found) / len(found) if found else None


def _key(identity: Mapping[str, Any]) -> str:
    return canonical({name: identity.get(name) for name in _SAME})
