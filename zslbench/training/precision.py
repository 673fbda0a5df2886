"""How exactly matrix products of training steps are computed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

import torch

Precision: TypeAlias = Literal["float32", "tf32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


class _Here(threading.local):
    precision: Precision = "float32"


_here = _Here()


@contextlib.contextmanager
def reduced(precision: Precision) -> Iterator[None]:
    """While steps are computed in this thread, see :func:`forward`."""
    before, _here.precision = _here.precision, precision
    try:
        yield
    finally:
        _here.precision = before


def is_coarse() -> bool:
    """Whether float32 products are computed from operands of fewer digits now."""
    return _here.precision == "bf16" or torch.get_float32_matmul_precision() != "highest"


def forward(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Around a step's losses: under ``bf16`` matrix products take bfloat16 operands.

    Only the losses are inside, not their differentiation, which follows the types of what it differentiates
    (within autocast it would round products that were made in float32). Networks, sums and optimisers stay
    float32. Casts are not cached: a cache would hold on to tensors of a captured graph.
    """
    if _here.precision != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def in_float32(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Around what must not be computed in bfloat16 even there, as the length of a gradient."""
    if not torch.is_autocast_enabled(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


@contextlib.contextmanager
def float32_products(precision: Precision) -> Iterator[None]:
    """While a run is computed: under ``tf32`` a GPU multiplies float32 matrices with TF32 operands."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
