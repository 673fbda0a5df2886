"""On a GPU: seeds that train together, captured or not, resumed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_stages import STAGES, space_on, stage

from zslbench.errors import Interrupted
from zslbench.plugin.streams import Streams
from zslbench.training.graphs import CAPTURED, Graphs
from zslbench.training.loop import Training
from zslbench.training.replicas.lifted import LiftedRun, MemberRun

SEEDS = (0, 1, 2)


def lifted(name: str, device: torch.device, folder: Path | None = None, **how: Any) -> LiftedRun:
    members = {
        seed: MemberRun(
            stage(name, device),
            space_on(device).semantics,
            Training(Streams(seed, device), stage="part", folder=folder, **how),
        )
        for seed in SEEDS
    }
    return LiftedRun(members, SEEDS, folder)


def to_the_end(run: LiftedRun) -> list[Any]:
    run.resume()
    while active := [one for one in run.members.values() if one.is_active]:
        run.train_epoch()
        for one in active:
            one.end_epoch(one.figures())
    return [(one.networks(), one.history) for one in run.members.values()]


def same(one: list[Any], other: list[Any]) -> None:
    for (nets, rows), (other_nets, other_rows) in zip(one, other, strict=True):
        assert rows == other_rows
        for net, tensors in nets.items():
            for name, tensor in tensors.items():
                assert torch.equal(tensor, other_nets[net][name]), f"{net}/{name}"


@pytest.mark.parametrize("name", STAGES)
def test_captured_replicas_are_eager_ones_bit_for_bit(name: str, gpu: torch.device) -> None:
    graphs = Graphs(required=True)
    same(to_the_end(lifted(name, gpu)), to_the_end(lifted(name, gpu, graphs=graphs)))
    assert graphs.stages == {"part": CAPTURED}


@pytest.mark.parametrize("after", [2, 4, 17])
@pytest.mark.parametrize("name", ["tf-vaegan/generator", "sc-egg/stage1 authors"])
def test_resumed_captured_replicas_continue_bit_for_bit(
    name: str, after: int, gpu: torch.device, tmp_path: Path
) -> None:
    stop = iter([False] * (after - 1) + [True]).__next__
    stopped = lifted(name, gpu, tmp_path, graphs=Graphs(required=True), stop_requested=stop)
    with pytest.raises(Interrupted):
        to_the_end(stopped)
    stopped.close()
    whole = to_the_end(lifted(name, gpu, graphs=Graphs(required=True)))
    same(whole, to_the_end(lifted(name, gpu, tmp_path, graphs=Graphs(required=True))))


@pytest.mark.parametrize("count", [1, 3])
def test_nothing_waits_for_the_device_within_an_epoch(count: int, gpu: torch.device) -> None:
    """After warm-up and capture, no iteration reads a value: torch raises at every wait."""
    members = {
        seed: MemberRun(
            stage("tf-vaegan/generator", gpu),
            space_on(gpu).semantics,
            Training(Streams(seed, gpu), stage="part", graphs=Graphs(required=True)),
        )
        for seed in range(count)
    }
    run = LiftedRun(members, range(count), None)
    run.train_epoch()
    for one in run.members.values():
        one.end_epoch(one.figures())
    torch.cuda.set_sync_debug_mode("error")
    try:
        run.train_epoch()
    finally:
        torch.cuda.set_sync_debug_mode("default")
