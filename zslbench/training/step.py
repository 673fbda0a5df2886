"""A method's step as one function of (networks, batch, noise) → (gradients, losses)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from zslbench.plugin.interfaces import Batch, Choice, Losses, Networks, Noise, NoiseSpec, Normal, Step
from zslbench.plugin.streams import Streams
from zslbench.training.precision import forward

StepFunction: TypeAlias = Callable[[Networks, Batch, Noise], tuple[Networks, Losses]]


def step_function(step: Step) -> StepFunction:
    """The step's losses and their gradients with respect to the networks that it updates.

    The result is as pure as ``step.losses``: ``torch.func.vmap`` lifts it over a leading replica axis
    of all three arguments, and with one replica gives the same bits (where every matrix product has 400
    multiplications at least; torch computes smaller batched ones by a kernel that rounds differently).
    """

    def loss(
        trained: Networks, constant: Networks, batch: Batch, noise: Noise
    ) -> tuple[Tensor, tuple[dict[str, Tensor], dict[str, Tensor]]]:
        with forward(batch.labels.device):
            result = step.losses({**constant, **trained}, batch, noise)
        return result.total, (result.log, dict(result.state or {}))

    differentiate = torch.func.grad_and_value(loss, has_aux=True)

    def run(nets: Networks, batch: Batch, noise: Noise) -> tuple[Networks, Losses]:
        trained = {name: nets[name] for name in step.updates}
        constant = {name: net for name, net in nets.items() if name not in trained}
        gradients, (total, (log, state)) = differentiate(trained, constant, batch, noise)
        return gradients, Losses(total, log, state)

    return run


def draw(spec: NoiseSpec, rows: int, streams: Streams, name: str) -> Tensor:
    """Noise of one term for ``rows`` examples, from the stream ``name``."""
    if isinstance(spec, Normal):
        return streams.normal(name, (rows, *spec.shape))
    if isinstance(spec, Choice):
        where = torch.randint(len(spec.values), (rows,), generator=streams[name], device=streams.device)
        return spec.values[where]
    return streams.uniform(name, (rows, *spec.shape))
