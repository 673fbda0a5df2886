"""Comparing tensors bit by bit, wherever they are nested."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def leaves(thing: Any, path: str = "") -> dict[str, Tensor]:
    """Every tensor in dictionaries, tuples and dataclasses, by its path; other things are left out.

    >>> list(leaves({"critic": {"out.bias": torch.zeros(1)}}))
    ['critic/out.bias']
    """
    if isinstance(thing, Tensor):
        return {path: thing}
    parts: Mapping[str, Any] = {}
    if isinstance(thing, Mapping):
        parts = {str(name): value for name, value in thing.items()}
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        parts = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    elif hasattr(thing, "_fields"):
        parts = thing._asdict()
    elif isinstance(thing, tuple | list):
        parts = {str(number): value for number, value in enumerate(thing)}
    elif hasattr(thing, "tensor"):  # the tiny inputs' region features
        parts = {"tensor": thing.tensor}
    return {
        name: tensor
        for key, value in parts.items()
        for name, tensor in leaves(value, f"{path}/{key}" if path else key).items()
    }


def snapshot(thing: Any) -> dict[str, Tensor]:
    """Copies of all tensors in ``thing``."""
    return {path: tensor.detach().clone() for path, tensor in leaves(thing).items()}


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Equal dtype, shape and bits; a NaN equals the same NaN."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.numel() == 0:
        return True
    raw = (one.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for one in (a, b))
    return torch.equal(*raw)


def differing(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Paths that only one side has, or whose tensors differ in any bit."""
    return sorted(
        path
        for path in before.keys() | after.keys()
        if path not in before or path not in after or not same_bits(before[path], after[path])
    )


def changed(before: Mapping[str, Tensor], thing: Any) -> list[str]:
    """Paths of the tensors of ``thing`` that are not what :func:`snapshot` found."""
    return differing(before, leaves(thing))


def close(a: Tensor, b: Tensor) -> bool:
    """Equal up to rounding: differences below 1e-4 of the largest magnitude (1e-9 for float64)."""
    if a.shape != b.shape:
        return False
    if not a.numel():
        return True
    tolerance = 1e-9 if a.dtype == b.dtype == torch.float64 else 1e-4
    wide_a, wide_b = a.detach().double(), b.detach().double()
    scale = float(torch.maximum(wide_a.abs().max(), wide_b.abs().max()))
    return bool(((wide_a - wide_b).abs() <= tolerance * scale).all())


def listed(paths: list[str]) -> str:
    """A few of the paths, for a message."""
    return ", ".join(paths[:4]) + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")
