"""An iteration that is captured after some calls and replayed from then on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Batch
from zslbench.training.graphs.recorder import Call, Recorder
from zslbench.training.iteration import Inputs, Iteration

WARM_UP = 3
"""Calls before capturing: optimisers make their moments, sums and libraries' handles in the first."""


class Captured:
    """Called as the iteration is, with the same results.

    Inputs are copied into buffers that stay in place. From the call after the warm-up on, the recorded work
    is replayed on them; the calls before compute on them as well, for a GPU's matrix products may round
    differently on memory that lies otherwise, and a run that was resumed warms up later than one that was
    not. Inputs of another form than those that were captured are computed as they come.

    Args:
        failed: told once, with the reason, where capturing does not work; the iteration is then called as it
            is. It may raise.
        done: called once, where it works.
    """

    def __init__(
        self,
        iteration: Iteration,
        recorder: Recorder,
        failed: Callable[[str], None],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        self.iteration, self.steps = iteration, iteration.steps
        self._recorder, self._failed, self._done = recorder, failed, done
        self._calls = 0
        self._given_up = False
        self._last: list[object] = []  # the form of the inputs of the last call before capturing
        self._static: Inputs | None = None  # buffers of this form
        self._replay: Call | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many values an iteration adds to each sum."""
        return self.iteration.counts

    def __call__(self, inputs: Inputs) -> None:
        if self._given_up:
            self.iteration(inputs)
            return
        now = form(inputs)
        if self._replay is not None and now != self._last:
            self.iteration(inputs)
            return
        static, new = self._static, False
        if static is None or now != self._last:
            static, new = copied(inputs), True
            self._static, self._last = static, now
        else:
            copy(inputs, static)
        if self._replay is None and (new or self._calls < WARM_UP):
            self._calls += 1
            self._recorder.warm(lambda: self.iteration(static))
        elif self._replay is not None or self._capture(static):
            assert self._replay is not None
            self._replay()
        else:
            self.iteration(static)
            self._static = None

    def _capture(self, static: Inputs) -> bool:
        try:
            self._replay = self._recorder.capture(lambda: self.iteration(static))
        except Exception as error:
            self._given_up = True
            for optimizer in self.iteration.optimizers.values():
                optimizer.forget_gradients()  # of memory that was the capture's
            self._failed(_first_line(error))
            return False
        self._done()
        return True


def tensors(inputs: Inputs) -> list[Tensor]:
    """All tensors of the inputs, in an order that depends on their form alone."""
    found = [one for batch in inputs.batches for one in batch]
    return found + [noise[name] for noise in inputs.noise for name in sorted(noise)]


def form(inputs: Inputs) -> list[object]:
    """What must be the same for inputs to be copied into others."""
    named = [tuple(sorted(noise)) for noise in inputs.noise]
    return [len(inputs.batches), named, *((one.shape, one.dtype) for one in tensors(inputs))]


def copy(inputs: Inputs, static: Inputs) -> None:
    """Copy values into buffers of the same form, all of one type at once."""
    pairs: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
    for to, one in zip(tensors(static), tensors(inputs), strict=True):
        held, given = pairs.setdefault(to.dtype, ([], []))
        held.append(to)
        given.append(one)
    for held, given in pairs.values():
        torch._foreach_copy_(held, given)


def copied(inputs: Inputs) -> Inputs:
    """Inputs of the same values in memory of their own."""
    return Inputs(
        tuple(Batch(*(one.clone() for one in batch)) for batch in inputs.batches),
        tuple({name: one.clone() for name, one in noise.items()} for noise in inputs.noise),
    )


def _first_line(error: Exception) -> str:
    line = (str(error).strip().splitlines() or [""])[0][:200]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
