"""Stage 3 of SC-EGG: sub-steps per second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.speed.literal import LiteralSCEN, LiteralStage3
from benchmarks.speed.machine import Machine, Sizes
from benchmarks.speed.measuring import Part, Work, counted, rates
from benchmarks.speed.problem import (
    HostRegions,
    Problem,
    block,
    example,
    problem,
    regions_of,
    replicas,
    work_of,
)
from zslbench.plugin.interfaces import Networks
from zslbench.plugin.streams import Streams
from zslbench.training.graphs import CAPTURED, Graphs
from zslbench.training.iteration import initial_networks
from zslbench.training.step import float32_products, step_function

LITERAL = "literal, regions copied and pooled in each sub-step"
LITERAL_CACHED = "literal, g cached"
OURS = "ours, g cached (eager)"
GRAPH = "ours, g cached, CUDA graph"
TF32 = "ours, g cached, CUDA graph, TF32"
BF16 = "ours, g cached, CUDA graph, bfloat16"
SUN_SUB_STEPS = 50 * 2 * 162 * 6
"""As in the authors' code: 50 epochs of two passes over SUN's 162 batches, 6 sub-steps each."""


def stage3(machine: Machine, sizes: Sizes) -> Part:
    """Sub-steps per second of literal loops, ours, and ours in CUDA graphs and with replicas."""
    device, cuda = machine.device, machine.device.type == "cuda"
    given = problem(sizes, device)
    program, semantics = given.program(sizes.iterations), given.space.semantics
    nets = initial_networks(program, Streams(0, device))
    host, cached = HostRegions(regions_of(sizes), device), given.view.features
    pooled = LiteralSCEN(given.scen, given)
    part = Part("stage3", "Stage 3: sub-steps per second", _about(given))
    part.checks += check(given, nets, host, pooled)
    graphs = Graphs(required=True)

    def ours(**options: Any) -> Callable[[], None]:
        return block(program, semantics, Streams(0, device), **options)

    calls: dict[str, Callable[[], Any]] = {
        LITERAL: _literal(given, nets, lambda rows: pooled.pooled(host.batch(rows))),
        LITERAL_CACHED: _literal(given, nets, lambda rows: cached[rows.to(device)]),
        OURS: ours(),
    }
    if cuda:
        calls[GRAPH] = ours(graphs=graphs)
        calls[TF32] = _with_tf32(ours(graphs=graphs))
        calls[BF16] = ours(graphs=graphs, precision="bf16")
    per_call = given.passes * sizes.iterations * given.sub_steps
    units = dict.fromkeys(calls, float(per_call))
    for count in sizes.replicas:
        name = f"ours, g cached, {'CUDA graph, ' if cuda else ''}{count} replica{'s' * (count > 1)}"
        options = {"graphs": graphs} if cuda else {}
        calls[name] = replicas(program, semantics, device, count, **options)
        units[name] = float(count * per_call)
    times = machine.interleaved(calls, sizes.repeats)
    rows = torch.arange(sizes.batch, device=device)
    work = work_of(program, nets, semantics, Streams(0, device), rows)
    # Of the host's regions only the batch is read; on a GPU they are then copied as well.
    pooling = counted(lambda: pooled.pooled(host.batch(rows)), [])
    pooling = Work(pooling.flops, sizes.batch * sizes.regions * sizes.width * 4)
    works = dict.fromkeys(times, work) | {LITERAL: work + pooling}
    coarse = {TF32: "tf32", BF16: "bf16"}
    part.rows = rates(times, units, "sub-steps", LITERAL, works, machine, coarse, on_gpu=[GRAPH, TF32, BF16])
    for row in part.rows:
        if isinstance(row["sub-steps/s"], float):
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
    """Check that the literal loop and ours have the same losses and gradients.

    Raises:
        AssertionError: they differ for the same weights, batch and noise.
    """
    device = given.device
    rows = torch.arange(given.sizes.batch, device=device)
    regions = host.batch(rows)
    g = given.embedding.embed(given.scen, regions.transpose(1, 2))
    torch.testing.assert_close(pooled.pooled(regions), g, rtol=1e-3, atol=1e-5)
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
