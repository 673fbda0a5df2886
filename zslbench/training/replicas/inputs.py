"""What a lifted program is made of: stacked tensors, and the inputs of iterations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zslbench.errors import ZslbenchError
from zslbench.plugin.interfaces import Batch, Choice, Networks, NoiseSpec, Program
from zslbench.plugin.streams import Streams
from zslbench.training.checkpoint import flatten
from zslbench.training.iteration import Inputs, ProgramInputs, batch_numbers

Axes: TypeAlias = dict[str, dict[str, int | None]]
"""The replica axis of every tensor of some networks; None: shared by all replicas."""


class NotLiftable(ZslbenchError):
    """Programs that cannot run as one; the message says why."""


def signature(program: Program, semantics: Tensor) -> dict[str, Any]:
    """Everything that must be equal for programs to be lifted together; ``epochs`` may differ."""
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
        "semantics": (tuple(semantics.shape), semantics.dtype),
        "frozen networks": shapes(program.frozen),
    }


def _noise(spec: NoiseSpec) -> Any:
    return (type(spec), () if isinstance(spec, Choice) else spec.shape)


def shapes(nets: Networks) -> dict[str, Any]:
    """Shape and dtype of every tensor."""
    return {path: (tuple(tensor.shape), tensor.dtype) for path, tensor in flatten(nets).items()}


def check_equal(signatures: Sequence[Mapping[str, Any]]) -> None:
    """Compare the signatures of programs.

    Raises:
        NotLiftable: they differ.
    """
    first, *others = signatures
    different = sorted({key for other in others for key in first if other[key] != first[key]})
    if different:
        raise NotLiftable(f"the programs differ in their {', '.join(different)}")


# --- stacked tensors -------------------------------------------------------------------------------


def stack(trees: Sequence[Any]) -> Any:
    """Trees of tensors as one tree, with a leading replica axis."""
    return tree_map(lambda *each: torch.stack(each), *trees)


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

Take: TypeAlias = Callable[[Tensor], Tensor]
"""From row numbers (..., replicas, b) to rows, each from its own replica."""


class ReplicaInputs(ProgramInputs):
    """Draws the inputs of lifted iterations: every seed draws the batches and noise of its single run.

    Inputs have a leading replica axis.

    Args:
        programs: of equal signatures, and their class semantics and streams, by slot.
        sources: the slot whose inputs each position on the replica axis gets.
    """

    def __init__(
        self, programs: Mapping[int, tuple[Program, Tensor, Streams]], sources: Sequence[int]
    ) -> None:
        self._each = {slot: ProgramInputs(*one, f"{slot}/") for slot, one in programs.items()}
        self._sources = sources
        (program, _, _), *_ = programs.values()
        self._counts = [batch_numbers(steps)[-1] + 1 for steps in program.passes]
        self._take: list[Take] | None = None
        if isinstance(program.features, Tensor):
            columns = zip(*((one.features, one.labels, a) for one, a, _ in programs.values()), strict=True)
            slots = list(programs)
            self._take = [_taking(column, [slots.index(slot) for slot in sources]) for column in columns]

    def begin_epoch(self, epoch: int) -> None:
        for each in self._each.values():
            each.begin_epoch(epoch)

    def draw(self, number: int) -> Inputs:
        if self._take is None:
            drawn = {slot: one.draw(number) for slot, one in self._each.items()}
            together: Inputs = stack([drawn[slot] for slot in self._sources])
            return together
        rows = {
            slot: [one.draw_rows() for _ in range(self._counts[number])] for slot, one in self._each.items()
        }
        # One gather for all batches of all replicas, (count, replicas, b).
        batches = zip(*(rows[slot] for slot in self._sources), strict=True)
        every = torch.stack([torch.stack(one) for one in batches])
        features, labels, semantics = self._take
        of_rows = labels(every)
        taken = (features(every), of_rows, semantics(of_rows))
        noise = {slot: one.draw_noise(number, every.shape[-1]) for slot, one in self._each.items()}
        return Inputs(
            tuple(Batch(*parts) for parts in zip(*(one.unbind() for one in taken), strict=True)),
            stack([noise[slot] for slot in self._sources]),
        )

    def state(self) -> dict[str, Tensor]:
        return {path: one for each in self._each.values() for path, one in each.state().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for each in self._each.values():
            each.restore(tensors)

    def close(self) -> None:
        for each in self._each.values():
            each.close()
        self._take = None


def _taking(each: Sequence[Tensor], sources: Sequence[int]) -> Take:
    """Takes rows from one tensor that has those of all programs, held once if they are equal."""
    if _are_equal(each):
        return each[0].__getitem__
    whole = torch.cat(list(each))
    offsets = len(each[0]) * torch.tensor(sources, device=whole.device)[:, None]
    return lambda rows: whole[rows + offsets]
