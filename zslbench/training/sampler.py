"""Which examples a step sees. Orders are drawn on the device, from the run's stream ``batches``."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from zslbench.plugin.streams import Streams


class Sampler:
    """Row numbers of one batch after the other.

    ``balanced``: of b examples from M classes each class gets b // M, and a random choice of b mod M classes
    one more (so with b < M there are b different classes with one example each). A class with fewer
    examples than its share repeats them.

    Args:
        rows: number of examples.
        batch_size: rows per batch; all rows where there are fewer.
        kind: ``independent``, ``shuffled`` or ``balanced``, see :class:`zslbench.plugin.interfaces.Program`.
        labels: classes of the examples, for ``balanced``.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        kind: Literal["independent", "shuffled", "balanced"],
        streams: Streams,
        labels: Int[Tensor, " n"] | None = None,
    ) -> None:
        self.rows = rows
        self.size = min(batch_size, rows)
        self.kind = kind
        self._streams = streams
        self._order = torch.empty(0, dtype=torch.int64, device=streams.device)
        self._position = 0
        if kind == "balanced":
            assert labels is not None
            _, self._class, self._count = torch.unique(labels, return_inverse=True, return_counts=True)
            self._first = self._count.cumsum(0) - self._count

    def next(self) -> Int[Tensor, " b"]:
        if self.kind == "independent":
            return self._permutation(self.rows)[: self.size]
        if self.kind == "balanced":
            return self._balanced()
        while len(self._order) - self._position < self.size:
            left = self._order[self._position :]
            self._order, self._position = torch.cat([left, self._permutation(self.rows)]), 0
        batch = self._order[self._position : self._position + self.size]
        self._position += self.size
        return batch

    def _balanced(self) -> Tensor:
        classes = len(self._count)
        # Every class's rows one after the other, in random order within the class.
        mixed = self._permutation(self.rows)
        grouped = mixed[torch.argsort(self._class[mixed], stable=True)]
        # The k-th example goes to the k-th class of a random order of classes, going round.
        turn = torch.arange(self.size, device=self._streams.device)
        of_class = self._permutation(classes)[turn % classes]
        which = (turn // classes) % self._count[of_class]
        return grouped[self._first[of_class] + which]

    def _permutation(self, count: int) -> Tensor:
        return torch.randperm(count, generator=self._streams["batches"], device=self._streams.device)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs besides the stream's own state."""
        return {"order": self._order[self._position :]}

    def restore(self, state: dict[str, Tensor]) -> None:
        self._order, self._position = state["order"].to(self._streams.device), 0
