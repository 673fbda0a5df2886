"""Standard streams that somebody may stop reading, as with ``| head``: the command then ends quietly."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import Any

EXIT_CODE = 141
"""What a shell reports of a program that SIGPIPE ended."""

stoppers: list[Callable[[], None]] = []
"""What asks the runs under way to stop at their next checkpoint."""


class Pipe(io.FileIO):
    """The file below a standard stream.

    When its reader has left, a run under way stops at its next checkpoint and any other command ends at
    once. From then on whatever is written is dropped.

    Args:
        handle: this object gets one of its own.
        required: whether other failures are errors; progress and messages that cannot be shown, as in a
            terminal that was closed, are dropped instead.
    """

    reader_left = False
    """Whether that of any of the streams has."""

    def __init__(self, handle: int, *, required: bool) -> None:
        super().__init__(os.dup(handle), "wb")
        self._required, self._dropped = required, False

    def write(self, data: Any) -> int:
        """Write some of the bytes, and return how many."""
        if not self._dropped:
            try:
                return super().write(data) or 0
            except BrokenPipeError:
                self._leave()
            except OSError:
                self._dropped = True
                if self._required:
                    raise
        return memoryview(data).nbytes

    def _leave(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # the main thread will notice
        self._dropped = Pipe.reader_left = True
        for stop in stoppers:
            stop()
        if not stoppers:
            raise SystemExit(EXIT_CODE)
