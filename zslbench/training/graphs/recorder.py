"""What records and replays work on a device: CUDA's graphs, or nothing but calling again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch

Call = Callable[[], None]


@runtime_checkable
class Recorder(Protocol):
    """Records work whose memory stays in place. One is made for each program."""

    def warm(self, call: Call) -> None:
        """Do the work as it will be recorded: what it makes at its first call is there afterwards."""

    def capture(self, call: Call) -> Call:
        """Record the work without doing it; what is returned does it.

        Raises:
            Exception: it cannot be recorded; nothing was done.
        """


class CudaRecorder:
    """CUDA graphs. All that one recorder captures shares a pool of memory."""

    def __init__(self) -> None:
        self._side: torch.cuda.Stream | None = None
        self._pool: object | None = None

    def warm(self, call: Call) -> None:
        """Work on a side stream, as capturing asks for."""
        side = self._stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            call()
        torch.cuda.current_stream().wait_stream(side)

    def capture(self, call: Call) -> Call:
        """A graph's ``replay``.

        Other threads, which read features ahead, may allocate meanwhile. ``torch.cuda.graph`` is not used:
        where capturing fails, it leaves its stream the current one.
        """
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.stream(self._stream()):
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")  # type: ignore[arg-type]
            try:
                call()
            except BaseException:
                with contextlib.suppress(Exception):  # it was spoilt already
                    graph.capture_end()
                raise
            graph.capture_end()
        torch.cuda.synchronize()
        replay: Call = graph.replay
        return replay

    def _stream(self) -> torch.cuda.Stream:
        if self._side is None:
            self._side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        return self._side


class Repeating:
    """Replays by calling again, on any device: all bookkeeping of graphs without graphs."""

    def warm(self, call: Call) -> None:
        """Do the work."""
        call()

    def capture(self, call: Call) -> Call:
        """The work itself."""
        return call
