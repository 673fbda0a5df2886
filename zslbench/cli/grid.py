"""Progress of a suite on standard error: a grid of its cells on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from zslbench.cli.progress import SECONDS, Bars, TerminalDisplay, duration, stage_bars
from zslbench.data.split_sets import columns_of
from zslbench.experiment.suites.lines import Cell, Place, Status
from zslbench.experiment.suites.run import Bench, Watcher
from zslbench.output import visible
from zslbench.report.console import TextColumn
from zslbench.report.results import selection_label

_FINISHED, _STARTED, _BROKEN, _ABSENT = "green", "bold cyan", "bold red", "dim"


def states_text(bench: Bench) -> str:
    """How many cells are in which state: ``"4 cells: 2 to run, 2 no plugin"``."""
    count, states = len(bench.cells), Counter(cell.status for cell in bench.cells)
    states_of = ", ".join(f"{number} {status}" for status, number in states.items())
    return f"{count} cell{'' if count == 1 else 's'}: {states_of}"


def watching() -> Lines:
    """The display and watcher for this standard error; the suite must run inside its context."""
    shown = Grid()
    return shown if shown.console.is_terminal else Lines()


class Lines(TerminalDisplay, Watcher, contextlib.AbstractContextManager["Lines"]):
    """Prints a line when a run starts and when one fails."""

    def __init__(self) -> None:
        super().__init__()
        self._runs = self._place = 0
        self._begun, self._said = time.monotonic(), dict[Cell, float]()

    def __exit__(self, *error: object) -> None: ...

    def planned(self, bench: Bench) -> None:
        """Say how many cells there are in which state."""
        self._runs = len(bench.pending)
        self.say(states_text(bench))
        for text in bench.resolved.remarks:  # now, not when everything has finished
            self.say(text)

    def started(self, cell: Cell, left: float | None) -> None:
        """Say which run starts and how long the rest may take."""
        self._place += 1
        rest = "" if left is None else f" (about {duration(left)} left)"
        self.say(f"run {self._place} of {self._runs}: {cell.label}{rest}")

    def progressed(self, cell: Cell, stage: str, epoch: int, epochs: int) -> None:
        """Say how far a worker is, every few seconds."""
        now = time.monotonic()
        if now - self._said.get(cell, self._begun) >= SECONDS:
            self._said[cell] = now
            self.say(f"  {cell.label}: {stage} epoch {epoch}/{epochs}")

    def ended(self, cell: Cell, left: float | None) -> None:
        """Report a failed run, or one that was left to another process."""
        if cell.status in ("failed", "running elsewhere"):
            self.warn(f"{cell.status}: {cell.label}: {cell.reason}")


class Grid(Lines):
    """Shows overall progress, the current run, and all cells with their finished seeds."""

    def __init__(self) -> None:
        super().__init__()
        self._bench: Bench | None = None
        self._stages: Progress | None = None
        self._title = ""
        self._ends: float | None = None
        self._workers: dict[Cell, str] = {}
        self._overall = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
        )
        self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=4)

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def planned(self, bench: Bench) -> None:
        """Show the grid."""
        super().planned(bench)
        self._bench = bench
        self._overall.add_task(bench.resolved.suite.name, total=self._runs, left="")
        if self._runs:
            self._live.start()

    def started(self, cell: Cell, left: float | None) -> None:
        """Update the time left; the grid shows the rest."""
        self._estimated(left)

    def progressed(self, cell: Cell, stage: str, epoch: int, epochs: int) -> None:
        """Show how far a worker is below the overall bar."""
        self._workers[cell] = f"{stage} {epoch}/{epochs}"

    def ended(self, cell: Cell, left: float | None) -> None:
        """Advance the overall bar; a failure is printed above the grid."""
        self._overall.advance(self._overall.task_ids[0])
        self._estimated(left)
        super().ended(cell, left)

    @contextlib.contextmanager
    def observer(self, title: str) -> Iterator[Any]:
        """The bars of one run, below the overall bar."""
        self._title, self._stages = title, stage_bars(self.console)
        try:
            yield Bars(self._stages)
        finally:
            self._stages = None

    def _estimated(self, left: float | None) -> None:
        self._ends = None if left is None else time.monotonic() + left

    def _render(self) -> RenderableType:
        # The essential parts come first: a terminal with too few lines cuts the end of the grid.
        if self._overall.tasks:
            left = None if self._ends is None else max(0.0, self._ends - time.monotonic())
            text = "time left unknown" if left is None else f"about {duration(left)} left"
            self._overall.update(self._overall.task_ids[0], left=text)
        parts: list[RenderableType] = [self._overall.get_renderable()]
        if self._stages is not None:
            parts += [Text(self._title, style="bold"), self._stages.get_renderable()]
        if running := [one for one in self._workers if one.status == "running"]:
            table = Table(box=None, pad_edge=False, show_header=False)
            for cell in running:
                table.add_row(Text(visible(cell.label)), Text(visible(self._workers[cell]), style=_STARTED))
            parts.append(table)
        if self._bench is not None:
            parts.append(grid(self._bench))
        return Group(*parts)


def grid(bench: Bench) -> Table:
    """Lines by the table's columns and selections; entries count their finished, failed and running runs."""
    suite, states = bench.resolved.suite, defaultdict[Place, list[Status]](list)
    column_of = columns_of(suite.datasets, suite.split_sets)
    for cell in bench.cells:
        states[cell.line.label, column_of[cell.dataset], cell.selection.mode].append(cell.status)
    table = Table("", box=None, pad_edge=False)
    columns = [(name, mode) for name in dict.fromkeys(column_of.values()) for mode in suite.select]
    for dataset, mode in columns:
        table.add_column(f"{dataset} {selection_label(mode)}", justify="right")
    for line in bench.resolved.lines:
        table.add_row(Text(line.label), *(_entry(states[line.label, *column]) for column in columns))
    return table


def _entry(states: Sequence[Status]) -> Text:
    counts = Counter(states)
    if len(counts) == 1 and states[0] in ("no data", "no plugin"):
        return Text(states[0], style=_ABSENT)
    found = counts["found"] + counts["done"]
    text = Text(f"{found}/{len(states)}", style=_FINISHED if found == len(states) else "")
    if failed := counts["failed"] + counts["failed before"] + counts["cannot run"]:
        text.append(f" ✗{failed}", style=_BROKEN)
    if counts["running"]:
        text.append(" ▶", style=_STARTED)
    return text
