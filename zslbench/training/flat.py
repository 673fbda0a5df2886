"""Nested tensors to flat names and back, for files that hold one level: ``net/tensor``."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from zslbench.plugin.interfaces import Networks


def flatten(nets: Networks) -> dict[str, Tensor]:
    """``{"critic": {"out.bias": t}}`` as ``{"critic/out.bias": t}``."""
    return {f"{net}/{name}": tensor for net, tensors in nets.items() for name, tensor in tensors.items()}


def unflatten(flat: Mapping[str, Tensor]) -> Networks:
    """The inverse of :func:`flatten`."""
    nets: Networks = {}
    for path, tensor in flat.items():
        net, _, name = path.partition("/")
        nets.setdefault(net, {})[name] = tensor
    return nets


def select(flat: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below ``prefix``, without it."""
    return {path[len(prefix) :]: tensor for path, tensor in flat.items() if path.startswith(prefix)}


def prefixed(prefix: str, flat: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`select`."""
    return {prefix + path: tensor for path, tensor in flat.items()}
