"""Settings that only change numbers: one step function for replicas whose settings differ in them.

What a step's losses are called with beside their arguments (keywords of a ``functools.partial``, the
component that a method is bound to) holds settings. Where these differ between replicas in floats alone, the
floats are replaced by values that have a replica axis once the step is lifted.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from functools import partial
from types import MethodType
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from zslbench.training.replicas.asked import CannotLift

Build = Callable[[Sequence[Tensor]], Any]
"""Makes a value of the numbers that replicas differ in, one 0-d tensor each."""


class Number:
    """A float of the settings that differs between replicas.

    It calculates like a number and gives tensors. What is decided by it must come out alike for all replicas.
    It is no float: torch would take one replica's value where it wants a number and not a tensor.
    """

    def __init__(self, name: str, values: Sequence[float], tensor: Tensor) -> None:
        self.name, self.values, self.tensor = name, tuple(values), tensor

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def plain(value: Any) -> Any:
            return value.tensor if isinstance(value, Number) else value

        given = {name: plain(value) for name, value in (kwargs or {}).items()}
        return function(*map(plain, args), **given)

    def _decided(self, answers: Sequence[bool]) -> bool:
        if len(set(answers)) > 1:
            raise CannotLift(f"a step is another one for some values of '{self.name}'")
        return answers[0]

    def __neg__(self) -> Tensor:
        return -self.tensor

    def __abs__(self) -> Tensor:
        return self.tensor.abs()

    def __bool__(self) -> bool:
        return self._decided([bool(value) for value in self.values])

    __hash__ = None  # type: ignore[assignment]


def _calculates(name: str) -> None:
    plain = getattr(operator, name)

    def forward(self: Number, other: Any) -> Any:
        return plain(self.tensor, other.tensor if isinstance(other, Number) else other)

    def reflected(self: Number, other: Any) -> Any:
        return plain(other, self.tensor)

    setattr(Number, f"__{name}__", forward)
    setattr(Number, f"__r{name}__", reflected)


def _compares(name: str) -> None:
    plain = getattr(operator, name)

    def compare(self: Number, other: Any) -> Any:
        if isinstance(other, Tensor):
            return plain(self.tensor, other)
        others = other.values if isinstance(other, Number) else [other] * len(self.values)
        return self._decided([bool(plain(a, b)) for a, b in zip(self.values, others, strict=True)])

    setattr(Number, f"__{name}__", compare)


for _name in ("add", "sub", "mul", "truediv", "pow"):
    _calculates(_name)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    _compares(_name)


def merged(losses: Sequence[Callable[..., Any]]) -> tuple[Build, list[tuple[float, ...]]]:
    """The replicas' losses as one function of the numbers in which their settings differ, and these numbers.

    Raises:
        CannotLift: the settings differ in something else.
    """
    numbers: list[tuple[float, ...]] = []
    return _merge(losses, numbers), numbers


def _merge(values: Sequence[Any], numbers: list[tuple[float, ...]]) -> Build:
    first = values[0]
    if all(one is first for one in values) or len({type(one) for one in values}) > 1:
        return lambda given: first  # what differs in kind is for the comparison with plain steps to find
    if isinstance(first, BaseModel):
        return _merge_settings(values, numbers)
    if isinstance(first, partial):
        return _merge_partials(values, numbers)
    if isinstance(first, MethodType):
        owner, function = _merge([one.__self__ for one in values], numbers), first.__func__
        return lambda given: MethodType(function, owner(given))
    settings = [getattr(one, "settings", None) for one in values]
    if isinstance(settings[0], BaseModel):
        before = len(numbers)
        made = _merge(settings, numbers)
        if len(numbers) > before:
            return lambda given: _with_settings(first, made(given))
    return lambda given: first


def _merge_settings(values: Sequence[Any], numbers: list[tuple[float, ...]]) -> Build:
    first, places, groups = values[0], {}, {}
    for name in type(first).model_fields:
        each = [getattr(one, name) for one in values]
        if all(one == each[0] for one in each):
            continue
        if isinstance(each[0], BaseModel):
            groups[name] = _merge_settings(each, numbers)
            continue
        if not all(type(one) in (float, int) for one in each):
            raise CannotLift(f"the settings differ in '{name}', which is more than a number")
        places[name] = len(numbers)
        numbers.append(tuple(float(one) for one in each))

    def build(given: Sequence[Tensor]) -> Any:
        update = {name: Number(name, numbers[place], given[place]) for name, place in places.items()}
        update |= {name: group(given) for name, group in groups.items()}
        return first.model_copy(update=update)

    return build if places or groups else lambda given: first


def _merge_partials(values: Sequence[partial[Any]], numbers: list[tuple[float, ...]]) -> Build:
    first = values[0]
    if any(
        (len(one.args), one.keywords.keys()) != (len(first.args), first.keywords.keys()) for one in values
    ):
        return lambda given: first
    function = _merge([one.func for one in values], numbers)
    args = [_merge(each, numbers) for each in zip(*(one.args for one in values), strict=True)]
    keywords = {name: _merge([one.keywords[name] for one in values], numbers) for name in first.keywords}
    return lambda given: partial(
        function(given),
        *(one(given) for one in args),
        **{name: one(given) for name, one in keywords.items()},
    )


def _with_settings(component: Any, settings: Any) -> Any:
    made = copy.copy(component)
    made.settings = settings
    return made


def stacked(numbers: Sequence[tuple[float, ...]], device: torch.device) -> list[Tensor]:
    """The numbers with a replica axis, in torch's usual precision."""
    return [torch.tensor(one, dtype=torch.get_default_dtype(), device=device) for one in numbers]
