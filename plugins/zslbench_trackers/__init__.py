"""Trackers: JSON lines, TensorBoard and MLflow."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from zslbench import Tracker, hookimpl
from zslbench.errors import SettingsError
from zslbench.plugin import RunTracker

if TYPE_CHECKING:
    from zslbench.store import RunInfo, RunRecord

Log = TypeVar("Log")


@hookimpl
def zslbench_trackers() -> Iterator[Tracker]:
    yield Tracker(
        name="jsonl",
        target="zslbench_trackers.jsonl:JsonLines",
        summary="One JSON object per line: one file per run, or the given .jsonl file",
    )
    yield Tracker(
        name="tensorboard",
        target="zslbench_trackers.tensorboard:TensorBoard",
        summary="TensorBoard event files in the given folder",
        requires=("tensorboard",),
        extra="tensorboard",
    )
    yield Tracker(
        name="mlflow",
        target="zslbench_trackers.mlflow:MLflow",
        summary="MLflow runs, in the given folder or at the given tracking URI",
        requires=("mlflow", "sqlalchemy", "alembic"),
        extra="mlflow",
    )


class LogTracker(RunTracker, Generic[Log]):
    """A tracker that has a log of each run in progress, continues unfinished ones, and repeats no epoch."""

    place = ""

    def __init__(self) -> None:
        self.logs: dict[str, tuple[Log, set[tuple[str, int]]]] = {}
        """By run id: its log, and the epochs of each stage in it."""

    @abstractmethod
    def open(self, run: RunInfo) -> tuple[Log, set[tuple[str, int]]]:
        """The log of the run's unfinished attempt, or a new one, and the epochs of stages in it."""

    @abstractmethod
    def epoch(self, log: Log, stage: str, epoch: int, metrics: Mapping[str, float]) -> None: ...

    @abstractmethod
    def finish(self, log: Log, run: RunInfo, record: RunRecord) -> None: ...

    @abstractmethod
    def stop(self, log: Log, reason: str, interrupted: bool) -> None: ...

    def run_started(self, run: RunInfo) -> None:
        self.logs[run.id] = self.open(run)

    def epoch_ended(self, run: RunInfo, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        log, logged = self.logs[run.id]
        if (stage, epoch) not in logged:
            self.epoch(log, stage, epoch, metrics)
            logged.add((stage, epoch))

    def run_finished(self, run: RunInfo, record: RunRecord) -> None:
        self.finish(self.logs.pop(run.id)[0], run, record)

    def run_stopped(self, run: RunInfo, error: BaseException, interrupted: bool) -> None:
        reason = "interrupted" if interrupted else f"{type(error).__name__}: {error}"
        self.stop(self.logs.pop(run.id)[0], reason, interrupted)


def folder_of(tracker: str, where: str | None, default: Path) -> Path:
    """The requested folder, or the default; it is created.

    Raises:
        SettingsError: it is a file, or cannot be created or written to.
    """
    folder = Path(where).expanduser().absolute() if where else default
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"--track {tracker}={folder}: cannot be created ({error}); name another folder"
        ) from None
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"--track {tracker}={folder}: cannot be written to; name another folder")
    return folder
