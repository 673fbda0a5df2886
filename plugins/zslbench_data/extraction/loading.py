"""Pictures decoded in several processes, batch by batch, in order."""

from __future__ import annotations

import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zslbench.errors import ZslbenchError
from zslbench_data.extraction.decode import Pixels, Unreadable

_AHEAD = 2
"""Batches that each process decodes ahead."""


@dataclass(frozen=True)
class Batch:
    """Some decoded pictures."""

    first: int
    """Row of the first."""
    count: int
    pixels: UInt8[Tensor, "b 3 h w"]
    faults: tuple[tuple[int, str], ...]
    """Row and fault of each that could not be read; its pixels mean nothing."""


class _Decoded(Dataset[tuple[int, int, Tensor, list[tuple[int, str]]]]):
    def __init__(self, paths: Sequence[Path], pixels: Pixels) -> None:
        self._paths, self._pixels = list(paths), pixels

    def __getitem__(self, rows: range) -> tuple[int, int, Tensor, list[tuple[int, str]]]:
        size = self._pixels.size
        out = torch.zeros((len(rows), 3, size, size), dtype=torch.uint8)
        faults = []
        for place, row in enumerate(rows):
            try:
                out[place] = torch.from_numpy(self._pixels.read(self._paths[row]))
            except Unreadable as fault:
                faults.append((row, str(fault)))
        return rows.start, len(rows), out, faults


def batches(
    paths: Sequence[Path], pixels: Pixels, *, first: int, size: int, workers: int, pin: bool = False
) -> Generator[Batch, None, None]:
    """Every picture from row ``first`` on.

    Args:
        size: pictures of a batch.
        workers: processes that decode; 0: this one does.
        pin: whether pixels lie where a GPU can fetch them by itself.

    Raises:
        ZslbenchError: a process ended (too little shared memory, as a rule).
    """
    plan = [range(start, min(start + size, len(paths))) for start in range(first, len(paths), size)]
    loader = DataLoader(
        _Decoded(paths, pixels),
        batch_size=None,  # the sampler's items are whole batches
        sampler=plan,
        num_workers=min(workers, len(plan)),
        prefetch_factor=_AHEAD if workers and plan else None,
        pin_memory=pin,
        worker_init_fn=_leave_interrupts_to_the_parent,
    )
    try:
        for start, count, decoded, faults in loader:
            yield Batch(start, count, decoded, tuple((row, text) for row, text in faults))
    except RuntimeError as error:
        if "worker" not in str(error):
            raise
        raise ZslbenchError(
            f"a decoding process ended ({str(error).splitlines()[0]}): give the machine more shared memory "
            "(/dev/shm), or pass --workers 0; what is done is kept"
        ) from None


def _leave_interrupts_to_the_parent(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
