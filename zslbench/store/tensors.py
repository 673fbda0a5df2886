"""Named tensors as one safetensors text of bytes, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    """Safetensors bytes of tensors of any layout and device; views and shared storage are copied.

    Raises:
        TypeError: safetensors has no such dtype (complex128, quantised); names the tensor.
    """
    import safetensors.torch

    own = {}
    for name, tensor in tensors.items():
        if name == "__metadata__":
            raise TypeError(
                "a tensor may not be named '__metadata__': safetensors keeps that name for itself"
            )
        # clone: safetensors refuses tensors that share storage.
        own[name] = tensor.detach().cpu().contiguous().clone()
        try:
            safetensors.torch.save({name: own[name][None][:0]})
        except (KeyError, ValueError, RuntimeError):
            raise TypeError(f"tensor {name!r}: safetensors cannot store {tensor.dtype}") from None
    return safetensors.torch.save(own)


def unpack(data: bytes) -> dict[str, Tensor]:
    """The tensors that :func:`pack` was given, on the CPU, each with storage of its own."""
    import safetensors.torch

    return {name: tensor.clone() for name, tensor in safetensors.torch.load(data).items()}
