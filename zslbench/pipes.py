"""Standard streams whose reader may leave, as with ``| head``: the command then ends quietly."""

from __future__ import annotations

import io
import os
import select
import threading
from collections.abc import Callable
from typing import Any

EXIT_CODE = 141
"""What a shell reports for a program that SIGPIPE ended."""

stoppers: list[Callable[[], None]] = []
"""Functions that ask the runs in progress to stop at their next checkpoint."""


class Pipe(io.FileIO):
    """The file underneath a standard stream.

    When its reader has left, a run in progress stops at its next checkpoint and any other command ends at
    once. Anything written after that is dropped.

    Args:
        handle: a file descriptor, which is duplicated.
        required: whether other write failures are errors; if not, as for progress and messages to a closed
            terminal, the output is dropped.
    """

    reader_left = False
    """Whether the reader of any of the streams has left."""

    def __init__(self, handle: int, *, required: bool) -> None:
        super().__init__(os.dup(handle), "wb")
        self._required, self._dropped = required, False

    def write(self, data: Any) -> int:
        """Write some of the bytes, and return how many."""
        if not self._dropped:
            try:
                while (
                    written := super().write(data)
                ) is None:  # its reader asked not to block, and is behind
                    select.select([], [self], [])
                return written
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
