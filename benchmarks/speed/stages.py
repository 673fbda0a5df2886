"""Training of SC-EGG: stage 1 in images per second, stage 3 in sub-steps per second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.speed.literal import Features, LiteralSCEN, LiteralStage3, literal_stage1
from benchmarks.speed.machine import Machine, Sizes
from benchmarks.speed.measuring import Part, Way, Work, counted, rates
from benchmarks.speed.problem import Problem, on_the_host, problem, regions_of
from zslbench.data import RegionStore, RegionWriter
from zslbench.evaluation.folds import RegionRows
from zslbench.plugin.programs import Program
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Networks, TrainView
from zslbench.training.graphs import CAPTURED, Graphs
from zslbench.training.iteration import initial_networks
from zslbench.training.step import step_function

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
    program, cached = given.program, given.view.features
    steps = sum(step.name != "decoder" for step in program.passes[0])
    nets = initial_networks(program, Streams(0, device))
    maps, pooled = on_the_host(regions_of(sizes), device), LiteralSCEN(given.scen, given)
    part = Part(
        "stage3",
        "Stage 3: sub-steps per second",
        f"Batch {sizes.batch}, features of {sizes.width}, hidden layers of {sizes.hidden}, "
        f"{sizes.attributes} attributes, {sizes.seen + sizes.unseen} classes, {sizes.images:,} images; "
        f"reading `authors`, preset `sun`. An iteration is {steps - 1} sub-steps of decoder and critic and "
        "one of the generator, once with and once without feedback.",
        checks=check(given, nets, maps, pooled),
    )
    graphs = Graphs(required=True)
    units = float(sizes.iterations * steps * len(program.passes))
    work = given.work(program, nets)
    # Of the host's regions only the batch is read; on a GPU they are then copied as well.
    pooling = counted(lambda: pooled.pooled(maps(given.rows)), []).flops
    with_pooling = work + Work(pooling, sizes.batch * sizes.regions * sizes.width * 4)

    def literal(features: Features) -> Callable[[], None]:
        return partial(LiteralStage3(given, nets, features).train, sizes.iterations)

    ways = {
        LITERAL: Way(literal(lambda rows: pooled.pooled(maps(rows))), units, with_pooling),
        LITERAL_CACHED: Way(literal(lambda rows: cached[rows.to(device)]), units, work),
        OURS: Way(given.epoch(program), units, work),
    }
    if cuda:
        ways[GRAPH] = Way(given.epoch(program, graphs=graphs), units, work)
        ways[TF32] = Way(given.epoch(program, graphs=graphs, precision="tf32"), units, work, "tf32")
        ways[BF16] = Way(given.epoch(program, graphs=graphs, precision="bf16"), units, work, "bf16")
    for count in sizes.replicas:
        name = f"ours, g cached, {'CUDA graph, ' if cuda else ''}{count} replica{'s' * (count > 1)}"
        call = given.epoch(program, replicas=count, graphs=graphs if cuda else None)
        ways[name] = Way(call, count * units, work)
    times = machine.interleaved({name: way.call for name, way in ways.items()}, sizes.repeats)
    part.rows = rates(ways, times, "sub-steps", machine, [GRAPH, TF32, BF16])
    for row in part.rows:
        if isinstance(row["sub-steps/s"], float):
            row[f"{SUN_SUB_STEPS:,} sub-steps: seeds/h"] = 3600 * row["sub-steps/s"] / SUN_SUB_STEPS
    if cuda:
        assert set(graphs.stages.values()) == {CAPTURED}, graphs.stages
        part.checks.append("all passes were captured in CUDA graphs")
    return part


def check(given: Problem, nets: Networks, maps: Features, pooled: LiteralSCEN) -> list[str]:
    """Check that the literal loop and ours have the same losses and gradients.

    Raises:
        AssertionError: they differ for the same weights, batch and noise.
    """
    regions = maps(given.rows)
    g = given.embedding.embed(given.scen, regions.transpose(1, 2))
    torch.testing.assert_close(pooled.pooled(regions), g, rtol=1e-3, atol=1e-5)
    program = given.program
    for later, steps in enumerate(program.passes):
        for step in {step.name: step for step in steps}.values():
            batch, noise = given.example(program, step, seed=1)
            literal = LiteralStage3(given, nets, lambda rows: rows)
            gradients, losses = step_function(step)(nets | program.frozen, batch, noise)
            if step.name == "decoder":
                loss = literal.decoder_step(batch, update=False)
            elif step.name == "critic":
                loss = literal.critic_step(batch, noise, bool(later), update=False)[0]
            else:
                loss = literal.generator_step(batch, noise, bool(later), update=False)
            torch.testing.assert_close(loss, float(losses.total), rtol=1e-4, atol=1e-5)
            for name, gradient in gradients.items():
                for key, parameter in getattr(literal, name).named_parameters():
                    found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                    difference, size = (float(x.norm()) for x in (found - gradient[key], gradient[key]))
                    assert difference <= 1e-3 * size + 1e-6, (step.name, name, key, difference, size)
    return [
        "pooled g, and losses and gradients of all steps, are the same in the literal loop and in ours for "
        "the same weights, batch and noise (1e-4 of the loss, 1e-3 of a gradient's norm)"
    ]


def stage1(machine: Machine, sizes: Sizes) -> Part:
    """Images per second."""
    device = machine.device
    given = problem(sizes, device)
    regions = regions_of(sizes).astype(np.float16)
    part = Part(
        "stage1",
        "Stage 1: images per second",
        f"Batches of {sizes.batch} images of {sizes.regions} regions of {sizes.width}, "
        f"{sizes.attributes} attributes; {sizes.stored:,} images in all.",
    )
    with TemporaryDirectory() as folder:
        place = Path(folder) / "store"
        labels = given.view.labels[: len(regions)].cpu().numpy()
        with RegionWriter(place, regions.shape, "float16", labels=labels) as writer:
            writer.append(regions)
        store = RegionStore.open(place)
        resident = _program(given, store, 2**62)
        nets = resident.initial(Streams(0, device))
        maps = on_the_host(regions, device)
        step = resident.passes[0][0]
        batch, noise = given.example(resident, step)
        ours = float(step_function(step)(nets, batch, noise)[1].total)
        loss = LiteralSCEN(nets, given).loss(maps(given.rows), batch.labels)
        torch.testing.assert_close(float(loss.detach()), ours, rtol=1e-4, atol=1e-5)
        part.checks.append("the literal step and ours have the same loss (1e-4)")
        work = given.work(resident, nets)
        # The regions of the batch are read at least once, as stored.
        read = sizes.batch * sizes.regions * sizes.width * 2
        work = Work(work.flops, work.least_bytes - batch.features.nbytes + read) / sizes.batch
        graph = "ours, float16 resident, CUDA graph"
        calls = {
            "literal, float32 in the host's memory": literal_stage1(given, nets, maps),
            "ours, float16 from the region store": given.epoch(_program(given, store)),
            "ours, float16 resident on the device": given.epoch(resident),
        }
        if device.type == "cuda":
            calls[graph] = given.epoch(_program(given, store, 2**62), graphs=Graphs(required=True))
        images = float(sizes.stage1_iterations * sizes.batch)
        ways = {name: Way(call, images, work) for name, call in calls.items()}
        part.rows = rates(ways, machine.interleaved(calls, sizes.repeats), "images", machine, [graph])
    return part


def _program(given: Problem, store: RegionStore, room: int = 0) -> Program:
    """Stage 1 on stored regions, with endless epochs.

    Args:
        room: bytes for regions on the device.
    """
    stored = given.sizes.stored
    rows = RegionRows(store, np.arange(stored), given.device, lambda device: room)
    view = TrainView(given.view.features[:stored], given.view.labels[:stored], regions=rows)
    made = next(given.embedding.fit(view))  # type: ignore[arg-type]
    assert isinstance(made, Program)
    return replace(made, iterations=given.sizes.stage1_iterations, epochs=10**6)
