"""(b) Images per second of SC-EGG's stage 1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.speed.literal_scen import LiteralSCEN, LiteralStage1
from benchmarks.speed.machine import Machine
from benchmarks.speed.ours import block, example, work_of
from benchmarks.speed.part import Part, missing, rates
from benchmarks.speed.problem import HostRegions, problem, regions_of
from benchmarks.speed.timing import interleaved
from benchmarks.speed.work import Work
from zslbench.data import RegionStore, RegionWriter
from zslbench.evaluation.region_rows import RegionRows
from zslbench.plugin.interfaces import Program, Streams, TrainView
from zslbench.training.graphs.graphs import Graphs
from zslbench.training.step import step_function

LITERAL = "literal, float32 in the host's memory"
STORE = "ours, float16 from the region store"
RESIDENT = "ours, float16 resident on the device"
GRAPH = "ours, float16 resident, CUDA graph"


def measure(machine: Machine, sizes: Any) -> Part:
    """Measure and check."""
    device = machine.device
    given = problem(sizes, device)
    regions = regions_of(sizes).astype(np.float16)
    labels = given.view.labels[: sizes.stored]
    with TemporaryDirectory() as folder:
        store = written(Path(folder) / "store", regions, labels.cpu().numpy())
        everything = np.arange(sizes.stored)
        ways = {
            STORE: RegionRows(store, everything, device, lambda device: 0),
            RESIDENT: RegionRows(store, everything, device, lambda device: 2**62),
        }

        def program(rows: RegionRows) -> Program:
            view = TrainView(features=given.view.features[: sizes.stored], labels=labels, regions=rows)
            made = next(given.embedding.fit(view))  # type: ignore[arg-type]
            assert isinstance(made, Program)
            return replace(made, iterations=sizes.stage1_iterations, epochs=10**6)

        nets = program(ways[RESIDENT]).initial(Streams(0, device))
        host = HostRegions(regions.astype(np.float32), device)
        part = Part(
            "stage1",
            "(b) Stage 1: images per second",
            f"Batches of {sizes.batch} images of {sizes.regions} regions of {sizes.width}, "
            f"{sizes.attributes} attributes; {sizes.stored:,} images in all.",
        )
        rows = torch.arange(sizes.batch, device=device)
        made = program(ways[RESIDENT])
        step = made.passes[0][0]
        batch, noise = example(made, given.space.semantics, Streams(0, device), step, rows)
        ours = float(step_function(step)(nets, batch, noise)[1].total)
        model = LiteralSCEN(nets, given)
        torch.testing.assert_close(
            float(model.loss(host.batch(rows), batch.labels).detach()), ours, rtol=1e-4, atol=1e-5
        )
        part.checks.append("the literal step and ours have the same loss (1e-4)")
        literal = LiteralStage1(given, nets, host)

        def plain() -> None:
            for _ in range(sizes.stage1_iterations):
                literal.step()

        calls = {LITERAL: plain} | {
            name: block(program(rows), given.space.semantics, Streams(0, device))
            for name, rows in ways.items()
        }
        if device.type == "cuda":
            graphs = Graphs(required=True)
            made_anew = program(ways[RESIDENT])
            calls[GRAPH] = block(made_anew, given.space.semantics, Streams(0, device), graphs=graphs)
        times = interleaved(calls, sizes.repeats, machine)
        work = work_of(made, nets, given.space.semantics, Streams(0, device), rows)
        # The batch's regions are read at least once, as they are stored.
        read = rows.numel() * sizes.regions * sizes.width * 2
        work = Work(work.flops, work.least_bytes - batch.features.nbytes + read, work.executed_bytes)
        images = float(sizes.stage1_iterations * sizes.batch)
        part.rows = rates(
            times,
            dict.fromkeys(times, images),
            "images",
            LITERAL,
            dict.fromkeys(times, work / sizes.batch),
            machine,
        )
        if device.type != "cuda":
            part.rows.append(missing(GRAPH, "images"))
    return part


def written(folder: Path, regions: np.ndarray, labels: np.ndarray) -> RegionStore:
    """A region store of these regions."""
    with RegionWriter(folder, regions.shape, regions.dtype.name) as writer:
        for start in range(0, len(regions), 256):
            writer.append(regions[start : start + 256], labels[start : start + 256])
    return RegionStore.open(folder)
