"""Nested tensors of several replicas as one tree with a leading replica axis, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Batch, Losses, Networks

Axes: TypeAlias = dict[str, dict[str, int | None]]
"""The replica axis of every tensor of some networks; None: it has none, being the same for all."""


def stack(nets: Sequence[Networks]) -> Networks:
    """Networks of equal form, stacked."""
    return {
        net: {name: torch.stack([one[net][name] for one in nets]) for name in tensors}
        for net, tensors in nets[0].items()
    }


def shared(nets: Sequence[Networks]) -> tuple[Networks, Axes]:
    """Networks of equal form, stacked; a tensor that is the same in all is kept once, without the axis."""
    held: Networks = {}
    axes: Axes = {}
    for net, tensors in nets[0].items():
        held[net], axes[net] = {}, {}
        for name in tensors:
            all_of_them = [one[net][name] for one in nets]
            once = len(nets) > 1 and are_same(all_of_them)
            held[net][name] = all_of_them[0] if once else torch.stack(all_of_them)
            axes[net][name] = None if once else 0
    return held, axes


def are_same(tensors: Sequence[Tensor]) -> bool:
    """Whether all of them hold the same values."""
    first, *others = tensors
    return all(one is first or (one.shape == first.shape and torch.equal(one, first)) for one in others)


def at(tree: Any, position: int, axes: Any = 0) -> Any:
    """One replica's part of a tree of stacked tensors.

    Args:
        axes: a tree like it, or a number for all of it; where it is None, the tensor is not stacked.
    """
    if isinstance(tree, Tensor):
        return tree if axes is None else tree[position]
    if isinstance(tree, dict):
        return {
            key: at(one, position, axes[key] if isinstance(axes, dict) else axes) for key, one in tree.items()
        }
    if tree is None:
        return None
    parts = [at(one, position, axes) for one in tree]
    return type(tree)(*parts) if isinstance(tree, Batch | Losses) else tuple(parts)
