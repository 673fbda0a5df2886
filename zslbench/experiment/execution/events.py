"""Reports of a running computation to displays, plugins and a run's notes; requests to stop it."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Protocol, runtime_checkable

from zslbench.plugin.lookup import Registry
from zslbench.store.record import RunInfo
from zslbench.training.context import Observer, Silent


@runtime_checkable
class Display(Protocol):
    """Where progress is shown."""

    def observer(self, title: str) -> contextlib.AbstractContextManager[Observer]:
        """Shows the training of one run, or of several at once, under a title."""

    def say(self, text: str) -> None:
        """Shows a line."""


class Quiet:
    """A display that shows nothing."""

    @contextlib.contextmanager
    def observer(self, title: str) -> Iterator[Observer]:
        yield Silent()

    def say(self, text: str) -> None: ...


class PluginObserver:
    """Passes a run's events on to its display and to plugins' lifecycle hooks."""

    def __init__(self, shown: Observer, registry: Registry, info: RunInfo) -> None:
        self._shown, self._registry, self._info = shown, registry, info

    def stage_started(self, stage: str, epochs: int, done: int) -> None:
        self._shown.stage_started(stage, epochs, done)

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        self._shown.epoch_ended(stage, epoch, epochs, metrics)
        self._registry.call_lifecycle(
            "zslbench_epoch_ended", run=self._info, stage=stage, epoch=epoch, metrics=dict(metrics)
        )

    def stage_ended(self, stage: str) -> None:
        self._shown.stage_ended(stage)


class GroupObserver:
    """One display for runs that train together: in each stage it shows the run that began the stage first.

    Once that run has failed, the next one that reports anything of the stage takes its place.
    """

    def __init__(self, shown: Observer) -> None:
        self.shown = shown
        self.leaders: dict[str, int | None] = {}
        """Which run is shown in each stage under way; None: the next one that reports."""

    @contextlib.contextmanager
    def member(self, slot: int) -> Iterator[Observer]:
        """The observer of one run of the group."""
        try:
            yield _MemberObserver(self, slot)
        finally:
            self.leaders |= {stage: None for stage, leader in self.leaders.items() if leader == slot}


class _MemberObserver:
    def __init__(self, group: GroupObserver, slot: int) -> None:
        self._group, self._slot = group, slot

    def _leads(self, stage: str) -> bool:
        leaders = self._group.leaders
        if stage in leaders and leaders[stage] is None:
            leaders[stage] = self._slot
        return leaders.get(stage) == self._slot

    def stage_started(self, stage: str, epochs: int, done: int) -> None:
        self._group.leaders.setdefault(stage, self._slot)
        if self._leads(stage):
            self._group.shown.stage_started(stage, epochs, done)

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        if self._leads(stage):
            self._group.shown.epoch_ended(stage, epoch, epochs, metrics)

    def stage_ended(self, stage: str) -> None:
        if self._leads(stage):
            del self._group.leaders[stage]
            self._group.shown.stage_ended(stage)


@contextlib.contextmanager
def collected_warnings(thread: int | None = None) -> Iterator[list[str]]:
    """Warnings of zslbench and its plugins while a run is computed; they become notes of its record.

    Args:
        thread: only those of this thread; None: of all.
    """
    notes: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if text not in notes and thread in (None, record.thread):
                notes.append(text)

    handler = Collect(logging.WARNING)
    logger = logging.getLogger("zslbench")
    logger.addHandler(handler)
    try:
        yield notes
    finally:
        logger.removeHandler(handler)


@contextlib.contextmanager
def stop_requests(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Catch Ctrl-C and SIGTERM (as a cluster sends): a run then ends at its next checkpoint.

    Yields a function that says whether a stop was requested. A second signal acts at once. Outside the main
    thread signals cannot be caught, and none is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    requested = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True
        say("stopping at the next checkpoint; press Ctrl-C again to stop at once")

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield lambda: requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
