"""What a member brings to where programs are joined, and whether programs can be lifted together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin.interfaces import Choice, Networks, NoiseSpec, Program
from zslbench.training.context import Training


class CannotLift(ZslbenchError):
    """Programs that cannot run as one; the message says why."""


@dataclass(frozen=True)
class Asked:
    """A program that a member wants to run."""

    program: Program
    semantics: Tensor
    training: Training


def form(asked: Asked) -> dict[str, Any]:
    """All that must be the same for programs to be lifted together; ``epochs`` need not be."""
    program = asked.program
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
        "semantics": (tuple(asked.semantics.shape), asked.semantics.dtype),
        "frozen networks": shapes(program.frozen),
    }


def check_alike(forms: Mapping[int, Mapping[str, Any]]) -> None:
    """Compare what :func:`form` says of each slot's program.

    Raises:
        CannotLift: they differ.
    """
    first, *others = forms.values()
    different = sorted({key for other in others for key in first if other[key] != first[key]})
    if different:
        raise CannotLift(f"the programs differ in their {', '.join(different)}")


def shapes(nets: Networks) -> dict[str, Any]:
    """Shape and type of every tensor."""
    return {
        f"{net}/{name}": (tuple(tensor.shape), tensor.dtype)
        for net, tensors in nets.items()
        for name, tensor in tensors.items()
    }


def _noise(spec: NoiseSpec) -> Any:
    return (type(spec), () if isinstance(spec, Choice) else spec.shape)
