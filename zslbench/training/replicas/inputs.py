"""Inputs of a lifted iteration: every seed draws its own batches and noise, as its single run would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Batch, Noise
from zslbench.training.batches import Batches
from zslbench.training.checkpoint import prefixed, select
from zslbench.training.iteration import Inputs, batch_numbers, draw_noise
from zslbench.training.replicas.asked import Asked
from zslbench.training.replicas.stacking import are_same


class Sources:
    """The batches and streams of the seeds that take part, drawn together.

    Args:
        asked: by slot.
        slots: the slot of each position on the replica axis; those that nobody asked for are given what the
            first one draws.
    """

    def __init__(self, asked: Mapping[int, Asked], slots: Sequence[int]) -> None:
        self._asked = asked
        self._feeding = [slot if slot in asked else min(asked) for slot in slots]
        self._streams = {slot: one.training.streams.child("noise") for slot, one in asked.items()}
        self._batches = {
            slot: Batches(one.program, one.semantics, self._streams[slot]) for slot, one in asked.items()
        }
        self._pools: tuple[_Pool, _Pool, _Pool] | None = None
        features = {slot: one.program.features for slot, one in asked.items()}
        tensors = {slot: one for slot, one in features.items() if isinstance(one, Tensor)}
        if len(tensors) == len(features):
            self._pools = (
                _Pool(tensors, self._feeding),
                _Pool({slot: one.program.labels for slot, one in asked.items()}, self._feeding),
                _Pool({slot: one.semantics for slot, one in asked.items()}, self._feeding),
            )

    def draw(self, number: int) -> Inputs:
        """Batches (replicas, b, ...) and noise (replicas, ...) of one iteration of pass ``number``."""
        passes = {slot: one.program.passes[number] for slot, one in self._asked.items()}
        numbers = batch_numbers(next(iter(passes.values())))
        batches = self._drawn(numbers[-1] + 1)
        rows = batches[0].labels.shape[1]
        noise = {
            slot: [draw_noise(step, rows, self._streams[slot]) for step in steps]
            for slot, steps in passes.items()
        }
        return Inputs(batches, tuple(self._stacked(noise, place) for place in range(len(numbers))))

    def _drawn(self, count: int) -> tuple[Batch, ...]:
        if self._pools is None:
            read = {slot: [one.next() for _ in range(count)] for slot, one in self._batches.items()}
            together = ((read[slot][k] for slot in self._feeding) for k in range(count))
            return tuple(Batch(*map(torch.stack, zip(*batches, strict=True))) for batches in together)
        features, labels, semantics = self._pools
        rows = {slot: [one.next_rows() for _ in range(count)] for slot, one in self._batches.items()}
        # One gather for all batches of all replicas, (count, replicas, b).
        every = torch.stack([torch.stack([rows[slot][k] for slot in self._feeding]) for k in range(count)])
        named = labels.take(every)
        taken = (features.take(every), named, semantics.take(named))
        return tuple(Batch(*parts) for parts in zip(*(one.unbind() for one in taken), strict=True))

    def _stacked(self, noise: Mapping[int, Sequence[Noise]], place: int) -> Noise:
        names = noise[self._feeding[0]][place]
        return {name: torch.stack([noise[slot][place][name] for slot in self._feeding]) for name in names}

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs."""
        found: dict[str, Tensor] = {}
        for slot in self._asked:
            found |= prefixed(f"streams/{slot}/", self._streams[slot].state())
            found |= prefixed(f"sampler/{slot}/", self._batches[slot].state())
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state` gave."""
        for slot in self._asked:
            self._streams[slot].restore(select(tensors, f"streams/{slot}/"))
            self._batches[slot].restore(select(tensors, f"sampler/{slot}/"))

    def close(self) -> None:
        """End what reads ahead."""
        for batches in self._batches.values():
            batches.close()
        self._pools = None


class _Pool:
    """Rows of all replicas in one tensor, kept once where they are the same."""

    def __init__(self, tensors: Mapping[int, Tensor], feeding: Sequence[int]) -> None:
        ordered = list(tensors.values())
        self._offsets: Tensor | None = None
        if are_same(ordered):
            self._rows = ordered[0]
            return
        self._rows = torch.cat(ordered)
        place = {slot: number * len(ordered[0]) for number, slot in enumerate(tensors)}
        self._offsets = torch.tensor([place[slot] for slot in feeding], device=self._rows.device)[:, None]

    def take(self, rows: Tensor) -> Tensor:
        """Rows (..., replicas, b), each from its own replica's."""
        return self._rows[rows if self._offsets is None else rows + self._offsets]
