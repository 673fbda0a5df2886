"""Switches trackers on for the runs of one command."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zslbench.errors import Interrupted, SettingsError, UnknownName
from zslbench.plugin.hookspecs import hookimpl
from zslbench.plugin.lookup import Registry, one_line
from zslbench.plugin.targets import load_tracker
from zslbench.plugin.tracking import RunTracker
from zslbench.store.record import RunInfo, RunRecord

VARIABLE = "ZSLBENCH_TRACK"

NOTHING = "none"
"""What is asked for to have no tracker in spite of ``ZSLBENCH_TRACK``."""

_log = logging.getLogger("zslbench")


def wanted(track: str | Sequence[str] | None) -> list[tuple[str, str | None]]:
    """The trackers that a user asked for, as (name, where).

    Args:
        track: ``"NAME"`` or ``"NAME=WHERE"``, one or several; None: what ``ZSLBENCH_TRACK`` lists, separated
            by commas; empty or ``"none"``: none at all.

    Raises:
        SettingsError: an entry has no name, or a place that is empty.
    """
    asked = "--track "
    if track is None:
        asked = f"{VARIABLE}: "
        track = [one for one in os.environ.get(VARIABLE, "").split(",") if one.strip()]
    given = [track] if isinstance(track, str) else list(track)
    found: dict[tuple[str, str | None], None] = {}
    for text in given:
        name, equals, where = (part.strip() for part in text.partition("="))
        if not name or (equals and not where):
            raise SettingsError(f"{asked}{text}: write NAME or NAME=WHERE, as tensorboard=logs")
        found[name.lower(), where or None] = None
    return [one for one in found if one != (NOTHING, None)]


@contextlib.contextmanager
def tracked(
    known: Registry, track: str | Sequence[str] | None, store: Path, say: Callable[[str], None]
) -> Iterator[None]:
    """While the context lasts, the trackers that a user asked for follow every run that is computed.

    Runs that are found finished are not computed and so not followed.

    Args:
        track: as for :func:`wanted`.
        store: the store's folder; a tracker without a place has ``trackers/<name>`` in it.
        say: told where each tracker writes.

    Raises:
        UnknownName: nobody registered a tracker of this name.
        MissingExtra: a library that it needs is not installed.
        ZslbenchError: it cannot write to the place that was given.
    """
    with contextlib.ExitStack() as held:
        for name, where in wanted(track):
            try:
                registered = known.tracker(name)
            except UnknownName as error:
                raise error if track is not None else UnknownName(f"{VARIABLE}: {error}") from None
            tracker = load_tracker(registered)(where, store / "trackers" / registered.name)
            listener = _Listener(registered.name, tracker)
            held.callback(listener.close)
            held.enter_context(known.listening(listener, f"tracker {registered.name}"))
            say(f"tracker {registered.name} writes to {tracker.place}")
        yield


class _Listener:
    """A tracker in the shape of a plugin with lifecycle hooks. What it raises becomes a warning."""

    def __init__(self, name: str, tracker: RunTracker) -> None:
        self._name, self._tracker = name, tracker
        self._lost: set[str] = set()
        self._warned: set[str] = set()

    @hookimpl
    def zslbench_run_started(self, run: RunInfo) -> None:
        self._lost.discard(run.id)
        if not self._tell("run_started", run):
            self._lost.add(run.id)  # it knows nothing of this run: whatever follows would fail as well

    @hookimpl
    def zslbench_epoch_ended(
        self, run: RunInfo, stage: str, epoch: int, metrics: Mapping[str, float]
    ) -> None:
        self._tell("epoch_ended", run, stage, epoch, metrics)

    @hookimpl
    def zslbench_run_finished(self, run: RunInfo, record: RunRecord) -> None:
        self._tell("run_finished", run, record)

    @hookimpl
    def zslbench_run_stopped(self, run: RunInfo, error: BaseException) -> None:
        self._tell("run_stopped", run, error, isinstance(error, KeyboardInterrupt | Interrupted))

    def close(self) -> None:
        self._call("close")

    def _tell(self, event: str, run: RunInfo, *arguments: Any) -> bool:
        return run.id not in self._lost and self._call(event, run, *arguments)

    def _call(self, event: str, *arguments: Any) -> bool:
        try:
            getattr(self._tracker, event)(*arguments)
        except (KeyboardInterrupt, Interrupted):
            raise
        except BaseException as error:
            text = f"tracker '{self._name}': {event} failed: {one_line(error)}"
            if text not in self._warned:
                self._warned.add(text)
                _log.warning(text)
            return False
        return True
