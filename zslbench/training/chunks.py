"""Rows one bounded piece after the other, so that region features are never in memory whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Rows
from zslbench.training.reader import Reader, reads_ahead

CHUNK_ROWS = 1024
"""Rows of a piece of global features."""
CHUNK_BYTES = 64 * 2**20
"""Most bytes of a piece of region features, as float32."""


def in_chunks(features: Rows, device: torch.device | str = "cpu") -> Iterator[Tensor]:
    """All rows in order: 1024 at a time where a row is a vector, else at most 64 MiB at a time.

    What takes long to read is read a piece ahead.

    Args:
        device: where the row numbers are made (the device of the features).
    """
    size = CHUNK_ROWS
    if len(features):
        first = features[torch.zeros(1, dtype=torch.int64, device=device)]
        if first.ndim > 2:
            size = max(1, min(CHUNK_ROWS, CHUNK_BYTES // (4 * first.numel())))
    wanted = (
        torch.arange(start, min(start + size, len(features)), device=device)
        for start in range(0, len(features), size)
    )
    if not reads_ahead(features):
        for rows in wanted:
            yield features[rows]
        return
    with contextlib.closing(Reader(features, torch.device(device))) as reader:
        for rows in wanted:
            before = reader.is_reading
            reader.ask(rows)
            if before:
                yield reader.take()
        while reader.is_reading:
            yield reader.take()
