"""Our programs in timed blocks: one block is one epoch of so many iterations, figures included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from benchmarks.speed.work import Work, counted
from zslbench.interfaces import Batch, Networks, Program, Step, Streams
from zslbench.training.context import Training
from zslbench.training.program_run import ProgramRun
from zslbench.training.step import draw, step_function

MOMENTS = {"adam": 2, "rmsprop": 2, "sgd": 1}
"""Tensors of running state that an optimiser keeps for each parameter, at most."""


def block(program: Program, semantics: Tensor, streams: Streams, **how: Any) -> Callable[[], None]:
    """A function that trains one epoch more.

    Args:
        how: further fields of :class:`~zslbench.training.context.Training`.
    """
    run = ProgramRun(program, semantics, Training(streams=streams, stage="benchmark", **how))

    def call() -> None:
        for _ in run.rest_of_epoch():
            pass
        run.end_epoch(run.figures())

    return call


def example(
    program: Program, semantics: Tensor, streams: Streams, step: Step, rows: Tensor
) -> tuple[Any, Any]:
    """A batch of these rows, and noise for the step."""
    labels = program.labels[rows]
    batch = Batch(program.features[rows], labels, semantics[labels])
    noise = {name: draw(spec, len(rows), streams, name) for name, spec in step.noise.items()}
    return batch, noise


def work_of(program: Program, nets: Networks, semantics: Tensor, streams: Streams, rows: Tensor) -> Work:
    """The work of one sub-step, as the mean over all passes.

    At least, each network that a step reads is read once, and of those that it updates weights and moments
    are read and written: gradients and all else could stay in a cache.
    """
    steps = [step for steps in program.passes for step in steps]
    known = [tensor for net in (nets | program.frozen).values() for tensor in net.values()]
    total = Work(0, 0, 0)
    for step in steps:
        batch, noise = example(program, semantics, streams, step, rows)
        call, everything = step_function(step), nets | program.frozen
        updated = sum(tensor.nbytes for name in step.updates for tensor in nets[name].values())
        moments = max(MOMENTS[program.optimizers[name].kind] for name in step.updates)
        # Weights are written once, each moment is read and written.
        total += counted(
            partial(call, everything, batch, noise),
            [*known, batch.features],
            written=(1 + 2 * moments) * updated,
        )
    return total / len(steps)
