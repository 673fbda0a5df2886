"""Which examples a step sees. Orders are drawn on the device, from the run's stream ``batches``."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from zslbench.interfaces import Streams


class Sampler:
    """Row numbers of one batch after the other.

    Args:
        rows: number of examples.
        batch_size: rows per batch; all rows where there are fewer.
        kind: ``independent`` or ``shuffled``, see :class:`zslbench.interfaces.Program`.
    """

    def __init__(
        self, rows: int, batch_size: int, kind: Literal["independent", "shuffled"], streams: Streams
    ) -> None:
        self.rows = rows
        self.size = min(batch_size, rows)
        self.kind = kind
        self._streams = streams
        self._order = torch.empty(0, dtype=torch.int64, device=streams.device)
        self._position = 0

    def next(self) -> Int[Tensor, " b"]:
        if self.kind == "independent":
            return self._permutation()[: self.size]
        while len(self._order) - self._position < self.size:
            left = self._order[self._position :]
            self._order, self._position = torch.cat([left, self._permutation()]), 0
        batch = self._order[self._position : self._position + self.size]
        self._position += self.size
        return batch

    def _permutation(self) -> Tensor:
        return torch.randperm(self.rows, generator=self._streams["batches"], device=self._streams.device)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs besides the stream's own state."""
        return {"order": self._order[self._position :]}

    def restore(self, state: dict[str, Tensor]) -> None:
        self._order, self._position = state["order"].to(self._streams.device), 0
