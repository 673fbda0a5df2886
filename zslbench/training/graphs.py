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
from torch.utils._pytree import tree_leaves, tree_map

from zslbench.errors import ZslbenchError
from zslbench.training.iteration import Inputs, Iteration

Call = Callable[[], None]

CAPTURED = "captured"
WARM_UP = 3
"""Calls before capturing; in the first, moments and sums are made and libraries initialise."""
LEAST = 20
"""Iterations of a pass after the warm-up, over all epochs, from which capturing pays."""
_log = logging.getLogger("zslbench")


class CudaRecorder:
    """Records a program's work on memory that stays in place as CUDA graphs, which share one pool of memory.

    What outlives an iteration is made in the warm-up; the pool only holds what is freed within an iteration,
    so graphs that share it may be replayed in any order.
    """

    def __init__(self) -> None:
        self._pool: Any = None

    def warm(self, call: Call) -> None:
        """Do the work on a side stream, as capturing requires; what its first call creates then exists."""
        side = _side_stream(torch.cuda.current_device())
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                call()
        finally:  # work of a call that failed half-way may still be pending
            torch.cuda.current_stream().wait_stream(side)

    def capture(self, call: Call) -> Call:
        """Record the work without doing it; the result, a graph's ``replay``, does it.

        Threads that read features ahead may allocate meanwhile. ``torch.cuda.graph`` is not used: when
        capturing fails, it leaves its stream the current one.

        Raises:
            Exception: it cannot be recorded; nothing was done.
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

        torch ends neither when CUDA returns no graph: memory shared by streams would never be reused, the
        cache could not be emptied, and the default generator would not draw outside graphs.
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
    """Release memory that torch caches, if that is more than what is free: it cannot during a capture."""
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
    not those captured are computed directly, and all are if capturing fails.

    Args:
        recorder: a :class:`CudaRecorder`.
        report: called once, with the error if capturing fails and None if it succeeds; it may raise.
    """

    def __init__(
        self, iteration: Iteration, recorder: Any, report: Callable[[Exception | None], None]
    ) -> None:
        self.iteration = iteration
        self._recorder, self._report = recorder, report
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
        signature = [] if self._given_up else _signature(inputs)
        is_new = signature != self._signature
        if self._given_up or (is_new and self._replay is not None):
            self.iteration(inputs)
            return
        if self._buffers is None or is_new:
            self._buffers, self._signature = tree_map(torch.clone, inputs), signature
        else:
            _copy(inputs, self._buffers)
        compute = partial(self.iteration, self._buffers)
        if self._replay is None and (is_new or self._calls < WARM_UP):
            self._calls += 1
            self._recorder.warm(compute)
            return
        if self._replay is None:
            self._capture(compute)
        (self._replay or compute)()

    def _capture(self, compute: Call) -> None:
        try:
            self._replay = self._recorder.capture(compute)
        except Exception as error:
            self._given_up, self._buffers = True, None
            for optimizer in self.iteration.optimizers.values():
                optimizer.forget_gradients()  # they were in the capture's memory
            self._report(error)
        else:
            self._report(None)


def _tensors(inputs: Inputs) -> list[Tensor]:
    """All tensors, in an order that depends on the signature alone."""
    noise = [[one[name] for name in sorted(one)] for one in inputs.noise]
    return tree_leaves((inputs.batches, noise))


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
    recorder: Callable[[], Any] = CudaRecorder
    stages: dict[str, str] = field(default_factory=dict)
    """By stage ``captured``, or why one of its passes was not."""

    def capture(
        self, passes: tuple[Iteration, ...], stage: str, iterations: int
    ) -> tuple[Iteration | Captured, ...]:
        """The passes of a program, each of so many iterations over all epochs, to be captured once warm."""
        if iterations < WARM_UP + LEAST:
            self.stages.setdefault(stage, f"too short: {iterations} iterations of each pass")
            return passes
        recorder = self.recorder()
        return tuple(
            Captured(one, recorder, partial(self._record, stage, number))
            for number, one in enumerate(passes, 1)
        )

    def describe(self) -> dict[str, Any]:
        """For a run's record."""
        return {"required": self.required, "stages": dict(self.stages)}

    def _record(self, stage: str, number: int, error: Exception | None) -> None:
        if error is None:
            self.stages.setdefault(stage, CAPTURED)
            return
        line = (str(error).strip().splitlines() or [""])[0][:200]
        reason = f"{type(error).__name__}: {line}" if line else type(error).__name__
        if self.required:
            raise ZslbenchError(
                f"stage '{stage}': pass {number} cannot be captured in a CUDA graph ({reason}); "
                "use --graphs auto or off"
            )
        if self.stages.get(stage, CAPTURED) == CAPTURED:
            _log.info("%s: computed without a CUDA graph: %s", stage, reason)
            self.stages[stage] = f"pass {number}: {reason}"
