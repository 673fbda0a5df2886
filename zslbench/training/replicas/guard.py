"""Compares the first steps of a lifted program with each seed's own plain steps.

A step's function may hold tensors that are not among its networks. Where they differ between seeds, the
lifted function, which is one seed's, would be wrong for the others; where a step cannot be lifted, torch says
so. Either is found before anything was trained that counts, and the seeds then run one by one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin.interfaces import Batch, Losses, Networks, Noise
from zslbench.training.replicas.asked import CannotLift
from zslbench.training.replicas.stacking import at
from zslbench.training.step import StepFunction, is_reduced

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Largest distance of a lifted gradient from the plain one, as a part of the plain one's length (plus a
hundredth of that part of the length of all gradients, for tensors whose gradient is nothing but rounding)."""
COARSE = 1e-2
"""The same where products are computed in TF32 or bfloat16."""


class Guarded:
    """A lifted step function that is compared with plain ones when it is called first.

    Args:
        where: what to call the step in a message.
        plain: the step functions of the seeds that take part, by position on the replica axis.
        axes: of the networks; None where a tensor has no replica axis.
        sure: it was compared before.
    """

    def __init__(
        self,
        where: str,
        lifted: StepFunction,
        plain: Mapping[int, StepFunction],
        axes: Mapping[str, Mapping[str, int | None]],
        sure: bool = False,
    ) -> None:
        self._where, self._lifted, self._plain, self._axes = where, lifted, plain, axes
        self.sure = sure

    def __call__(self, nets: Networks, batch: Batch, noise: Noise) -> tuple[Networks, Losses]:
        if self.sure:
            return self._lifted(nets, batch, noise)
        try:
            found = self._lifted(nets, batch, noise)
        except ZslbenchError:
            raise
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise CannotLift(f"{self._where} cannot be lifted: {first[:200]}") from error
        for position, function in self._plain.items():
            alone = function(at(nets, position, self._axes), at(batch, position), at(noise, position))
            if what := differing(alone, at(found, position)):
                raise CannotLift(
                    f"{self._where} gives another {what} when it is lifted; its losses read something of "
                    "one seed that is not among the program's networks (put it into frozen)"
                )
        self.sure = True
        return found


def differing(alone: tuple[Networks, Losses], lifted: tuple[Networks, Losses]) -> str:
    """The first gradient or loss that differs by more than the tolerance; empty: none does."""
    gradients = [
        (f"gradient of '{net}/{name}'", value, lifted[0][net][name])
        for net, tensors in alone[0].items()
        for name, value in tensors.items()
    ]
    lengths = [_length(value) for _, value, _ in gradients]
    whole = math.sqrt(sum(one**2 for one in lengths if math.isfinite(one)))
    for (what, value, other), length in zip(gradients, lengths, strict=True):
        if math.isfinite(length) and not _near(value, other, length + 0.01 * whole):
            return what
    total = float(alone[1].total)
    pairs: dict[str, Any] = {"loss": (alone[1].total, lifted[1].total)}
    pairs |= {f"figure '{name}'": (value, lifted[1].log[name]) for name, value in alone[1].log.items()}
    for what, (value, other) in pairs.items():
        size = abs(float(value)) + abs(total) + whole
        if math.isfinite(size) and not _near(value, other, size):
            return what
    return ""


def _near(value: Tensor, other: Tensor, size: float) -> bool:
    return _length(value - other) <= tolerance(value.dtype) * size


def _length(value: Tensor) -> float:
    return float(torch.linalg.vector_norm(value.double()))


def tolerance(dtype: torch.dtype) -> float:
    """The tolerance for values of this type as products are computed now."""
    if dtype == torch.float64:
        return TOLERANCE[dtype]
    return COARSE if is_reduced() else TOLERANCE.get(dtype, COARSE)
