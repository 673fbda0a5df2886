"""What records and replays work on a device: CUDA's graphs, or nothing but calling again."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

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
    """CUDA graphs. All that one recorder captures shares a pool of memory.

    What must live on is made before, while warming up; the pool holds what is freed again within an
    iteration, so graphs that share it may be replayed in any order.
    """

    def __init__(self) -> None:
        self._pool: Any = None

    def warm(self, call: Call) -> None:
        """Work on a side stream, as capturing asks for."""
        side = _side_stream(torch.cuda.current_device())
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                call()
        finally:  # what failed half-way may be pending still
            torch.cuda.current_stream().wait_stream(side)

    def capture(self, call: Call) -> Call:
        """A graph's ``replay``.

        Other threads, which read features ahead, may allocate meanwhile. ``torch.cuda.graph`` is not used:
        where capturing fails, it leaves its stream the current one.
        """
        _make_room()
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        try:
            replay: Call = _recorded(call, self._pool).replay
        except BaseException:
            self._mend()
            raise
        return replay

    def _mend(self) -> None:
        """After a capture that failed: leave torch's allocator and generator as a good one leaves them.

        Where CUDA has no graph to give, torch ends neither of them: memory that streams share is never used
        again, its cache cannot be emptied, and the default generator draws no more outside of graphs.
        """
        device, pool = torch.cuda.current_device(), self._pool
        self._pool = None  # its graphs, if there are any, hold it; a new one cannot join it
        ends = (
            "_cuda_endAllocateToPool",
            "_cuda_endAllocateCurrentStreamToPool",
        )  # the latter before torch 2.8
        end = next((getattr(torch._C, name) for name in ends if hasattr(torch._C, name)), None)
        if end is not None:
            with contextlib.suppress(RuntimeError):  # it had come so far
                end(device, pool)
                torch._C._cuda_releasePool(device, pool)
        with contextlib.suppress(RuntimeError):
            one = torch.zeros((), device="cuda")
            _recorded(lambda: one.zero_(), torch.cuda.graph_pool_handle())


def _recorded(call: Callable[[], object], pool: Any) -> torch.cuda.CUDAGraph:
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.stream(_side_stream(torch.cuda.current_device())):
        graph.capture_begin(pool=pool, capture_error_mode="thread_local")
        try:
            call()
        except BaseException:
            with contextlib.suppress(Exception):  # it was spoilt already
                graph.capture_end()
            raise
        graph.capture_end()
    torch.cuda.synchronize()
    return graph


def _make_room() -> None:
    """Give back memory that torch keeps for nobody, where that is most of what is left.

    While a graph is captured torch cannot, and the pools of graphs that are gone are for nobody's use.
    """
    free, _ = torch.cuda.mem_get_info()
    if torch.cuda.memory_reserved() - torch.cuda.memory_allocated() > free:
        torch.cuda.empty_cache()


@functools.cache
def _side_stream(device: int) -> torch.cuda.Stream:
    """One for the whole process: for each stream that it is used on, cuBLAS keeps a workspace for good."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class Repeating:
    """Replays by calling again, on any device: all bookkeeping of graphs without graphs."""

    def warm(self, call: Call) -> None:
        """Do the work."""
        call()

    def capture(self, call: Call) -> Call:
        """The work itself."""
        return call
