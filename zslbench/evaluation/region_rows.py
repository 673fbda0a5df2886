"""Region features of some images: on the device where there is room, else read when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.data.regions.layout import BLOCK_BYTES
from zslbench.data.regions.store import StoredRegions
from zslbench.plugin.dataset import Indices, RegionSource

Room = Callable[[torch.device], int]
"""How many bytes of region features may stay on a device."""


def half_of_free_memory(device: torch.device) -> int:
    """Half of a GPU's free memory; nothing on the CPU, where the system keeps what was read by itself."""
    if device.type != "cuda":
        return 0
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return (free + unused) // 2


class RegionRows:
    """Some images' regions, float32 on the device; a :class:`zslbench.plugin.interfaces.Rows`.

    If all of them, as they are stored, fit into ``room``, they are kept on the device from the first reading
    on and converted as they are taken; otherwise rows are read from the source each time, with the same bits.

    The source, which holds all images, is kept in a closure: no attribute of a view leads to it.

    Args:
        rows: which images, by their row in the source.
        room: bytes that may stay on the device.
    """

    def __init__(
        self, source: RegionSource, rows: Indices, device: torch.device, room: Room = half_of_free_memory
    ) -> None:
        images, regions, channels = len(rows), *source.shape[1:]
        stored = source if isinstance(source, StoredRegions) else None
        dtype = np.dtype(np.float32) if stored is None else stored.dtype
        scale = None if stored is None or stored.scale is None else float(np.float32(stored.scale))
        held: list[Tensor | None] = []  # one entry once it was decided whether they stay
        lock = threading.Lock()

        def staged(numbers: Indices) -> Tensor:
            """Rows on the device, as they are stored."""
            shape = (len(numbers), regions, channels)
            # From pinned memory a copy to a GPU overlaps with what is computed there.
            host = torch.empty(shape, dtype=_torch_type(dtype), pin_memory=device.type == "cuda")
            if stored is None:
                host.numpy()[...] = source[rows[numbers]]
            else:
                stored.raw(rows[numbers], host.numpy())
            return host.to(device, non_blocking=True)

        def stays() -> bool:
            if not held:
                needed = images * regions * channels * dtype.itemsize
                if needed > room(device):
                    held.append(None)
            return not held or held[0] is not None

        def resident() -> Tensor | None:
            with lock:
                if stays() and not held:
                    everything = torch.empty(
                        (images, regions, channels), dtype=_torch_type(dtype), device=device
                    )
                    size = max(1, BLOCK_BYTES // (regions * channels * dtype.itemsize))
                    for start in range(0, images, size):
                        part = np.arange(start, min(start + size, images))
                        everything[start : start + len(part)] = staged(part)
                    held.append(everything)
                return held[0]

        def read(numbers: Tensor) -> Tensor:
            whole = resident()
            if whole is not None:
                values = whole[numbers]
            elif device.type == "cuda":
                values = staged(numbers.cpu().numpy())
            else:
                return torch.from_numpy(source[rows[numbers.cpu().numpy()]]).to(device)
            values = values.to(torch.float32)
            return values if scale is None else values.mul_(scale)

        def takes_long() -> bool:
            return stored is not None and not stays()

        self._shape = (images, regions, channels)
        self._read: Callable[[Tensor], Tensor] = read
        self._ahead: Callable[[], bool] = takes_long

    def __len__(self) -> int:
        return self._shape[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(images, regions, channels)."""
        return self._shape

    @property
    def read_ahead(self) -> bool:
        """Whether reading takes so long that the next rows are best read while the last are computed on."""
        return self._ahead()

    def __getitem__(self, rows: Int[Tensor, " n"], /) -> Float[Tensor, "n regions dv"]:
        return self._read(rows)


def _torch_type(dtype: np.dtype[Any]) -> torch.dtype:
    types = {"float16": torch.float16, "float32": torch.float32, "uint8": torch.uint8}
    return types[dtype.name]
