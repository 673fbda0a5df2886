"""The interface of a tracker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from zslbench.store.record import RunInfo, RunRecord


class RunTracker(ABC):
    """Follows the runs of one command. Its methods are called like the lifecycle hooks of the same names.

    Several runs may be in progress at once; each call names its run. The same run may come again in another
    process, after an interruption or a kill: a tracker then continues what it began (``run.id`` is the same)
    and skips epochs that it already has, since a run resumes from a checkpoint that may be older. A run that
    is computed again (``--force``) after it finished is a new attempt. An exception becomes a warning; the
    run continues.

    Args:
        where: what the user wrote after ``NAME=``; None: nothing.
        folder: a folder of the store for this tracker, not created yet: the default place.

    Raises:
        ZslbenchError: ``where`` cannot be used; the command then ends before its first run.
    """

    @abstractmethod
    def __init__(self, where: str | None, folder: Path) -> None: ...

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it writes, for the user."""

    @abstractmethod
    def run_started(self, run: RunInfo) -> None:
        """A run begins or resumes."""

    @abstractmethod
    def epoch_ended(self, run: RunInfo, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch of a stage ended; ``epoch`` counts from 1. It must be quick: training waits for it."""

    @abstractmethod
    def run_finished(self, run: RunInfo, record: RunRecord) -> None:
        """The run's result is in the store."""

    @abstractmethod
    def run_stopped(self, run: RunInfo, error: BaseException, interrupted: bool) -> None:
        """The run ended without a result.

        Args:
            interrupted: somebody stopped it and it can resume; otherwise it failed with ``error``.
        """

    def close(self) -> None:
        """The command ends."""
