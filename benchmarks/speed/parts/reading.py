"""(g) Reading region features: the store beside a bare memory map, and reading while computing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.speed.machine import Machine
from benchmarks.speed.ours import example
from benchmarks.speed.part import Part
from benchmarks.speed.parts.stage1 import written
from benchmarks.speed.problem import problem, regions_of
from benchmarks.speed.timing import interleaved
from benchmarks.store import measured
from zslbench.data import RegionStore
from zslbench.evaluation.region_rows import RegionRows
from zslbench.plugin.interfaces import Program, Streams, TrainView
from zslbench.training.batches import Batches
from zslbench.training.step import step_function


def measure(machine: Machine, sizes: Any) -> list[Part]:
    """Both tables."""
    device = machine.device
    given = problem(sizes, device)
    labels = given.view.labels[: sizes.stored]
    with TemporaryDirectory() as folder:
        store = written(Path(folder) / "store", regions_of(sizes).astype(np.float16), labels.cpu().numpy())
        return [_gather(store, sizes), _overlap(machine, sizes, given, store, labels)]


def _gather(store: RegionStore, sizes: Any) -> Part:
    part = Part(
        "gather",
        "(g) Region store: gather beside a bare memory map",
        f"Regions of 64 random images of {sizes.regions} x {sizes.width} float16, pages in memory, on the "
        "processor (`python -m benchmarks.store` has it for SUN's whole size).",
    )
    bare = np.load(store.folder / "regions.npy", mmap_mode="r")
    calls: dict[str, Callable[[np.ndarray], Any]] = {
        "bare": lambda rows: bare[rows],
        "store": store.raw,
        "bare, float32": lambda rows: bare[rows].astype(np.float32),
        "store, float32": lambda rows: store[rows],
    }
    times = measured(calls, len(bare), 4 * sizes.repeats, min(64, len(bare)))
    for kind, first, second in (
        ("as stored", "bare", "store"),
        ("to float32", "bare, float32", "store, float32"),
    ):
        part.rows.append(
            {
                "gather": kind,
                "bare memory map, ms": times[first],
                "store, ms": times[second],
                "ratio": times[second] / times[first],
            }
        )
    return part


def _overlap(machine: Machine, sizes: Any, given: Any, store: RegionStore, labels: torch.Tensor) -> Part:
    """Steps of stage 1 on one batch that is there, on batches read one by one, and on batches read ahead."""
    device = machine.device
    part = Part(
        "overlap",
        "(g) Reading that overlaps with computing",
        f"Steps of stage 1 on {sizes.batch} images. `hidden`: the part of the reading's time that is no "
        "longer seen once the next batch is read while the last one is computed.",
    )
    everything = np.arange(sizes.stored)
    apart = RegionRows(store, everything, device, lambda device: 0)
    view = TrainView(features=given.view.features[: sizes.stored], labels=labels, regions=apart)
    program = next(given.embedding.fit(view))
    assert isinstance(program, Program)
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
