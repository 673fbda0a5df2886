"""Progress of a suite on standard error: a grid of its cells on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from zslbench.cli.progress import Bars, TerminalDisplay, duration, stage_bars
from zslbench.experiment.suites.plan import PENDING, PlannedCell, SuitePlan
from zslbench.experiment.suites.run import End, Watcher
from zslbench.report.results import selection_label

Place = tuple[str, str, str]
"""Label of a line, data set, selection."""

_FINISHED, _STARTED, _BROKEN, _ABSENT = "green", "bold cyan", "bold red", "dim"
_STATES = {"found": "found", "failed before": "failed", "cannot run": "failed"} | dict.fromkeys(
    PENDING, "pending"
)
"""Statuses that have another name in the grid."""


def cells(count: int) -> str:
    """How many, in words.

    >>> cells(1)
    '1 cell'
    """
    return f"{count} cell{'' if count == 1 else 's'}"


def watching() -> Lines:
    """The display and watcher for this standard error; the suite must run inside its context."""
    shown = Grid()
    return shown if shown.console.is_terminal else Lines()


class Lines(TerminalDisplay, Watcher):
    """Prints a line when a run starts and when one fails."""

    def __init__(self) -> None:
        super().__init__()
        self._pending: tuple[PlannedCell, ...] = ()
        self._place = 0

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None: ...

    def planned(self, plan: SuitePlan) -> None:
        """Say how many cells there are in which state."""
        self._pending = plan.pending
        there = Counter(step.status for step in plan.cells)
        self.say(f"{cells(len(plan.cells))}: " + ", ".join(f"{n} {status}" for status, n in there.items()))
        for text in plan.resolved.remarks:  # now, not when everything has finished
            self.say(text)

    def started(self, step: PlannedCell, left: float | None) -> None:
        """Say which run starts and how long the rest may take."""
        self._place += 1
        rest = "" if left is None else f" (about {duration(left)} left)"
        self.say(f"run {self._place} of {len(self._pending)}: {step.cell.label}{rest}")

    def ended(self, step: PlannedCell, end: End, message: str, left: float | None) -> None:
        """Report a failed run, or one that was left to another process."""
        if end in ("failed", "left"):
            self.say(f"{end}: {step.cell.label}: {message}")


class Grid(Lines):
    """Shows overall progress, the current run, and all cells with their finished seeds."""

    def __init__(self) -> None:
        super().__init__()
        self._plan: SuitePlan | None = None
        self._cells: dict[Place, dict[int, str]] = {}
        self._stages: Progress | None = None
        self._title = ""
        self._ends: float | None = None
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

    def planned(self, plan: SuitePlan) -> None:
        """Show the grid."""
        super().planned(plan)
        self._plan = plan
        for step in plan.cells:
            state = _STATES.get(step.status, step.status)
            self._cells.setdefault(_place(step), {})[step.cell.seed] = state
        self._overall.add_task(plan.resolved.suite.name, total=len(plan.pending), left="")
        if plan.pending:
            self._live.start()

    def started(self, step: PlannedCell, left: float | None) -> None:
        """Mark the cell as running."""
        self._cells[_place(step)][step.cell.seed] = "running"
        self._estimated(left)

    def ended(self, step: PlannedCell, end: End, message: str, left: float | None) -> None:
        """Mark how it ended; a failure is printed above the grid."""
        state = {"done": "found", "left": "running elsewhere"}.get(end, end)
        self._cells[_place(step)][step.cell.seed] = state
        self._overall.advance(self._overall.task_ids[0])
        self._estimated(left)
        super().ended(step, end, message, left)

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
        if self._plan is not None:
            parts.append(grid(self._plan, self._cells))
        return Group(*parts)


def grid(plan: SuitePlan, states: Mapping[Place, Mapping[int, str]]) -> Table:
    """Lines by data sets and selections; each cell counts its finished, failed and running seeds.

    Args:
        states: of each seed, ``found``, ``running``, ``failed``, ``pending``, or why there is nothing to do.
    """
    suite = plan.resolved.suite
    table = Table("", box=None, pad_edge=False)
    columns = [(dataset, mode) for dataset in suite.datasets for mode in suite.select]
    for dataset, mode in columns:
        table.add_column(f"{dataset} {selection_label(mode)}", justify="right")
    for line in plan.resolved.lines:
        cells = [_cell(states.get((line.label, *column), {})) for column in columns]
        table.add_row(Text(line.label), *cells)
    return table


def _cell(states: Mapping[int, str]) -> Text:
    counts = Counter(states.values())
    if len(counts) == 1 and next(iter(counts)) in ("no data", "no plugin"):
        return Text(next(iter(counts)), style=_ABSENT)
    whole = counts["found"] == len(states)
    text = Text(f"{counts['found']}/{len(states)}", style=_FINISHED if whole else "")
    if counts["failed"]:
        text.append(f" ✗{counts['failed']}", style=_BROKEN)
    if counts["running"]:
        text.append(" ▶", style=_STARTED)
    return text


def _place(step: PlannedCell) -> Place:
    return step.cell.line.label, step.cell.dataset, step.cell.selection.mode
