"""Observers of a run: displays, plugins, trackers and collected warnings; and requests to stop it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol, runtime_checkable

from zslbench.errors import Interrupted, SettingsError, UnknownName
from zslbench.pipes import stoppers
from zslbench.plugin.boundary import is_stop, one_line, plugin_code, printing_to_stderr
from zslbench.plugin.hookspecs import RunTracker, hookimpl
from zslbench.plugin.lookup import Registry
from zslbench.plugin.targets import load_extra
from zslbench.store.record import RunInfo, RunRecord
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


class RunObserver(contextlib.AbstractContextManager["RunObserver"]):
    """Passes the events of a run on to plugins and, within its context, to a display.

    Several runs that train together share a display: each stage shows the run that began it first. If that
    run fails, the next one that reports anything in the stage takes its place.

    Args:
        leaders: the run shown in each active stage; None: the next one that reports. Shared by the group.
        slot: the run's place in the group.
    """

    def __init__(
        self, shown: Observer, registry: Registry, info: RunInfo, leaders: dict[str, int | None], slot: int
    ) -> None:
        self._shown, self._registry, self._info = shown, registry, info
        self._leaders, self._slot = leaders, slot

    def __exit__(self, *error: object) -> None:
        self._leaders |= {stage: None for stage, leader in self._leaders.items() if leader == self._slot}

    def _leads(self, stage: str) -> bool:
        if stage in self._leaders and self._leaders[stage] is None:
            self._leaders[stage] = self._slot
        return self._leaders.get(stage) == self._slot

    def stage_started(self, stage: str, epochs: int, done: int) -> None:
        self._leaders.setdefault(stage, self._slot)
        if self._leads(stage):
            self._shown.stage_started(stage, epochs, done)

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        if self._leads(stage):
            self._shown.epoch_ended(stage, epoch, epochs, metrics)
        self._registry.call_hook(
            "zslbench_epoch_ended", run=self._info, stage=stage, epoch=epoch, metrics=dict(metrics)
        )

    def stage_ended(self, stage: str) -> None:
        if self._leads(stage):
            del self._leaders[stage]
            self._shown.stage_ended(stage)


@contextlib.contextmanager
def collected_warnings(thread: int | None = None) -> Iterator[list[str]]:
    """Collect warnings of zslbench and its plugins during a run; they become notes of its record.

    Args:
        thread: only those of this thread; None: of all threads.
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
    """Catch Ctrl-C, SIGTERM, SIGUSR1 and SIGUSR2 (which clusters send) and SIGHUP (a closed terminal): a run
    then ends at its next checkpoint, as it does when nothing reads its output any more.

    Yields a function that returns whether a stop was requested, of this context or of one around it. A second
    Ctrl-C or SIGTERM acts at once. Signals can only be caught in the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    requested = False
    numbers = [signal.SIGINT, signal.SIGTERM]
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"):  # nohup ignores the first
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
            numbers.append(getattr(signal, name))
    before = {number: signal.getsignal(number) for number in numbers}

    def request() -> None:
        nonlocal requested
        requested = True

    def on_signal(number: int, frame: FrameType | None) -> None:
        if requested:
            if number in (signal.SIGINT, signal.SIGTERM):
                raise KeyboardInterrupt
            return  # both the system and the shell send SIGHUP for a closed terminal; clusters repeat theirs
        for stop in stoppers:  # contexts around this one stop as well
            stop()
        with contextlib.suppress(OSError, RuntimeError):  # no terminal, or the signal interrupted printing
            say("stopping at the next checkpoint; press Ctrl-C again to stop at once")

    for number in before:
        signal.signal(number, on_signal)
    stoppers.append(request)
    try:
        yield lambda: requested
    finally:
        stoppers.remove(request)
        for number, handler in before.items():
            signal.signal(number, handler)


VARIABLE = "ZSLBENCH_TRACK"

NO_TRACKER = "none"
"""Requests no tracker although ``ZSLBENCH_TRACK`` is set."""

_log = logging.getLogger("zslbench")


def requested_trackers(track: str | Sequence[str] | None) -> list[tuple[str, str | None]]:
    """The trackers that a user requests, as (name, place).

    Args:
        track: ``"NAME"`` or ``"NAME=WHERE"``, one or several; None: those of ``ZSLBENCH_TRACK``, separated by
            commas; empty or ``"none"``: none.

    Raises:
        SettingsError: an entry has no name, or an empty place.
    """
    origin = "--track "
    if track is None:
        origin = f"{VARIABLE}: "
        track = [one for one in os.environ.get(VARIABLE, "").split(",") if one.strip()]
    given = [track] if isinstance(track, str) else list(track)
    found: dict[tuple[str, str | None], None] = {}
    for text in given:
        name, equals, where = (part.strip() for part in text.partition("="))
        if not name or (equals and not where):
            raise SettingsError(f"{origin}{text}: write NAME or NAME=WHERE, for example tensorboard=logs")
        found[name.lower(), where or None] = None
    return [one for one in found if one != (NO_TRACKER, None)]


@contextlib.contextmanager
def tracked(
    known: Registry, track: str | Sequence[str] | None, store: Path, say: Callable[[str], None]
) -> Iterator[None]:
    """Let the trackers that a user requests follow every run that is computed in this context.

    Args:
        track: as for :func:`requested_trackers`.
        store: the store's folder; a tracker without a place writes to ``trackers/<name>`` in it.

    Raises:
        ZslbenchError: no such tracker, a library of it is not installed, or it cannot write to its place.
    """
    with contextlib.ExitStack() as held:
        for name, where in requested_trackers(track):
            try:
                registered = known.tracker(name)
            except UnknownName as error:
                raise error if track is not None else UnknownName(f"{VARIABLE}: {error}") from None
            with plugin_code(f"tracker '{registered.name}'"):
                cls = load_extra(registered, RunTracker)  # type: ignore[type-abstract]
                tracker = cls(where, store / "trackers" / registered.name)
            listener = _Listener(registered.name, tracker)
            held.callback(listener.close)
            held.enter_context(known.listening(listener, f"tracker {registered.name}"))
            say(f"tracker {registered.name} writes to {tracker.place}")
        yield


class _Listener:
    """Makes a tracker a plugin with lifecycle hooks, whose errors become warnings."""

    def __init__(self, name: str, tracker: RunTracker) -> None:
        self._name, self._tracker = name, tracker
        self._started: set[str] = set()
        """Runs that the tracker knows: if it failed at the start of one, later events would fail too."""

    @hookimpl
    def zslbench_run_started(self, run: RunInfo) -> None:
        self._started.discard(run.id)
        self._tracker.run_started(run)
        self._started.add(run.id)

    @hookimpl
    def zslbench_epoch_ended(
        self, run: RunInfo, stage: str, epoch: int, metrics: Mapping[str, float]
    ) -> None:
        if run.id in self._started:
            self._tracker.epoch_ended(run, stage, epoch, metrics)

    @hookimpl
    def zslbench_run_finished(self, run: RunInfo, record: RunRecord) -> None:
        if run.id in self._started:
            self._tracker.run_finished(run, record)

    @hookimpl
    def zslbench_run_stopped(self, run: RunInfo, error: BaseException) -> None:
        if run.id in self._started:
            self._tracker.run_stopped(run, error, isinstance(error, KeyboardInterrupt | Interrupted))

    def close(self) -> None:
        try:
            with printing_to_stderr():
                self._tracker.close()
        except BaseException as error:
            if is_stop(error):
                raise
            _log.warning("tracker '%s': close failed: %s", self._name, one_line(error))
