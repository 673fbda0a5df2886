"""(i) The critic's gradient penalty: differentiated twice, and in closed form."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.speed.machine import Machine
from benchmarks.speed.ours import as_in_runs
from benchmarks.speed.part import Part, missing, rates
from benchmarks.speed.timing import interleaved
from benchmarks.speed.work import Work, counted
from zslbench.plugin.interfaces import Streams
from zslbench.training import gradient_penalty, two_layer_gradient_penalty
from zslbench.training.graphs.recorder import CudaRecorder
from zslbench_tf_vaegan.networks import criticise, initial

GENERAL = "general, differentiated twice"
CLOSED = "closed form"
GRAPH = ", CUDA graph"
CALLS = 10
"""Penalties of a timed call."""


def measure(machine: Machine, sizes: Any) -> Part:
    """Values and their gradients with respect to the critic, forward and backward."""
    device, streams = machine.device, Streams(0, machine.device)
    critic = initial(streams, sizes.width, sizes.attributes, sizes.hidden, sizes.attributes)["critic"]
    real, fake, mix = (streams.uniform(name, (sizes.batch, sizes.width)) for name in ("real", "fake", "mix"))
    given, mix = streams.uniform("given", (sizes.batch, sizes.attributes)), mix[:, :1]

    def general(net: dict[str, Tensor]) -> Tensor:
        return gradient_penalty(lambda g: criticise(net, g, given), real, fake, mix)

    def closed(net: dict[str, Tensor]) -> Tensor:
        return two_layer_gradient_penalty(net, given, real, fake, mix)

    ways = {name: torch.func.grad_and_value(one) for name, one in ((GENERAL, general), (CLOSED, closed))}
    part = Part(
        "penalty",
        "(i) Gradient penalty, value and gradient",
        f"Of a critic {sizes.width} + {sizes.attributes}, {sizes.hidden}, 1 on a batch of {sizes.batch}.",
    )
    (first, value), (second, other) = (way(critic) for way in ways.values())
    torch.testing.assert_close(value, other, rtol=1e-4, atol=1e-6)
    for name, gradient in first.items():
        torch.testing.assert_close(
            gradient, second[name], rtol=1e-3, atol=1e-3 * float(gradient.norm()) + 1e-9
        )
    part.checks.append("both give the same value (1e-4) and gradients (1e-3 of their norm)")
    alone = {name: partial(way, critic) for name, way in ways.items()}
    calls = {name: _repeated(one, device) for name, one in alone.items()}
    if device.type == "cuda":
        calls |= {name + GRAPH: _captured(one, device) for name, one in alone.items()}
    times = interleaved(calls, 4 * sizes.repeats, machine)
    inputs, gradients = [*critic.values(), real, fake, given], sum(one.nbytes for one in critic.values())
    work: dict[str, Work | None] = {}
    for name, one in alone.items():
        work[name] = work[name + GRAPH] = counted(one, inputs, written=gradients)
    part.rows = rates(times, dict.fromkeys(times, float(CALLS)), "penalties", GENERAL, work, machine)
    if device.type != "cuda":
        part.rows += [missing(name + GRAPH, "penalties") for name in ways]
    return part


def _repeated(call: Callable[[], Any], device: torch.device) -> Callable[[], None]:
    def again() -> None:
        for _ in range(CALLS):
            call()

    return as_in_runs(again, device)


def _captured(call: Callable[[], Any], device: torch.device) -> Callable[[], None]:
    recorder = CudaRecorder()
    replay: list[Callable[[], None]] = []

    def again() -> None:
        if not replay:
            for _ in range(3):
                recorder.warm(call)
            replay.append(recorder.capture(call))
        for _ in range(CALLS):
            replay[0]()

    return as_in_runs(again, device)
