"""(b), (g) Region features: stage 1 of SC-EGG, and how fast the store is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.speed.literal import LiteralSCEN, LiteralStage1
from benchmarks.speed.machine import Machine
from benchmarks.speed.measuring import Part, Work, interleaved, rates
from benchmarks.speed.problem import HostRegions, Problem, block, example, problem, regions_of, work_of
from benchmarks.store import gathered
from zslbench.data import RegionStore, RegionWriter
from zslbench.evaluation.region_rows import RegionRows
from zslbench.plugin.interfaces import Program, TrainView
from zslbench.plugin.streams import Streams
from zslbench.training.batches import Batches
from zslbench.training.graphs import Graphs
from zslbench.training.step import step_function

LITERAL = "literal, float32 in the host's memory"
STORE = "ours, float16 from the region store"
RESIDENT = "ours, float16 resident on the device"
GRAPH = "ours, float16 resident, CUDA graph"


def stage1(machine: Machine, sizes: Any) -> Part:
    """Images per second; the literal step and ours have the same loss."""
    device = machine.device
    given = problem(sizes, device)
    regions, semantics = regions_of(sizes).astype(np.float16), given.space.semantics
    part = Part(
        "stage1",
        "(b) Stage 1: images per second",
        f"Batches of {sizes.batch} images of {sizes.regions} regions of {sizes.width}, "
        f"{sizes.attributes} attributes; {sizes.stored:,} images in all.",
    )
    with TemporaryDirectory() as folder:
        store = written(Path(folder) / "store", regions, given.view.labels)
        programs = {STORE: _program(given, store), RESIDENT: _program(given, store, 2**62)}
        resident = programs[RESIDENT]
        nets = resident.initial(Streams(0, device))
        host = HostRegions(regions.astype(np.float32), device)
        rows, step = torch.arange(sizes.batch, device=device), resident.passes[0][0]
        batch, noise = example(resident, semantics, Streams(0, device), step, rows)
        ours = float(step_function(step)(nets, batch, noise)[1].total)
        loss = LiteralSCEN(nets, given).loss(host.batch(rows), batch.labels)
        torch.testing.assert_close(float(loss.detach()), ours, rtol=1e-4, atol=1e-5)
        part.checks.append("the literal step and ours have the same loss (1e-4)")
        literal = LiteralStage1(given, nets, host)

        def plain() -> None:
            for _ in range(sizes.stage1_iterations):
                literal.step()

        calls = {LITERAL: plain}
        calls |= {name: block(one, semantics, Streams(0, device)) for name, one in programs.items()}
        if device.type == "cuda":
            graphs = Graphs(required=True)
            calls[GRAPH] = block(_program(given, store, 2**62), semantics, Streams(0, device), graphs=graphs)
        times = interleaved(calls, sizes.repeats, machine)
        work = work_of(resident, nets, semantics, Streams(0, device), rows)
    # The batch's regions are read at least once, as they are stored.
    read = rows.numel() * sizes.regions * sizes.width * 2
    work = Work(work.flops, work.least_bytes - batch.features.nbytes + read, work.executed_bytes)
    images = float(sizes.stage1_iterations * sizes.batch)
    part.rows = rates(times, images, "images", LITERAL, work / sizes.batch, machine, on_gpu=[GRAPH])
    return part


def _program(given: Problem, store: RegionStore, room: int = 0) -> Program:
    """Stage 1 on stored regions, with epochs without end.

    Args:
        room: bytes for regions on the device.
    """
    stored, device = given.sizes.stored, given.device
    rows = RegionRows(store, np.arange(stored), device, lambda device: room)
    view = TrainView(given.view.features[:stored], given.view.labels[:stored], regions=rows)
    made = next(given.embedding.fit(view))  # type: ignore[arg-type]
    assert isinstance(made, Program)
    return replace(made, iterations=given.sizes.stage1_iterations, epochs=10**6)


def written(folder: Path, regions: np.ndarray, labels: torch.Tensor) -> RegionStore:
    """A region store of these regions."""
    classes = labels.cpu().numpy()
    with RegionWriter(folder, regions.shape, regions.dtype.name) as writer:
        for start in range(0, len(regions), 256):
            writer.append(regions[start : start + 256], classes[start : min(start + 256, len(regions))])
    return RegionStore.open(folder)


def reading(machine: Machine, sizes: Any) -> list[Part]:
    """Both tables."""
    given = problem(sizes, machine.device)
    with TemporaryDirectory() as folder:
        regions = regions_of(sizes).astype(np.float16)
        store = written(Path(folder) / "store", regions, given.view.labels)
        part = Part(
            "gather",
            "(g) Region store: gather beside a bare memory map",
            f"Regions of 64 random images of {sizes.regions} x {sizes.width} float16, pages in memory, on "
            "the processor (`python -m benchmarks.store` has it for SUN's whole size).",
            rows=gathered(store, 4 * sizes.repeats, min(64, sizes.stored)),
        )
        return [part, overlap(machine, given, store)]


def overlap(machine: Machine, given: Problem, store: RegionStore) -> Part:
    """Steps of stage 1 on one batch that is there, on batches read one by one, and on batches read ahead."""
    device, sizes = machine.device, given.sizes
    part = Part(
        "overlap",
        "(g) Reading that overlaps with computing",
        f"Steps of stage 1 on {sizes.batch} images. `hidden`: the part of the reading's time that is no "
        "longer seen once the next batch is read while the last one is computed.",
    )
    program = _program(given, store)
    apart = program.features
    streams, semantics = Streams(0, device), given.space.semantics
    nets, step = program.initial(streams), program.passes[0][0]
    function = step_function(step)
    same, noise = example(program, semantics, streams, step, torch.arange(sizes.batch, device=device))
    ahead = Batches(program, semantics, streams)
    count = sizes.stage1_iterations

    def compute() -> None:
        for _ in range(count):
            function(nets, same, noise)

    def one_by_one() -> None:
        generator = torch.Generator(device).manual_seed(0)
        for _ in range(count):
            rows = torch.randint(sizes.stored, (sizes.batch,), generator=generator, device=device)
            function(nets, same._replace(features=apart[rows]), noise)

    def read_ahead() -> None:
        for _ in range(count):
            function(nets, ahead.next(), noise)

    calls = {"compute alone": compute, "read, then compute": one_by_one, "read ahead": read_ahead}
    times = interleaved(calls, sizes.repeats, machine)
    ahead.close()
    alone, both = times["compute alone"].median, times["read, then compute"].median
    for name, timed in times.items():
        hidden = (both - timed.median) / (both - alone) if both > alone else float("nan")
        part.rows.append(
            {
                "way": name,
                "ms/step": 1e3 * timed.median / count,
                "beside compute alone": timed.median / alone,
                "hidden": hidden if name == "read ahead" else None,
                "spread": timed.spread(),
            }
        )
    return part
