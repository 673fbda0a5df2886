"""What the worker of a group is doing, as small files of its submission: for people, never for results."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from zslbench.errors import Interrupted
from zslbench.plugin.boundary import one_line
from zslbench.store.parsing import parse_json
from zslbench.store.workspace import host

BEAT = 15.0
"""Seconds after which a worker that computes says so again."""
SILENCE = timedelta(minutes=2)
"""How long a worker may be silent before it is thought to be dead."""


@dataclass(frozen=True)
class GroupState:
    """What is known of a group that a worker has begun."""

    number: int
    state: Literal["running", "stopped", "ended"] = "running"
    """``stopped``: on request or by an error, and can resume; ``ended``: each of its cells has."""
    host: str = ""
    pid: int = 0
    log: str | None = None
    attempts: int = 1
    """How many workers have begun it."""
    stage: str | None = None
    """What is being trained; None: nothing at the moment."""
    epoch: int | None = None
    epochs: int | None = None
    cells: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By place in the group: ``status``, ``run`` and ``reason`` of cells that the worker has done with."""
    reason: str = ""
    """The error that stopped the worker."""
    started: str = ""
    when: str = ""
    """When it was written, UTC."""

    @property
    def lost(self) -> bool:
        """Whether its worker is no longer heard of."""
        silent = datetime.now(UTC) - datetime.fromisoformat(self.when) if self.when else SILENCE
        return self.state == "running" and silent >= SILENCE


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class GroupReport:
    """Writes what the worker of a group is doing, from its own thread: training waits for no disk.

    It is the group's observer. In its context the group is running; at the end it has ended, or stopped.

    Args:
        folder: that of the submission.
        log: where the worker's output goes.
    """

    def __init__(self, folder: Path, group: int, log: str | None) -> None:
        self._folder = folder
        before = read_state(self._folder / f"{group}.json", group)
        self.state = GroupState(
            group, "running", host(), os.getpid(), log, 1 + (before.attempts if before else 0), started=_now()
        )
        self._changed, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> GroupReport:
        write_state(self._folder, self.state)
        self._thread.start()
        return self

    def __exit__(self, type_: object, error: BaseException | None, trace: object) -> None:
        self._over.set()
        self._changed.set()
        self._thread.join()
        stop = error is None or isinstance(error, Interrupted | KeyboardInterrupt)
        reason = "" if stop or error is None else one_line(error)
        self.update(state="ended" if error is None else "stopped", stage=None, epoch=None, reason=reason)
        write_state(self._folder, self.state)

    def update(self, **changes: Any) -> None:
        """Change the state; it is written soon."""
        self.state = replace(self.state, **changes)
        self._changed.set()

    def stage_started(self, stage: str, epochs: int, done: int) -> None:
        self.update(stage=stage, epoch=done, epochs=epochs)

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        self.update(stage=stage, epoch=epoch, epochs=epochs)

    def stage_ended(self, stage: str) -> None: ...

    def _write(self) -> None:
        while not self._over.is_set():
            self._changed.wait(BEAT)
            if self._over.is_set():
                return
            self._changed.clear()
            with contextlib.suppress(OSError):  # a full disk ends runs with an error of their own
                write_state(self._folder, self.state)
            self._over.wait(1.0)  # epochs may take milliseconds


def write_state(folder: Path, state: GroupState) -> None:
    """Replace the file of a group. A crash of the machine may leave it empty."""
    ended = state.state == "ended"
    path = folder / f"{state.number}{'.ended' * ended}.json"
    # The file is the thread's own: two threads may write at once.
    part = folder / f".{path.name}.{os.getpid()}-{threading.get_native_id()}.part"
    part.write_text(json.dumps(asdict(replace(state, when=_now()))), "utf-8")
    part.replace(path)
    if ended:
        (folder / f"{state.number}.json").unlink(missing_ok=True)


def read_state(path: Path, number: int) -> GroupState | None:
    try:
        content = parse_json(path.read_bytes())
        return GroupState(**content) if content["number"] == number else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def names_in(folder: Path) -> list[str]:
    try:
        return sorted(one for one in os.listdir(folder) if not one.startswith("."))  # noqa: PTH208
    except OSError:
        return []
