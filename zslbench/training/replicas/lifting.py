"""A step of several seeds' programs as one function with a leading replica axis, checked at its first call.

Steps may differ in numbers of their settings. What a step's losses hold (keywords of a ``functools.partial``,
the component that a method is bound to) has settings; floats in which these differ between replicas are
replaced by values with a replica axis.

A step may also read tensors that are not among its networks. If they differ between seeds, the lifted
function, which is one seed's, is wrong for the others. So the first call is compared with each seed's own
step, before anything that counts was trained; on a difference the seeds are trained one by one.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MethodType
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin.programs import Batch, Losses, Program, Progress, Step
from zslbench.plugin.views import Networks, Noise
from zslbench.training import program_run
from zslbench.training.iteration import last_progress
from zslbench.training.replicas.inputs import Axes, NotLiftable, replica, stack
from zslbench.training.step import StepFunction, is_reduced

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Largest distance of a lifted gradient from the seed's own, relative to its length (plus a hundredth of that
relative to the length of all gradients, for tensors whose gradient is rounding alone)."""
REDUCED_TOLERANCE = 1e-2
"""The same for products in TF32 or bfloat16."""


def lifted_step(
    step: Step,
    program: Program,
    programs: Mapping[int, Program],
    sources: Sequence[int],
    axes: Axes,
    where: str,
    device: torch.device,
    *,
    checked: bool,
) -> StepFunction:
    """The step's function, lifted over replicas; NotLiftable if settings differ in more than numbers.

    Args:
        step: one of ``program``'s.
        programs: by slot, of equal signatures, each with its own steps.
        sources: the slot that each position on the replica axis is computed from.
        axes: of the networks.
        where: names the step in messages.
        checked: it was compared before.
    """
    number, place = next(
        (n, k) for n, steps in enumerate(program.passes) for k, one in enumerate(steps) if one is step
    )
    steps = {slot: one.passes[number][place] for slot, one in programs.items()}
    singles = {sources.index(slot): program_run.step_function(one) for slot, one in steps.items()}
    build, numbers = merge_losses([steps[slot].losses for slot in sources])
    stacked = [torch.tensor(one, dtype=torch.get_default_dtype(), device=device) for one in numbers]

    def with_numbers(
        nets: Networks, batch: Batch, noise: Noise, values: list[Tensor]
    ) -> tuple[Networks, Losses]:
        losses = build(values) if numbers else step.losses
        return program_run.step_function(replace(step, losses=losses), for_vmap=True)(nets, batch, noise)

    lifted: Callable[..., Any] = torch.func.vmap(with_numbers, in_dims=(axes, 0, 0, 0))
    last: Progress = stack([last_progress(programs[slot], device) for slot in sources])
    return _checked_once(where, lambda *arguments: lifted(*arguments, stacked), singles, axes, last, checked)


# --- comparison with single steps ------------------------------------------------------------------


def _checked_once(
    where: str,
    lifted: StepFunction,
    singles: Mapping[int, StepFunction],
    axes: Axes,
    last: Progress,
    checked: bool,
) -> StepFunction:
    """The lifted function; its first call is compared with each seed's own, by position in ``singles``.

    So is one with the last iteration's progress: what a warm-up still multiplies by 0 must not go unseen.
    """

    def compare(nets: Networks, batch: Batch, noise: Noise) -> tuple[Networks, Losses]:
        try:
            found = lifted(nets, batch, noise)
        except ZslbenchError:
            raise
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise NotLiftable(f"{where} cannot be lifted: {first[:200]}") from error
        for position, function in singles.items():
            single = function(
                replica(nets, position, axes), replica(batch, position), replica(noise, position)
            )
            if what := _difference(single, replica(found, position)):
                raise NotLiftable(
                    f"{where} gives a different {what} when lifted: its losses read something of the seed "
                    "that is not among the program's networks; put it into frozen"
                )
        return found

    def run(nets: Networks, batch: Batch, noise: Noise) -> tuple[Networks, Losses]:
        nonlocal checked
        if checked:
            return lifted(nets, batch, noise)
        compare(nets, batch._replace(progress=last), noise)
        found = compare(nets, batch, noise)
        checked = True
        return found

    return run


def _difference(single: tuple[Networks, Losses], lifted: tuple[Networks, Losses]) -> str:
    """The first gradient or loss that differs by more than the tolerance, or an empty string."""
    gradients = [
        (f"gradient of '{net}/{name}'", value, lifted[0][net][name])
        for net, tensors in single[0].items()
        for name, value in tensors.items()
    ]
    figures = [("loss", single[1].total, lifted[1].total)]
    figures += [(f"figure '{name}'", value, lifted[1].log[name]) for name, value in single[1].log.items()]
    lengths = [_length(value) for _, value, _ in gradients]
    whole = math.sqrt(sum(one**2 for one in lengths if math.isfinite(one)))
    sizes = [one + 0.01 * whole for one in lengths]
    sizes += [_length(value) + _length(single[1].total) + whole for _, value, _ in figures]
    for (what, value, other), size in zip(gradients + figures, sizes, strict=True):
        if math.isfinite(size) and not _near(value, other, size):
            return what
    return ""


def _near(value: Tensor, other: Tensor, size: float) -> bool:
    tolerance = TOLERANCE.get(value.dtype, REDUCED_TOLERANCE)
    if value.dtype != torch.float64 and is_reduced():
        tolerance = REDUCED_TOLERANCE
    return _length(value - other) <= tolerance * size


def _length(value: Tensor) -> float:
    return float(torch.linalg.vector_norm(value.double()))


# --- settings that differ in numbers ---------------------------------------------------------------

Build = Callable[[Sequence[Tensor]], Any]
"""Makes a value from the numbers in which replicas differ, one 0-d tensor each."""


class ReplicaNumber:
    """A float of the settings that differs between replicas.

    Arithmetic gives tensors. Conditions must come out equal for all replicas. It is deliberately not a float:
    where torch takes a number and not a tensor, it would use one replica's value for all.
    """

    def __init__(self, name: str, values: Sequence[float], tensor: Tensor) -> None:
        self.name, self.values, self.tensor = name, tuple(values), tensor

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def unwrapped(value: Any) -> Any:
            return value.tensor if isinstance(value, ReplicaNumber) else value

        return function(
            *map(unwrapped, args), **{name: unwrapped(one) for name, one in (kwargs or {}).items()}
        )

    def _common(self, answers: Sequence[bool]) -> bool:
        if len(set(answers)) > 1:
            raise NotLiftable(
                f"the step depends on '{self.name}' in a condition that differs between replicas"
            )
        return answers[0]

    def __neg__(self) -> Tensor:
        return -self.tensor

    def __abs__(self) -> Tensor:
        return self.tensor.abs()

    def __bool__(self) -> bool:
        return self._common([bool(value) for value in self.values])

    __hash__ = None  # type: ignore[assignment]


def _add_arithmetic(name: str) -> None:
    function = getattr(operator, name)

    def forward(self: ReplicaNumber, other: Any) -> Any:
        return function(self.tensor, other.tensor if isinstance(other, ReplicaNumber) else other)

    def reflected(self: ReplicaNumber, other: Any) -> Any:
        return function(other, self.tensor)

    setattr(ReplicaNumber, f"__{name}__", forward)
    setattr(ReplicaNumber, f"__r{name}__", reflected)


def _add_comparison(name: str) -> None:
    function = getattr(operator, name)

    def compare(self: ReplicaNumber, other: Any) -> Any:
        if isinstance(other, Tensor):
            return function(self.tensor, other)
        others = other.values if isinstance(other, ReplicaNumber) else [other] * len(self.values)
        return self._common([bool(function(a, b)) for a, b in zip(self.values, others, strict=True)])

    setattr(ReplicaNumber, f"__{name}__", compare)


for _name in ("add", "sub", "mul", "truediv", "pow"):
    _add_arithmetic(_name)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    _add_comparison(_name)


def merge_losses(losses: Sequence[Callable[..., Any]]) -> tuple[Build, list[tuple[float, ...]]]:
    """The replicas' losses as one function of the numbers in which their settings differ, and these numbers;
    NotLiftable if they differ in something else."""
    numbers: list[tuple[float, ...]] = []

    def note(name: str, values: tuple[float, ...]) -> float:
        numbers.append(values)
        return values[0]

    def build(given: Sequence[Tensor]) -> Any:
        tensors = iter(given)  # numbers are met in the order in which they were noted
        return _merged(losses, lambda name, values: ReplicaNumber(name, values, next(tensors)))

    _merged(losses, note)
    return build, numbers


def _merged(values: Sequence[Any], number: Callable[[str, tuple[float, ...]], Any]) -> Any:
    """The first replica's value, with ``number(name, values)`` for every float that differs."""
    first = values[0]
    if all(one is first for one in values) or len({type(one) for one in values}) > 1:
        return first  # values of different types are left to the comparison with single steps
    if isinstance(first, BaseModel):
        return _merged_settings(values, number)
    if isinstance(first, partial):
        if len({(len(one.args), *sorted(one.keywords)) for one in values}) > 1:
            return first
        function = _merged([one.func for one in values], number)
        args = [_merged(each, number) for each in zip(*(one.args for one in values), strict=True)]
        keywords = {key: _merged([one.keywords[key] for one in values], number) for key in first.keywords}
        return partial(function, *args, **keywords)
    if isinstance(first, MethodType):
        return MethodType(first.__func__, _merged([one.__self__ for one in values], number))
    settings = [getattr(one, "settings", None) for one in values]
    if isinstance(settings[0], BaseModel) and (merged := _merged(settings, number)) is not settings[0]:
        changed = copy.copy(first)
        changed.settings = merged
        return changed
    return first


def _merged_settings(values: Sequence[Any], number: Callable[[str, tuple[float, ...]], Any]) -> Any:
    update: dict[str, Any] = {}
    for name in type(values[0]).model_fields:
        each = [getattr(one, name) for one in values]
        if all(one == each[0] for one in each):
            continue
        if isinstance(each[0], BaseModel):
            update[name] = _merged_settings(each, number)
        elif all(type(one) in (float, int) for one in each):
            update[name] = number(name, tuple(float(one) for one in each))
        else:
            raise NotLiftable(f"the settings differ in '{name}', which is not a number")
    return values[0].model_copy(update=update) if update else values[0]
