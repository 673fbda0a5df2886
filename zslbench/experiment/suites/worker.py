"""A worker: computes groups of a submission in this process."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zslbench.errors import Interrupted, SettingsError, ZslbenchError
from zslbench.experiment.datasets import DatasetCache
from zslbench.experiment.events import Display, stop_requests, tracked
from zslbench.experiment.suites.claims import Claims
from zslbench.experiment.suites.group_state import GroupReport
from zslbench.experiment.suites.lines import PENDING, Cell, ResolvedSuite, resolve_suite
from zslbench.experiment.suites.run import Bench, Watcher
from zslbench.experiment.suites.submission import PlannedGroup, Submission
from zslbench.pipes import stoppers
from zslbench.plugin.lookup import Registry
from zslbench.training.context import Observer

WAIT = 5.0
"""Seconds between two attempts to claim a group that another process holds."""


def work(
    folder: Path,
    registry: Registry,
    display: Display,
    groups: Sequence[int] = (),
    *,
    log: str | None = None,
    attached: bool = False,
) -> None:
    """Compute groups of the submission in a folder; without any, take what is left until nothing is.

    A run that fails is recorded as failed; the others go on.

    Args:
        log: where the output of this process goes, for those who look at its state.
        attached: stop when standard input ends, since the process that started this one has gone.

    Raises:
        Interrupted: stopped on request; the same call resumes.
        ZslbenchError: the submission cannot be read, or its runs are not those of the code here.
    """
    submission = Submission.open(folder)
    if wrong := [one for one in groups if not 0 <= one < len(submission.groups)]:
        raise SettingsError(
            f"submission {submission.name}: no group {wrong[0]}, it has {len(submission.groups)}"
        )
    os.chdir(submission.working_folder)
    claims = Claims(submission)
    with stop_requests(display.say) as stopped:
        if attached:
            threading.Thread(target=_stop_with_stdin, daemon=True).start()
        with tracked(registry, submission.options.track, submission.store.root, display.say):
            worker = _Worker(submission, registry, display)
            for number in _waited(claims, groups, stopped) if groups else claims.remaining():
                with GroupReport(submission.folder, number, log) as report:
                    worker.compute(submission.groups[number], report)
                claims.release(number)
                if stopped():
                    break
        if stopped():
            raise Interrupted("stopped; the same command resumes")
    claims.close()


def _waited(claims: Claims, groups: Sequence[int], stopped: Callable[[], bool]) -> Iterator[int]:
    """These groups, one by one, each as soon as no other process holds it; not those that have ended."""
    for number in groups:
        while not claims.has_ended(number) and not stopped():
            if claims.take(number):
                yield number
                break
            # After the death of a node its locks may last for a while.
            time.sleep(WAIT)


def _stop_with_stdin() -> None:
    while os.read(0, 1024):  # sys.stdin would be locked at the end of the process
        pass
    for stop in stoppers:
        stop()


class _Worker(Watcher):
    """Computes groups one after the other, with the data set in memory."""

    def __init__(self, submission: Submission, registry: Registry, display: Display) -> None:
        self._submission, self._registry, self._display = submission, registry, display
        self._suite, self._options = submission.suite, submission.options
        self._datasets = DatasetCache(self._options.data_root, display.say, self._options.store_check)
        self._known: dict[frozenset[tuple[str, str]], ResolvedSuite] = {}

    def compute(self, group: PlannedGroup, report: GroupReport) -> None:
        """Compute the wanted cells of a group."""
        shown = ReportingDisplay(self._display, report)
        bench = Bench(
            self._suite,
            self._registry,
            self._options,
            shown,
            retry_failed=True,
            force=self._submission.force,
            group=self._resolved(group),
            datasets=self._datasets,
        )
        bench.plan()
        for cell, planned in zip(bench.cells, group.cells, strict=True):
            if not planned.wanted and cell.status in PENDING:
                cell.status = "interrupted"
        reporter = _CellReporter(bench.cells, report)
        for cell, planned in zip(bench.cells, group.cells, strict=True):
            if planned.wanted and cell.status not in PENDING:
                bench.record(cell)
                reporter.ended(cell, None)
        bench.compute(reporter)

    def _resolved(self, group: PlannedGroup) -> ResolvedSuite:
        """The group's cells alone.

        Raises:
            ZslbenchError: they are not those that were planned.
        """
        places = frozenset((one.line, one.dataset) for one in group.cells)
        if places not in self._known:
            precision, root = self._options.mode().precision, self._options.data_root
            self._known[places] = resolve_suite(self._suite, self._registry, root, precision, places)
        found = self._known[places]
        known = {(*cell.place, cell.seed): replace(cell) for cell in found.cells}
        cells = []
        for one in group.cells:
            cell = known.get((one.line, one.dataset, one.selection, one.seed))
            if cell is None or cell.resolved is None or cell.id != one.id:
                raise ZslbenchError(
                    f"{one.label}: not the run that was planned, because code of zslbench or a plugin, or a "
                    "file of the suite, has changed since; run the command that submitted it again"
                )
            cells.append(cell)
        return ResolvedSuite(found.suite, found.lines, tuple(cells), found.remarks)


class _CellReporter(Watcher):
    """Reports each cell that has ended."""

    def __init__(self, cells: Sequence[Cell], report: GroupReport) -> None:
        self._places = {cell: str(place) for place, cell in enumerate(cells)}
        self._report = report

    def ended(self, cell: Cell, left: float | None) -> None:
        result = {"status": cell.status, "run": cell.run, "reason": cell.reason}
        self._report.update(cells={**self._report.state.cells, self._places[cell]: result})


class ReportingDisplay:
    """A display whose observers also report."""

    def __init__(self, display: Display, report: GroupReport) -> None:
        self.say, self._display, self._report = display.say, display, report

    @contextlib.contextmanager
    def observer(self, title: str) -> Iterator[Observer]:
        with self._display.observer(title) as observer:
            yield _Both(observer, self._report)
        self._report.update(stage=None, epoch=None)


class _Both:
    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def stage_started(self, stage: str, epochs: int, done: int) -> None:
        for one in self._observers:
            one.stage_started(stage, epochs, done)

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        for one in self._observers:
            one.epoch_ended(stage, epoch, epochs, metrics)

    def stage_ended(self, stage: str) -> None:
        for one in self._observers:
            one.stage_ended(stage)
