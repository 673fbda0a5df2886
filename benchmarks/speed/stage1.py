"""Stage 1 of SC-EGG on region features: images per second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.speed.literal import LiteralSCEN, literal_stage1
from benchmarks.speed.machine import Machine, Sizes
from benchmarks.speed.measuring import Part, Way, Work, rates
from benchmarks.speed.problem import Problem, on_the_host, problem, regions_of
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
        calls = {
            LITERAL: literal_stage1(given, nets, maps),
            STORE: given.epoch(_program(given, store)),
            RESIDENT: given.epoch(resident),
        }
        if device.type == "cuda":
            calls[GRAPH] = given.epoch(_program(given, store, 2**62), graphs=Graphs(required=True))
        images = float(sizes.stage1_iterations * sizes.batch)
        ways = {name: Way(call, images, work) for name, call in calls.items()}
        part.rows = rates(ways, machine.interleaved(calls, sizes.repeats), "images", machine, [GRAPH])
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
