"""A step of several seeds' programs as one function with a leading replica axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Batch, Losses, Networks, Noise, Program, Step
from zslbench.training import program_run
from zslbench.training.replicas.guard import Guarded
from zslbench.training.replicas.numbers import merged, stacked
from zslbench.training.replicas.stacking import Axes
from zslbench.training.step import StepFunction


def lifted_step(
    step: Step,
    program: Program,
    programs: Mapping[int, Program],
    slots: Sequence[int],
    axes: Axes,
    where: str,
    device: torch.device,
    *,
    sure: bool,
) -> StepFunction:
    """The step's function, lifted over replicas and compared with plain ones when it is called first.

    Args:
        step: one of ``program``'s.
        programs: by slot; they are alike, each with steps of its own.
        slots: the slot of each position on the replica axis; one without a program takes part as the first.
        axes: of the networks.
        where: what to call it in a message.
        sure: it was compared before.

    Raises:
        CannotLift: the steps' settings differ in more than numbers.
    """
    number, place = next(
        (n, k) for n, steps in enumerate(program.passes) for k, one in enumerate(steps) if one is step
    )
    steps = {slot: one.passes[number][place] for slot, one in programs.items()}
    plain = {slots.index(slot): program_run.step_function(one) for slot, one in steps.items()}
    build, numbers = merged([steps.get(slot, steps[min(steps)]).losses for slot in slots])
    if not numbers:
        one = plain[slots.index(min(steps))]
        return Guarded(where, torch.func.vmap(one, in_dims=(axes, 0, 0)), plain, axes, sure)

    def with_numbers(
        nets: Networks, batch: Batch, noise: Noise, given: list[Tensor]
    ) -> tuple[Networks, Losses]:
        return program_run.step_function(replace(step, losses=build(given)))(nets, batch, noise)

    held = stacked(numbers, device)
    lifted: Callable[..., Any] = torch.func.vmap(with_numbers, in_dims=(axes, 0, 0, 0))
    return Guarded(where, lambda *given: lifted(*given, held), plain, axes, sure)
