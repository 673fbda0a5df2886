"""What a lifted program is made of: the seeds' requests, stacked tensors, and the inputs of iterations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zslbench.errors import ZslbenchError
from zslbench.plugin.interfaces import Batch, Choice, Networks, Noise, NoiseSpec, Program
from zslbench.training.batches import Batches
from zslbench.training.checkpoint import flatten, prefixed, select
from zslbench.training.context import Training
from zslbench.training.iteration import Inputs, batch_numbers, draw_noise

Axes: TypeAlias = dict[str, dict[str, int | None]]
"""The replica axis of every tensor of some networks; None: shared by all replicas."""


class CannotLift(ZslbenchError):
    """Programs that cannot run as one; the message says why."""


@dataclass(frozen=True)
class Request:
    """A program that one seed wants to train."""

    program: Program
    semantics: Tensor
    training: Training


def signature(request: Request) -> dict[str, Any]:
    """Everything that must be equal for programs to be lifted together; ``epochs`` may differ."""
    program = request.program
    features = program.features
    return {
        "steps": [
            [
                (step.name, step.updates, step.fresh_batch, {n: _noise(s) for n, s in step.noise.items()})
                for step in steps
            ]
            for steps in program.passes
        ],
        "optimizers": dict(program.optimizers),
        "batch_size": program.batch_size,
        "sampler": program.sampler,
        "iterations": program.iterations,
        "examples": len(program.labels),
        "features": (tuple(features.shape[1:]), features.dtype) if isinstance(features, Tensor) else "read",
        "semantics": (tuple(request.semantics.shape), request.semantics.dtype),
        "frozen networks": shapes(program.frozen),
    }


def _noise(spec: NoiseSpec) -> Any:
    return (type(spec), () if isinstance(spec, Choice) else spec.shape)


def shapes(nets: Networks) -> dict[str, Any]:
    """Shape and dtype of every tensor."""
    return {path: (tuple(tensor.shape), tensor.dtype) for path, tensor in flatten(nets).items()}


def check_equal(signatures: Mapping[int, Mapping[str, Any]]) -> None:
    """Compare the slots' signatures.

    Raises:
        CannotLift: they differ.
    """
    first, *others = signatures.values()
    different = sorted({key for other in others for key in first if other[key] != first[key]})
    if different:
        raise CannotLift(f"the programs differ in their {', '.join(different)}")


# --- stacked tensors -------------------------------------------------------------------------------


def stack_or_share(nets: Sequence[Networks]) -> tuple[Networks, Axes]:
    """Stacked along a leading replica axis; a tensor that is equal in all is held once, without the axis."""
    stacked: Networks = {}
    axes: Axes = {}
    for net, tensors in nets[0].items():
        stacked[net], axes[net] = {}, {}
        for name in tensors:
            each = [one[net][name] for one in nets]
            shared = len(nets) > 1 and _are_equal(each)
            stacked[net][name] = each[0] if shared else torch.stack(each)
            axes[net][name] = None if shared else 0
    return stacked, axes


def _are_equal(tensors: Sequence[Tensor]) -> bool:
    first, *others = tensors
    return all(one is first or (one.shape == first.shape and torch.equal(one, first)) for one in others)


def replica(tree: Any, position: int, axes: Axes | None = None) -> Any:
    """One replica's part of a tree of stacked tensors.

    Args:
        axes: of each tensor; None: all of them are stacked.
    """
    if axes is None:
        return tree_map(lambda one: one[position], tree)
    return tree_map(lambda one, axis: one if axis is None else one[position], tree, axes)


# --- inputs of iterations --------------------------------------------------------------------------


class ReplicaInputs:
    """Draws the inputs of lifted iterations: every seed draws the batches and noise of its single run.

    Args:
        requests: by slot.
        sources: the slot whose inputs each position on the replica axis gets.
    """

    def __init__(self, requests: Mapping[int, Request], sources: Sequence[int]) -> None:
        self._requests, self._sources = requests, sources
        self._streams = {slot: one.training.streams.child("noise") for slot, one in requests.items()}
        self._batches = {
            slot: Batches(one.program, one.semantics, self._streams[slot]) for slot, one in requests.items()
        }
        self._pools: tuple[_Pool, _Pool, _Pool] | None = None
        features = {slot: one.program.features for slot, one in requests.items()}
        tensors = {slot: one for slot, one in features.items() if isinstance(one, Tensor)}
        if len(tensors) == len(features):
            self._pools = (
                _Pool(tensors, self._sources),
                _Pool({slot: one.program.labels for slot, one in requests.items()}, self._sources),
                _Pool({slot: one.semantics for slot, one in requests.items()}, self._sources),
            )

    def draw(self, number: int) -> Inputs:
        """Batches (replicas, b, ...) and noise (replicas, ...) of one iteration of pass ``number``."""
        passes = {slot: one.program.passes[number] for slot, one in self._requests.items()}
        numbers = batch_numbers(next(iter(passes.values())))
        batches = self._draw_batches(numbers[-1] + 1)
        rows = batches[0].labels.shape[1]
        noise = {
            slot: [draw_noise(step, rows, self._streams[slot]) for step in steps]
            for slot, steps in passes.items()
        }
        return Inputs(batches, tuple(self._stack_noise(noise, step) for step in range(len(numbers))))

    def _draw_batches(self, count: int) -> tuple[Batch, ...]:
        if self._pools is None:
            read = {slot: [one.next() for _ in range(count)] for slot, one in self._batches.items()}
            together = ((read[slot][k] for slot in self._sources) for k in range(count))
            return tuple(Batch(*map(torch.stack, zip(*batches, strict=True))) for batches in together)
        features, labels, semantics = self._pools
        rows = {slot: [one.next_rows() for _ in range(count)] for slot, one in self._batches.items()}
        # One gather for all batches of all replicas, (count, replicas, b).
        every = torch.stack([torch.stack([rows[slot][k] for slot in self._sources]) for k in range(count)])
        of_rows = labels.take(every)
        taken = (features.take(every), of_rows, semantics.take(of_rows))
        return tuple(Batch(*parts) for parts in zip(*(one.unbind() for one in taken), strict=True))

    def _stack_noise(self, noise: Mapping[int, Sequence[Noise]], step: int) -> Noise:
        names = noise[self._sources[0]][step]
        return {name: torch.stack([noise[slot][step][name] for slot in self._sources]) for name in names}

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        found: dict[str, Tensor] = {}
        for slot in self._requests:
            found |= prefixed(f"streams/{slot}/", self._streams[slot].state())
            found |= prefixed(f"sampler/{slot}/", self._batches[slot].state())
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from :meth:`state`."""
        for slot in self._requests:
            self._streams[slot].restore(select(tensors, f"streams/{slot}/"))
            self._batches[slot].restore(select(tensors, f"sampler/{slot}/"))

    def close(self) -> None:
        """End reading ahead."""
        for batches in self._batches.values():
            batches.close()
        self._pools = None


class _Pool:
    """Rows of all replicas in one tensor, held once if they are equal."""

    def __init__(self, tensors: Mapping[int, Tensor], sources: Sequence[int]) -> None:
        each = list(tensors.values())
        self._offsets: Tensor | None = None
        if _are_equal(each):
            self._rows = each[0]
            return
        self._rows = torch.cat(each)
        offset = {slot: number * len(each[0]) for number, slot in enumerate(tensors)}
        self._offsets = torch.tensor([offset[slot] for slot in sources], device=self._rows.device)[:, None]

    def take(self, rows: Tensor) -> Tensor:
        """Rows (..., replicas, b), each from its own replica."""
        return self._rows[rows if self._offsets is None else rows + self._offsets]
