"""Our programs in timed blocks: one block is one epoch of so many iterations, figures included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.speed.work import Work, counted
from zslbench.plugin.interfaces import Batch, Networks, Program, Step, Streams
from zslbench.training.context import Training
from zslbench.training.program_run import ProgramRun
from zslbench.training.replicas.asked import Asked
from zslbench.training.replicas.inputs import Sources
from zslbench.training.replicas.lifted import LiftedRun
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
        run.train_epoch()
        run.end_epoch(run.figures())

    return as_in_runs(call, streams.device)


def replicas(
    program: Program, semantics: Tensor, device: torch.device, count: int, **how: Any
) -> Callable[[], None]:
    """The same for so many seeds that train together."""
    asked = {
        slot: Asked(program, semantics, Training(streams=Streams(slot, device), stage="benchmark", **how))
        for slot in range(count)
    }
    run = LiftedRun(asked, range(count), None)

    def call() -> None:
        run.train_epoch()
        for slot in asked:
            run.end_epoch_of(slot, run.figures_of(slot))

    return as_in_runs(call, device)


def draws(program: Program, semantics: Tensor, device: torch.device, count: int) -> Callable[[], None]:
    """What so many seeds draw for one epoch, without computing on it."""
    asked = {
        slot: Asked(program, semantics, Training(streams=Streams(slot, device))) for slot in range(count)
    }
    sources = Sources(asked, range(count))

    def call() -> None:
        for number in range(len(program.passes)):
            for _ in range(program.iterations or 1):
                sources.draw(number)

    return as_in_runs(call, device)


def as_in_runs(call: Callable[[], Any], device: torch.device) -> Callable[[], None]:
    """With deterministic algorithms on a GPU, as runs are computed; the literal loops do without."""
    settings: Any = torch.utils.deterministic

    def deterministic() -> None:
        torch.use_deterministic_algorithms(True, warn_only=True)
        settings.fill_uninitialized_memory = False
        try:
            call()
        finally:
            torch.use_deterministic_algorithms(False)
            settings.fill_uninitialized_memory = True

    return deterministic if device.type == "cuda" else call


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
