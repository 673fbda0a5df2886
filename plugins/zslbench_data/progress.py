"""The progress of long operations, on standard error: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator

from rich.filesize import decimal
from rich.progress import BarColumn, Progress, Task

from zslbench.cli import duration
from zslbench.output import quiet, visible
from zslbench.report import Console, TextColumn

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
        self._console = console or Console(stderr=True, quiet=quiet())
        self._clock, self._shown = clock, 0.0
        self._bars: Progress | None = None

    def message(self, text: str) -> None:
        """Show a line, such as ``"retrying in 2 s"``."""
        self._console.print(visible(text), soft_wrap=True)

    @contextlib.contextmanager
    def task(self, what: str, total: int | None, done: int = 0) -> Iterator[None]:
        """The block is a task of ``total`` units (None: unknown), of which ``done`` were finished earlier."""
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[figures]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            get_time=self._clock,
        )
        self._bars.start()
        self._bars.add_task(what, total=total, completed=done, figures="")
        self._shown = self._clock()
        if self._bars.disable:
            resumed = f", resuming after {self._amount(done)}" if done else ""
            self.message(f"{what}: {self._amount(total)}{resumed}")
        try:
            yield
        finally:
            if not self._bars.disable:  # a disabled one of old versions would write an empty line
                self._bars.stop()
            self._bars = None

    def advance(self, step: int) -> None:
        """``step`` more units are finished."""
        if self._bars is None:
            return
        (task,) = self._bars.tasks
        self._bars.advance(task.id, step)
        figures = self._figures(task)
        self._bars.update(task.id, figures=figures)
        is_due = self._clock() - self._shown >= SECONDS or task.completed == task.total
        if self._bars.disable and is_due:
            self._shown = self._clock()
            self.message(f"{task.description}: {figures}")

    def _figures(self, task: Task) -> str:
        speed = f"{self._amount(task.speed)}/s" if task.speed else "-"
        left = "?" if task.time_remaining is None else duration(float(task.time_remaining))
        return f"{self._amount(task.completed)} of {self._amount(task.total)}, {speed}, {left} left"

    def _amount(self, count: int | float | None) -> str:
        return human(None if count is None else int(count))


SILENT = Display(Console(quiet=True, file=io.StringIO()))
"""Shows nothing."""


class ImageDisplay(Display):
    """Shows tasks that are measured in images."""

    def _amount(self, count: int | float | None) -> str:
        number = count or 0
        return f"{number:,.0f} images" if number >= 100 else f"{number:.3g} images"
