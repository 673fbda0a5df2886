"""(a) Sub-steps per second of SC-EGG's stage 3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.speed.literal_gan import LiteralStage3
from benchmarks.speed.literal_scen import LiteralSCEN
from benchmarks.speed.machine import Machine
from benchmarks.speed.ours import block, draws, example, replicas, work_of
from benchmarks.speed.part import Part, missing, rates
from benchmarks.speed.problem import HostRegions, Problem, Repooled, problem, regions_of
from benchmarks.speed.timing import interleaved
from benchmarks.speed.work import Work, counted
from zslbench.plugin.interfaces import Networks, Streams
from zslbench.training.graphs.graphs import CAPTURED, Graphs
from zslbench.training.iteration import initial_networks
from zslbench.training.precision import float32_products
from zslbench.training.step import step_function

LITERAL = "literal, regions copied and pooled in each sub-step"
LITERAL_CACHED = "literal, g cached"
OURS = "ours, regions copied and pooled in each sub-step"
EAGER = "ours, g cached (eager)"
GRAPH = "ours, g cached, CUDA graph"
TF32 = "ours, g cached, CUDA graph, TF32"
BF16 = "ours, g cached, CUDA graph, bfloat16"
SUN_SUB_STEPS = 50 * 2 * 162 * 6
"""50 epochs of two passes over SUN's 162 batches, 6 sub-steps each, as the authors' code trains."""


def measure(machine: Machine, sizes: Any) -> Part:
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
    absent = [] if cuda else [GRAPH, TF32, BF16]
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
    # Of the host's regions the batch alone is read; on a GPU they are then copied besides.
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
    )
    for row in part.rows:
        if row["way"] != drawing and isinstance(row["sub-steps/s"], float):
            row[f"{SUN_SUB_STEPS:,} sub-steps: seeds/h"] = 3600 * row["sub-steps/s"] / SUN_SUB_STEPS
    part.rows += [missing(one, "sub-steps") for one in absent]
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
                loss = literal.critic_step(batch.features, batch.semantics, noise, bool(later), update=False)[
                    0
                ]
            else:
                loss = literal.generator_step(
                    batch.features, batch.semantics, batch.labels, noise, bool(later), update=False
                )
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
