"""Checks of what a run's components return, before it is drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from zslbench.errors import PluginError
from zslbench.store import RunRecord


def require_shape(what: str, record: RunRecord, shape: tuple[int, ...], tensor: Tensor) -> Tensor:
    """``tensor``, if it has this shape and only finite values; otherwise PluginError."""
    if tuple(tensor.shape) != shape:
        raise PluginError(f"run {record.info.id}: {what} has shape {tuple(tensor.shape)}, not {shape}")
    if not torch.isfinite(tensor).all():
        raise PluginError(f"run {record.info.id}: {what} has values that are not finite")
    return tensor
