"""Stop requests: the first Ctrl-C (or SIGTERM, as a cluster sends) ends a run at its next checkpoint."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def stop_requests(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Catch stop signals; yields a function that tells whether one came.

    A second signal acts at once. Outside the main thread signals cannot be caught, and none is.
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
        say("stopping at the next checkpoint; once more to stop at once")

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield lambda: requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
