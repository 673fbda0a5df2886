"""Progress of an extraction on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

SECONDS = 10
"""Least time between plain lines; the first comes sooner."""


class ImageBar:
    """Images, images per second and time left; a :class:`~zslbench_data.download.display.Display`."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def begin(self, what: str, total: int | None, done: int = 0) -> None:
        self._what, self._total, self._first, self._done = what, total or 0, done, done
        self._began = self._told = self._clock()
        if not self._console.is_terminal:
            already = f", goes on after {done:,}" if done else ""
            self.say(f"{what}: {self._total:,} pictures{already}")
            return
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            _Rate(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task(what, total=total, completed=done)

    def advance(self, step: int) -> None:
        self._done += step
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, step)
            return
        now = self._clock()
        if now - self._told >= SECONDS or self._done == self._total:
            self._told = now
            rate = (self._done - self._first) / max(now - self._began, 1e-9)
            left = _time((self._total - self._done) / rate) if rate else "?"
            self.say(f"{self._what}: {self._done:,} of {self._total:,}, {rate:.3g} images/s, {left} left")

    def end(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.3g} images/s" if task.speed else "- images/s")


def _time(seconds: float) -> str:
    """
    >>> _time(42), _time(600), _time(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
