"""CUDA graphs: an iteration is captured once and replayed, one launch in place of hundreds of kernels."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zslbench.errors import ZslbenchError
from zslbench.training.iteration import Inputs, Iteration

Call = Callable[[], None]

CAPTURED = "captured"
WARM_UP = 3
"""Calls before capturing; in the first, moments and sums are made and libraries initialise."""
LEAST = 20
"""Iterations of a pass after the warm-up, over all epochs, from which capturing pays."""
_log = logging.getLogger("zslbench")


class Recorder:
    """Records work on memory that stays in place; one is made per program. This one, for any device, repeats
    the call: the bookkeeping of graphs without a graph."""

    def warm(self, call: Call) -> None:
        """Do the work under the conditions of recording; what it creates at its first call then exists."""
        call()

    def capture(self, call: Call) -> Call:
        """Record the work without doing it; the result does it.

        Raises:
            Exception: it cannot be recorded; nothing was done.
        """
        return call


class CudaRecorder(Recorder):
    """Records CUDA graphs, which share one pool of memory.

    What outlives an iteration is made in the warm-up; the pool only holds what is freed within an iteration,
    so graphs that share it may be replayed in any order.
    """

    def __init__(self) -> None:
        self._pool: Any = None

    def warm(self, call: Call) -> None:
        """On a side stream, as capturing requires."""
        side = _side_stream(torch.cuda.current_device())
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                call()
        finally:  # work of a call that failed half-way may still be pending
            torch.cuda.current_stream().wait_stream(side)

    def capture(self, call: Call) -> Call:
        """A graph's ``replay``.

        Threads that read features ahead may allocate meanwhile. ``torch.cuda.graph`` is not used: when
        capturing fails, it leaves its stream the current one.
        """
        _free_cached_memory()
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        try:
            replay: Call = _recorded(call, self._pool).replay
        except BaseException:
            self._recover()
            raise
        return replay

    def _recover(self) -> None:
        """After a failed capture, leave torch's allocator and generator as a successful one does.

        torch ends neither of them when CUDA returns no graph: memory shared by streams would never be reused,
        the cache could not be emptied, and the default generator would draw no more outside graphs.
        """
        device, pool = torch.cuda.current_device(), self._pool
        self._pool = None  # its graphs, if any, keep it alive; a new one cannot join it
        names = ("_cuda_endAllocateToPool", "_cuda_endAllocateCurrentStreamToPool")  # since, before torch 2.8
        end = next((getattr(torch._C, name) for name in names if hasattr(torch._C, name)), None)
        if end is not None:
            with contextlib.suppress(RuntimeError):  # torch had already ended it
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
            with contextlib.suppress(Exception):  # the capture is invalid already
                graph.capture_end()
            raise
        graph.capture_end()
    torch.cuda.synchronize()
    return graph


def _free_cached_memory() -> None:
    """Release memory that torch caches, if that is more than what is free.

    torch cannot do so during a capture, and the pools of deleted graphs are of no use to anyone else.
    """
    free, _ = torch.cuda.mem_get_info()
    if torch.cuda.memory_reserved() - torch.cuda.memory_allocated() > free:
        torch.cuda.empty_cache()


@functools.cache
def _side_stream(device: int) -> torch.cuda.Stream:
    """One per process, since cuBLAS keeps a workspace for every stream that it was used on."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class Captured:
    """An iteration that is captured after some calls and replayed from then on, with the same results.

    Inputs are copied into buffers that stay in place, and the recorded work is replayed on them. Calls of the
    warm-up compute on the buffers too, since a GPU may round products differently on memory that is aligned
    differently, and a resumed run warms up later than one that was not interrupted. Inputs whose shapes are
    not those captured are computed directly.

    Args:
        failed: called once with the reason if capturing fails, and may raise; else iterations are computed
            directly.
        done: called once when capturing succeeds.
    """

    def __init__(
        self,
        iteration: Iteration,
        recorder: Recorder,
        failed: Callable[[str], None],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        self.iteration = iteration
        self._recorder, self._failed, self._done = recorder, failed, done
        self._calls = 0
        self._given_up = False
        self._signature: list[object] = []  # of the buffers
        self._buffers: Inputs | None = None
        self._replay: Call | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many values an iteration adds to each sum."""
        return self.iteration.counts

    def __call__(self, inputs: Inputs) -> None:
        if self._given_up:
            self.iteration(inputs)
            return
        signature = _signature(inputs)
        if self._replay is not None and signature != self._signature:
            self.iteration(inputs)
            return
        buffers, new = self._buffers, False
        if buffers is None or signature != self._signature:
            buffers, new = tree_map(torch.clone, inputs), True
            self._buffers, self._signature = buffers, signature
        else:
            _copy(inputs, buffers)
        if self._replay is None and (new or self._calls < WARM_UP):
            self._calls += 1
            self._recorder.warm(lambda: self.iteration(buffers))
        elif self._replay is not None or self._capture(buffers):
            assert self._replay is not None
            self._replay()
        else:
            self.iteration(buffers)
            self._buffers = None

    def _capture(self, buffers: Inputs) -> bool:
        try:
            self._replay = self._recorder.capture(lambda: self.iteration(buffers))
        except Exception as error:
            self._given_up = True
            for optimizer in self.iteration.optimizers.values():
                optimizer.forget_gradients()  # they were in the capture's memory
            line = (str(error).strip().splitlines() or [""])[0][:200]
            self._failed(f"{type(error).__name__}: {line}" if line else type(error).__name__)
            return False
        self._done()
        return True


def _tensors(inputs: Inputs) -> list[Tensor]:
    """All tensors, in an order that depends on the signature alone."""
    found = [one for batch in inputs.batches for one in batch]
    return found + [noise[name] for noise in inputs.noise for name in sorted(noise)]


def _signature(inputs: Inputs) -> list[object]:
    """Equal for inputs that can be copied into each other."""
    names = [tuple(sorted(noise)) for noise in inputs.noise]
    return [len(inputs.batches), names, *((one.shape, one.dtype) for one in _tensors(inputs))]


def _copy(inputs: Inputs, buffers: Inputs) -> None:
    """Copy values into buffers of the same signature, one call per dtype."""
    pairs: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
    for target, source in zip(_tensors(buffers), _tensors(inputs), strict=True):
        targets, sources = pairs.setdefault(target.dtype, ([], []))
        targets.append(target)
        sources.append(source)
    for targets, sources in pairs.values():
        torch._foreach_copy_(targets, sources)


@dataclass
class Graphs:
    """Which iterations of a run are captured, and what happened in each stage.

    Args:
        required: an iteration that cannot be captured is an error.
        recorder: makes the recorder of a program.
    """

    required: bool = False
    recorder: Callable[[], Recorder] = CudaRecorder
    stages: dict[str, str] = field(default_factory=dict)
    """By stage ``captured``, or why one of its passes was not."""

    def capture(
        self, passes: tuple[Iteration, ...], stage: str, iterations: int
    ) -> tuple[Iteration | Captured, ...]:
        """The passes of a program, to be captured once they are warm.

        Args:
            iterations: of each pass, over all epochs.
        """
        if iterations < WARM_UP + LEAST:
            self.stages.setdefault(stage, f"too short: {iterations} iterations of each pass")
            return passes
        recorder = self.recorder()
        return tuple(
            Captured(one, recorder, partial(self._failed, stage, number), partial(self._succeeded, stage))
            for number, one in enumerate(passes)
        )

    def describe(self) -> dict[str, Any]:
        """For a run's record."""
        return {"required": self.required, "stages": dict(self.stages)}

    def _succeeded(self, stage: str) -> None:
        self.stages.setdefault(stage, CAPTURED)

    def _failed(self, stage: str, number: int, reason: str) -> None:
        if self.required:
            raise ZslbenchError(
                f"stage '{stage}': pass {number + 1} cannot be captured in a CUDA graph ({reason}); "
                "use --graphs auto or off"
            )
        if self.stages.get(stage, CAPTURED) == CAPTURED:
            _log.info("%s: computed without a CUDA graph: %s", stage, reason)
            self.stages[stage] = f"pass {number + 1}: {reason}"
