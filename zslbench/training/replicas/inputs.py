"""What a lifted program is made of: stacked tensors, and the inputs of iterations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zslbench.errors import ZslbenchError
from zslbench.plugin.programs import Batch, Choice, NoiseSpec, Program, Progress
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Networks
from zslbench.training.checkpoint import flatten
from zslbench.training.iteration import Inputs, ProgramInputs, batch_sizes

Axes: TypeAlias = dict[str, dict[str, int | None]]
"""The replica axis of every tensor of some networks; None: shared by all replicas."""


class NotLiftable(ZslbenchError):
    """Programs that cannot run as one; the message says why."""


def signature(program: Program, semantics: Tensor) -> dict[str, Any]:
    """Everything that must be equal for programs to be lifted together; ``epochs`` may differ where no
    learning rate depends on them."""
    features = program.features
    return {
        "steps": [
            [
                (
                    *(step.name, step.updates, step.fresh_batch, step.batch_size, step.accumulate),
                    {name: _noise(spec) for name, spec in step.noise.items()},
                )
                for step in steps
            ]
            for steps in program.passes
        ],
        "optimizers": dict(program.optimizers),
        "scheduled epochs": program.epochs if _is_scheduled(program) else None,
        "batch_size": program.batch_size,
        "sampler": program.sampler,
        "iterations": program.iterations,
        "examples": len(program.labels),
        "features": (tuple(features.shape[1:]), features.dtype) if isinstance(features, Tensor) else "read",
        "semantics": (tuple(semantics.shape), semantics.dtype),
        "frozen networks": shapes(program.frozen),
    }


def _is_scheduled(program: Program) -> bool:
    return any(rule.lr_schedule is not None for rule in program.optimizers.values())


def _noise(spec: NoiseSpec) -> Any:
    return (Choice, spec.shape, spec.per_row) if isinstance(spec, Choice) else spec


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
        self._sizes = [batch_sizes(program, steps) for steps in program.passes]
        self._take: list[Take] | None = None
        if isinstance(program.features, Tensor):
            columns = zip(*((one.features, one.labels, a) for one, a, _ in programs.values()), strict=True)
            slots = list(programs)
            self._take = [_taking(column, [slots.index(slot) for slot in sources]) for column in columns]

    def begin_epoch(self, epoch: int) -> None:
        for each in self._each.values():
            each.begin_epoch(epoch)

    def draw(self, number: int, progress: Progress) -> Inputs:
        """Each seed's inputs; ``progress`` has the replica axis already."""
        sizes = self._sizes[number]
        batches = self._read(sizes) if self._take is None else self._taken(sizes)
        rows = [one.labels.shape[-1] for one in batches]
        noise = {slot: one.draw_noise(number, rows) for slot, one in self._each.items()}
        return Inputs(
            tuple(one._replace(progress=progress) for one in batches),
            stack([noise[slot] for slot in self._sources]),
        )

    def _read(self, sizes: Sequence[int]) -> list[Batch]:
        each = {slot: [one.draw_batch(size) for size in sizes] for slot, one in self._each.items()}
        return [stack(one) for one in zip(*(each[slot] for slot in self._sources), strict=True)]

    def _taken(self, sizes: Sequence[int]) -> list[Batch]:
        """One gather for the batches of a size of all replicas, (count, replicas, b)."""
        assert self._take is not None
        features, labels, semantics = self._take
        found: dict[int, list[Batch]] = {}
        for size in dict.fromkeys(sizes):
            each = {
                slot: [one.draw_rows(size) for _ in range(sizes.count(size))]
                for slot, one in self._each.items()
            }
            batches = zip(*(each[slot] for slot in self._sources), strict=True)
            every = torch.stack([torch.stack(one) for one in batches])
            of_rows = labels(every)
            taken = (features(every), of_rows, semantics(of_rows))
            found[size] = [Batch(*parts) for parts in zip(*(one.unbind() for one in taken), strict=True)]
        return [found[size].pop(0) for size in sizes]

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
