"""A check of one rule, the error that says who breaks it and how, and what checks require of tensors."""

from __future__ import annotations

import dataclasses
import random
import traceback
import unittest
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from zslbench.errors import PluginFailure
from zslbench.plugin.boundary import is_stop, one_line

ResultT = TypeVar("ResultT")


class ConformanceError(AssertionError):
    """A component or method breaks a rule; the message names it, the check and the fault."""


class NotApplicable(unittest.SkipTest):
    """There is nothing to check, for example no data on this machine; pytest shows it as skipped."""


class Fault(Exception):
    """What is wrong and what to do, in one line. :class:`Check` adds whose fault it is."""


def require(condition: object, fault: str) -> None:
    """Raise :class:`Fault` unless the condition holds."""
    if not condition:
        raise Fault(fault)


@dataclass(frozen=True)
class Check:
    """One check of one component or method. Call it to run it.

    Raises:
        ConformanceError: a rule is broken.
        NotApplicable: there is nothing to check.
    """

    subject: str
    """What it checks, for example ``generator 'tf-vaegan'``."""
    name: str
    rule: str
    """What it requires, one line."""
    run: Callable[[], None]
    expected_failure: str | None = None
    """Why the author expects it to fail; None: it must pass."""
    reported: dict[Hashable, str] = field(default_factory=dict, compare=False, repr=False)
    """Checks that failed, by their fault; shared by the checks of one subject, so that each fault is reported
    once."""

    def __call__(self) -> None:
        where = f"{self.subject} fails check '{self.name}'"
        try:
            self.run()
        except NotApplicable:
            raise
        except BaseException as error:  # a component that calls sys.exit must not end the tests
            if is_stop(error):
                raise
            first = self.reported.get(_identified(error), self.name)
            if self.expected_failure is None:
                self.reported.setdefault(_identified(error), self.name)
            if first != self.name:
                raise NotApplicable(f"the same fault is reported by check '{first}'") from None
            text = str(error) if isinstance(error, Fault | PluginFailure) else one_line(error)
            cause = None if isinstance(error, Fault) else error
            raise ConformanceError(f"{where}: {text} (rule: {self.rule})") from cause


def _identified(error: BaseException) -> Hashable:
    """Equal for errors of one origin: that of the first error behind it, or a fault's words."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, Fault):
        return str(error)
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return type(error), one_line(error), tuple(places[-1:])


@contextmanager
def global_seed(seed: int, numpy: int | None = None, python: int | None = None) -> Iterator[None]:
    """Seed the global generators of torch, numpy and random, and restore their states afterwards.

    Args:
        seed: torch's seed, and that of the others unless they are given one.
    """
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        torch.manual_seed(seed)
        np.random.seed(seed if numpy is None else numpy)  # noqa: NPY002
        random.seed(seed if python is None else python)
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])


# --- comparing tensors ---------------------------------------------------------------------------


def leaves(thing: Any, path: str = "") -> dict[str, Tensor]:
    """Every tensor in dictionaries, tuples and dataclasses, by its path; other values are left out.

    >>> list(leaves({"critic": {"out.bias": torch.zeros(1)}}))
    ['critic/out.bias']
    """
    if isinstance(thing, Tensor):
        return {path: thing}
    parts: Mapping[Any, Any] = {}
    if isinstance(thing, Mapping):
        parts = thing
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        parts = {one.name: getattr(thing, one.name) for one in dataclasses.fields(thing)}
    elif hasattr(thing, "_fields"):
        parts = thing._asdict()
    elif isinstance(thing, tuple | list):
        parts = dict(enumerate(thing))
    return {
        name: tensor
        for key, value in parts.items()
        for name, tensor in leaves(value, f"{path}/{key}" if path else str(key)).items()
    }


@contextmanager
def unchanged(who: str, arguments: Any) -> Iterator[None]:
    """Require that no tensor in ``arguments`` changes within the context; ``who`` would change it."""
    before = {path: tensor.detach().clone() for path, tensor in leaves(arguments).items()}
    yield
    require_same(before, leaves(arguments), f"{who} changes {{}} in place; work on a copy")


def require_same(before: Mapping[str, Tensor], after: Mapping[str, Tensor], fault: str) -> None:
    """Require equal tensors under equal paths; ``fault`` has ``{}`` where the paths that differ go."""
    if paths := changed_tensors(before, after):
        more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
        raise Fault(fault.replace("{}", ", ".join(paths[:4]) + more))


def require_floats(who: str, found: Any, *shape: int | str) -> None:
    """Require finite floats of this shape; a text stands for any length."""
    wanted = f"({', '.join(map(str, shape))})"
    if not isinstance(found, Tensor) or not found.is_floating_point():
        what = f"a tensor of {found.dtype}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise Fault(f"{who} returns {what}, not floats {wanted}")
    fits = [isinstance(one, str) or one == length for one, length in zip(shape, found.shape, strict=False)]
    shaped = found.ndim == len(shape) and all(fits)
    require(shaped, f"{who} returns shape {tuple(found.shape)}, not {wanted}")
    require(found.isfinite().all(), f"{who} returns NaN or infinite values")


def require_by_row(who: str, function: Callable[[Tensor], Tensor], rows: Tensor) -> None:
    """Require that a row's result does not depend on the other rows."""
    whole = function(rows)
    order = torch.arange(len(rows), device=rows.device).flip(0)
    for what, part in (("in reverse order", order), ("with fewer others", order[::3]), ("alone", order[:1])):
        same = close(function(rows[part]), whole[part])
        require(same, f"{who} returns other values for rows {what}; use no batch statistics (eval mode)")


def require_pure(who: str, function: Callable[[], ResultT], arguments: Any, advice: str) -> ResultT:
    """Require that a function changes no argument and repeats its result, which is returned."""
    found = []
    with unchanged(who, arguments):
        for seed in (1, 2):
            with global_seed(seed), torch.no_grad():
                found.append(function())
    if paths := changed_tensors(leaves(found[0]), leaves(found[1])):
        which = f" ({', '.join(paths)})" if any(paths) else ""
        raise Fault(f"{who} returns other values when called again{which}; {advice}")
    return found[0]


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Equal dtype, shape and bits; a NaN equals the same NaN."""
    raw = (one.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for one in (a, b))
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*raw)


def changed_tensors(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Paths that only one side has, or whose tensors differ in any bit."""
    return sorted(
        path
        for path in before.keys() | after.keys()
        if path not in before or path not in after or not same_bits(before[path], after[path])
    )


def close(a: Tensor, b: Tensor) -> bool:
    """Equal up to rounding: differences below 1e-4 of the largest magnitude (1e-9 for float64)."""
    if a.shape != b.shape or not a.numel():
        return a.shape == b.shape
    tolerance = 1e-9 if a.dtype == b.dtype == torch.float64 else 1e-4
    both = torch.stack([a.detach().double(), b.detach().double()])
    return bool(((both[0] - both[1]).abs() <= tolerance * both.abs().max()).all())
