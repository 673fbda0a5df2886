"""Progress of a run on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from zslbench.output import echo, quiet, visible
from zslbench.report.console import Console, TextColumn

SHOWN = 4
"""Number of metrics shown next to a bar."""

SECONDS = 5
"""Minimum time between plain lines of a stage; its last epoch always has one."""

_ROOM = Column(no_wrap=True, overflow="ellipsis", ratio=1)


class TerminalDisplay:
    """The command line's display of progress and notes."""

    def __init__(self) -> None:
        self._quiet = quiet()
        self.console = Console(stderr=True, quiet=self._quiet)
        logger = logging.getLogger("zslbench")
        logger.handlers = [one for one in logger.handlers if not isinstance(one, _Log)]
        logger.addHandler(_Log(self))
        logger.setLevel(logging.INFO)
        logger.propagate = False

    def say(self, text: str) -> None:
        self.console.print(visible(text), style="dim", soft_wrap=True)

    def warn(self, text: str) -> None:
        """Show a line even with ``--quiet``."""
        if self._quiet:
            echo(text, err=True)
        else:
            self.say(text)

    @contextlib.contextmanager
    def observer(self, title: str) -> Iterator[Any]:
        self.console.print(visible(title), style="bold", soft_wrap=True)
        if not self.console.is_terminal:
            yield _Lines(self.console)
            return
        with stage_bars(self.console) as progress:
            yield Bars(progress)


def stage_bars(console: Console) -> Progress:
    """The bars of one run's stages, for :class:`Bars`."""
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=20)),
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        # Metrics take the remaining room, and are cut first.
        TextColumn("{task.fields[figures]}", style="dim", table_column=_ROOM),
    )
    # Standard output needs no redirection: what plugins print already goes to standard error.
    return Progress(*columns, console=console, expand=True, redirect_stdout=False)


class _Log(logging.Handler):
    """Shows log messages of zslbench and its plugins above the bars."""

    def __init__(self, display: TerminalDisplay) -> None:
        super().__init__(logging.INFO)
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._display.warn(f"warning: {record.getMessage()}")
        else:
            self._display.say(record.getMessage())


class Bars:
    """One bar per stage, with its epochs, time left and latest losses."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def stage_started(self, stage: str, epochs: int, done: int) -> None:
        if stage in self._tasks:
            self._progress.reset(self._tasks[stage], total=epochs, completed=done, figures="")
        else:
            self._tasks[stage] = self._progress.add_task(stage, total=epochs, completed=done, figures="")

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        self._progress.update(self._tasks[stage], completed=epoch, figures=figures(metrics))

    def stage_ended(self, stage: str) -> None:
        self._progress.stop_task(self._tasks[stage])


class _Lines:
    """A line every few seconds and at the end of each stage, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = self._printed = time.monotonic()
        self._done = 0

    def stage_started(self, stage: str, epochs: int, done: int) -> None:
        self._started = self._printed = time.monotonic()
        self._done = done
        if done:
            self._console.print(f"  {stage}: resumes after epoch {done}/{epochs}")

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        now = time.monotonic()
        if epoch != epochs and now - self._printed < SECONDS:
            return
        self._printed, took = now, now - self._started
        left = took / max(1, epoch - self._done) * (epochs - epoch)
        text = f"  {stage}: epoch {epoch}/{epochs}, {took:.0f} s, {left:.0f} s left  {figures(metrics)}"
        self._console.print(visible(text), soft_wrap=True)

    def stage_ended(self, stage: str) -> None: ...


def figures(metrics: Mapping[str, float]) -> str:
    """The most useful metrics: evaluations first, then total losses, then the rest."""

    def rank(name: str) -> int:
        return 0 if name.startswith(("val_", "test_")) else 1 if name.endswith("_loss") else 2

    chosen = sorted(metrics, key=rank)[:SHOWN]
    return "  ".join(f"{name} {metrics[name]:.4g}" for name in chosen)


def duration(seconds: float) -> str:
    """Roughly how long: ``"40 s"``, ``"12 min"``, ``"3 h 20 min"``, ``"2 d 5 h"``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
