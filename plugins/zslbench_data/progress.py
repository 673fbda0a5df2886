"""The progress of long operations, on standard error: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

SECONDS = 10
"""Shortest time between lines."""


def human(size: int | None) -> str:
    """A readable number of bytes.

    >>> human(1_150_585_339), human(920_000_000), human(None)
    ('1.2 GB', '920 MB', 'unknown size')
    """
    return "unknown size" if size is None else decimal(size).replace(".0 ", " ")


class Display:
    """Shows messages and one task after another, measured in bytes."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._clock, self._shown = clock, 0.0
        self._bars: Progress | None = None

    def message(self, text: str) -> None:
        """Show a line, such as ``"retrying in 2 s"``."""
        self._console.print(text, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def task(self, what: str, total: int | None, done: int = 0) -> Iterator[None]:
        """:meth:`begin`, then :meth:`end` when the block is left."""
        self.begin(what, total, done)
        try:
            yield
        finally:
            self.end()

    def begin(self, what: str, total: int | None, done: int = 0) -> None:
        """A task of ``total`` units starts (None: unknown), of which ``done`` were finished earlier."""
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            *self._columns(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            get_time=self._clock,
        )
        self._bars.start()
        self._bars.add_task(what, total=total, completed=done)
        self._shown = self._clock()
        if self._bars.disable:
            resumed = f", resuming after {self._amount(done)}" if done else ""
            self.message(f"{what}: {self._amount(total)}{resumed}")

    def advance(self, step: int) -> None:
        """``step`` more units are finished."""
        if self._bars is None:
            return
        (task,) = self._bars.tasks
        self._bars.advance(task.id, step)
        if self._bars.disable and self._is_due(task):
            self._shown = self._clock()
            self.message(f"{task.description}: {self._line(task)}")

    def end(self) -> None:
        """The task is over, finished or not."""
        if self._bars is not None and not self._bars.disable:
            self._bars.stop()
        self._bars = None

    def _is_due(self, task: Task) -> bool:
        return self._clock() - self._shown >= SECONDS

    def _columns(self) -> tuple[ProgressColumn, ...]:
        return DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()

    def _amount(self, count: Any) -> str:
        return human(None if count is None else int(count))

    def _line(self, task: Task) -> str:
        return f"{self._amount(task.completed)} of {self._amount(task.total)}"


SILENT = Display(Console(quiet=True, file=io.StringIO()))
"""Shows nothing."""


class ImageDisplay(Display):
    """Shows tasks that are measured in images, with images per second."""

    def _is_due(self, task: Task) -> bool:
        return super()._is_due(task) or task.finished

    def _columns(self) -> tuple[ProgressColumn, ...]:
        return MofNCompleteColumn(), _Rate(), TextColumn("left"), TimeRemainingColumn(compact=True)

    def _amount(self, count: Any) -> str:
        return f"{int(count or 0):,} images"

    def _line(self, task: Task) -> str:
        from zslbench.cli import duration

        left = "?" if task.time_remaining is None else duration(float(task.time_remaining))
        return f"{int(task.completed):,} of {int(task.total or 0):,}, {_rate(task)}, {left} left"


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_rate(task))


def _rate(task: Task) -> str:
    return f"{task.speed:.3g} images/s" if task.speed else "- images/s"
