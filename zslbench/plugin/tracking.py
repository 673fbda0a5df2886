"""The interface of a tracker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from zslbench.store.record import RunInfo, RunRecord


class RunTracker(ABC):
    """Follows the runs of one command. Its methods are called as the lifecycle hooks of their names are.

    Several runs may be under way at once; each call says which run it is about. The same run may come again
    in another process, after an interruption or a kill: a tracker then goes on with what it had begun
    (``run.id`` is the same) and leaves out epochs that it already has, for a run goes on from a checkpoint
    that may lie behind them. A run that is computed anew (``--force``) although the tracker has its end is a
    new attempt. An exception becomes a warning; the run goes on.

    Args:
        where: what the user wrote after ``NAME=``; None: nothing.
        folder: a folder of this tracker's own in the store, not made yet: the place where nothing was said.

    Raises:
        ZslbenchError: ``where`` is no place for it; the command then ends before its first run.
    """

    @abstractmethod
    def __init__(self, where: str | None, folder: Path) -> None: ...

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it writes, for the user."""

    @abstractmethod
    def run_started(self, run: RunInfo) -> None:
        """A run begins or goes on."""

    @abstractmethod
    def epoch_ended(self, run: RunInfo, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """One epoch of one stage ended; ``epoch`` counts from 1. It must be quick: training waits for it."""

    @abstractmethod
    def run_finished(self, run: RunInfo, record: RunRecord) -> None:
        """The run's result is in the store."""

    @abstractmethod
    def run_stopped(self, run: RunInfo, error: BaseException, interrupted: bool) -> None:
        """The run ended without a result.

        Args:
            interrupted: somebody stopped it and it goes on later; else it failed with ``error``.
        """

    def close(self) -> None:
        """The command ends."""
