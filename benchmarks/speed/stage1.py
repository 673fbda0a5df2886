"""Stage 1 of SC-EGG on region features: images per second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.speed.literal import LiteralSCEN, LiteralStage1
from benchmarks.speed.machine import Machine, Sizes
from benchmarks.speed.measuring import Part, Work, rates
from benchmarks.speed.problem import HostRegions, Problem, block, example, problem, regions_of, work_of
from zslbench.data import RegionStore, RegionWriter
from zslbench.evaluation.folds import RegionRows
from zslbench.plugin.interfaces import Program, TrainView
from zslbench.plugin.streams import Streams
from zslbench.training.graphs import Graphs
from zslbench.training.step import step_function

LITERAL = "literal, float32 in the host's memory"
STORE = "ours, float16 from the region store"
RESIDENT = "ours, float16 resident on the device"
GRAPH = "ours, float16 resident, CUDA graph"


def stage1(machine: Machine, sizes: Sizes) -> Part:
    """Images per second."""
    device = machine.device
    given = problem(sizes, device)
    regions, semantics = regions_of(sizes).astype(np.float16), given.space.semantics
    part = Part(
        "stage1",
        "Stage 1: images per second",
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
        times = machine.interleaved(calls, sizes.repeats)
        work = work_of(resident, nets, semantics, Streams(0, device), rows)
    # The regions of the batch are read at least once, as stored.
    read = rows.numel() * sizes.regions * sizes.width * 2
    work = Work(work.flops, work.least_bytes - batch.features.nbytes + read)
    images = float(sizes.stage1_iterations * sizes.batch)
    part.rows = rates(times, images, "images", LITERAL, work / sizes.batch, machine, on_gpu=[GRAPH])
    return part


def _program(given: Problem, store: RegionStore, room: int = 0) -> Program:
    """Stage 1 on stored regions, with endless epochs.

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
    """A region store with these regions."""
    classes = labels.cpu().numpy()
    with RegionWriter(folder, regions.shape, regions.dtype.name) as writer:
        for start in range(0, len(regions), 256):
            writer.append(regions[start : start + 256], classes[start : min(start + 256, len(regions))])
    return RegionStore.open(folder)
