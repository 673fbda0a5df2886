"""(a), (i) SC-EGG's stage 3: sub-steps per second, and the critic's gradient penalty alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.speed.literal import LiteralSCEN, LiteralStage3
from benchmarks.speed.machine import Machine
from benchmarks.speed.measuring import Part, Work, counted, interleaved, rates
from benchmarks.speed.problem import (
    HostRegions,
    Problem,
    Repooled,
    as_in_runs,
    block,
    draws,
    example,
    problem,
    regions_of,
    replicas,
    work_of,
)
from zslbench.plugin.interfaces import Networks
from zslbench.plugin.streams import Streams
from zslbench.training import gradient_penalty, two_layer_gradient_penalty
from zslbench.training.graphs import CAPTURED, CudaRecorder, Graphs
from zslbench.training.iteration import initial_networks
from zslbench.training.step import float32_products, step_function
from zslbench_tf_vaegan.networks import criticise, initial

LITERAL = "literal, regions copied and pooled in each sub-step"
LITERAL_CACHED = "literal, g cached"
OURS = "ours, regions copied and pooled in each sub-step"
EAGER = "ours, g cached (eager)"
GRAPH = "ours, g cached, CUDA graph"
TF32 = "ours, g cached, CUDA graph, TF32"
BF16 = "ours, g cached, CUDA graph, bfloat16"
SUN_SUB_STEPS = 50 * 2 * 162 * 6
"""50 epochs of two passes over SUN's 162 batches, 6 sub-steps each, as the authors' code trains."""


def stage3(machine: Machine, sizes: Any) -> Part:
    """Measure and check."""
    device = machine.device
    given = problem(sizes, device)
    program = given.program(sizes.iterations)
    semantics = given.space.semantics
    nets = initial_networks(program, Streams(0, device))
    host = HostRegions(regions_of(sizes), device)
    pooled = LiteralSCEN(given.scen, given)
    repooled = Repooled(given, host)
    part = Part("stage3", "(a) Stage 3: sub-steps per second", _about(given))
    part.checks += check(given, nets, host, pooled)

    def again(rows: Tensor) -> Tensor:
        return pooled.pooled(host.batch(rows))

    cached = given.view.features
    calls: dict[str, Callable[[], Any]] = {
        LITERAL: _literal(given, nets, again),
        LITERAL_CACHED: _literal(given, nets, lambda rows: cached[rows.to(device)]),
        OURS: block(replace(program, features=repooled), semantics, Streams(0, device)),
        EAGER: block(program, semantics, Streams(0, device)),
    }
    cuda = device.type == "cuda"
    graphs = Graphs(required=True)
    if cuda:
        calls[GRAPH] = block(program, semantics, Streams(0, device), graphs=graphs)
        calls[TF32] = _with_tf32(block(program, semantics, Streams(0, device), graphs=graphs))
        calls[BF16] = block(program, semantics, Streams(0, device), graphs=graphs, precision="bf16")
    lifted = {
        count: f"ours, g cached, {'CUDA graph, ' if cuda else ''}{count} replica{'s' * (count > 1)}"
        for count in sizes.replicas
    }
    for count, name in lifted.items():
        how = {"graphs": graphs} if cuda else {}
        calls[name] = replicas(program, semantics, device, count, **how)
    most = max(sizes.replicas)
    drawing = f"of that, drawing batches and noise alone, {most} replicas"
    calls[drawing] = draws(program, semantics, device, most)
    lifted_units = {**{name: count for count, name in lifted.items()}, drawing: most}
    times = interleaved(calls, sizes.repeats, machine)
    per_call = given.passes * sizes.iterations * given.sub_steps
    done = dict.fromkeys(times, float(per_call))
    done |= {name: float(count * per_call) for name, count in lifted_units.items()}
    rows = torch.arange(sizes.batch, device=device)
    work = work_of(program, nets, semantics, Streams(0, device), rows)
    pooling = counted(lambda: repooled[rows], [host.maps], written=0)
    # Of the host's regions the batch alone is read; on a GPU they are then copied as well.
    batch = sizes.batch * sizes.regions * sizes.width * 4
    pooling = Work(pooling.flops, batch, pooling.executed_bytes)
    part.rows = rates(
        times,
        done,
        "sub-steps",
        LITERAL,
        dict.fromkeys(times, work) | dict.fromkeys((LITERAL, OURS), work + pooling) | {drawing: None},
        machine,
        {TF32: "tf32", BF16: "bf16"},
        on_gpu=[GRAPH, TF32, BF16],
    )
    for row in part.rows:
        if row["way"] != drawing and isinstance(row["sub-steps/s"], float):
            row[f"{SUN_SUB_STEPS:,} sub-steps: seeds/h"] = 3600 * row["sub-steps/s"] / SUN_SUB_STEPS
    if cuda:
        assert set(graphs.stages.values()) == {CAPTURED}, graphs.stages
        part.checks.append("all passes were captured in CUDA graphs")
    return part


def _with_tf32(call: Callable[[], Any]) -> Callable[[], None]:
    def with_tf32() -> None:
        with float32_products("tf32"):
            call()

    return with_tf32


def _about(given: Problem) -> str:
    s = given.sizes
    return (
        f"Batch {s.batch}, features of {s.width}, hidden layers of {s.hidden}, {s.attributes} attributes, "
        f"{s.seen + s.unseen} classes, {s.images:,} images; reading `authors`, preset `sun`. An iteration is "
        f"{given.sub_steps - 1} critic steps and a generator step, once with and once without feedback."
    )


def _literal(given: Problem, nets: Networks, features: Callable[[Tensor], Tensor]) -> Callable[[], None]:
    loop = LiteralStage3(given, nets, features)

    def call() -> None:
        for _ in loop.iterations(given.sizes.iterations):
            pass

    return call


def check(given: Problem, nets: Networks, host: HostRegions, pooled: LiteralSCEN) -> list[str]:
    """The literal loop and ours have the same losses and gradients, for the same weights, batch and noise.

    Raises:
        AssertionError: they have not.
    """
    device = given.device
    rows = torch.arange(given.sizes.batch, device=device)
    g = Repooled(given, host)[rows]
    torch.testing.assert_close(pooled.pooled(host.batch(rows)), g, rtol=1e-3, atol=1e-5)
    program = given.program(1)
    for later, steps in enumerate(program.passes):
        for step in (steps[0], steps[-1]):
            batch, noise = example(program, given.space.semantics, Streams(1, device), step, rows)
            literal = LiteralStage3(given, nets, lambda rows: rows)
            gradients, losses = step_function(step)(nets | program.frozen, batch, noise)
            if step.name == "critic":
                loss = literal.critic_step(batch, noise, bool(later), update=False)[0]
            else:
                loss = literal.generator_step(batch, noise, bool(later), update=False)
            torch.testing.assert_close(loss, float(losses.total), rtol=1e-4, atol=1e-5)
            for name, gradient in gradients.items():
                for key, parameter in getattr(literal, name).named_parameters():
                    found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                    _same_gradient(found, gradient[key], f"{step.name} {name}.{key}")
    return [
        "pooled g, and losses and gradients of all steps, are the same in the literal loop and in ours for "
        "the same weights, batch and noise (1e-4 of the loss, 1e-3 of a gradient's norm)"
    ]


def _same_gradient(found: Tensor, expected: Tensor, what: str) -> None:
    difference, size = float((found - expected).norm()), float(expected.norm())
    assert difference <= 1e-3 * size + 1e-6, f"{what}: gradients differ by {difference}, of size {size}"


GENERAL = "general, differentiated twice"
CLOSED = "closed form"
WITH_GRAPH = ", CUDA graph"
CALLS = 10
"""Penalties of a timed call."""


def penalty(machine: Machine, sizes: Any) -> Part:
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
        calls |= {name + WITH_GRAPH: _captured(one, device) for name, one in alone.items()}
    times = interleaved(calls, 4 * sizes.repeats, machine)
    inputs, gradients = [*critic.values(), real, fake, given], sum(one.nbytes for one in critic.values())
    work: dict[str, Work | None] = {}
    for name, one in alone.items():
        work[name] = work[name + WITH_GRAPH] = counted(one, inputs, written=gradients)
    captured = [name + WITH_GRAPH for name in ways]
    part.rows = rates(times, float(CALLS), "penalties", GENERAL, work, machine, on_gpu=captured)
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
