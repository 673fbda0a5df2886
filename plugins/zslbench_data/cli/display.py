"""Progress of downloads on standard error: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from zslbench_data.download.display import human

SECONDS = 10
"""Least time between plain lines."""


class Bars:
    """A bar for the piece of work in hand; a :class:`~zslbench_data.download.display.Display`."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._what, self._done, self._told = "", 0, 0.0
        self._total: int | None = None

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def begin(self, what: str, total: int | None, done: int = 0) -> None:
        self._what, self._total, self._done, self._told = what, total, done, time.monotonic()
        if not self._console.is_terminal:
            already = f", goes on after {human(done)}" if done else ""
            self.say(f"{what}: {human(total)}{already}")
            return
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task(what, total=total, completed=done)

    def advance(self, step: int) -> None:
        self._done += step
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, step)
        elif time.monotonic() - self._told >= SECONDS:
            self._told = time.monotonic()
            self.say(f"{self._what}: {human(self._done)} of {human(self._total)}")

    def end(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
