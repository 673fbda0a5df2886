"""On a GPU: what a capture that failed leaves behind, and what many programs leave behind."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from small_stages import space_on, stage

from zslbench.plugin.interfaces import Losses
from zslbench.plugin.streams import Streams
from zslbench.training.graphs import CAPTURED, CudaRecorder, Graphs
from zslbench.training.loop import Training, train


def looking(tensor: torch.Tensor) -> None:
    torch.ones(1000, device=tensor.device).sum().item()


def test_after_a_failed_capture_torch_is_as_before(gpu: torch.device) -> None:
    """The allocator collects what streams shared, its cache can be emptied, generators draw, graphs work."""
    recorder, one = CudaRecorder(), torch.zeros(4, device=gpu)
    recorder.warm(lambda: one.add_(1))
    first = recorder.capture(lambda: one.add_(1))
    with pytest.raises(RuntimeError):
        recorder.capture(lambda: looking(one))
    assert not torch.cuda.is_current_stream_capturing()
    torch.rand(3, device=gpu)  # of the default generator
    torch.cuda.empty_cache()
    second = recorder.capture(lambda: one.mul_(2))  # in another pool
    first()
    second()
    assert one.tolist() == [4.0] * 4
    other = torch.cuda.Stream()
    before = torch.cuda.memory_allocated()
    for _ in range(3):  # memory that streams share comes back
        shared = torch.empty(2**24, device=gpu)
        shared.record_stream(other)
        del shared
    torch.cuda.synchronize()
    torch.empty(1, device=gpu)
    assert torch.cuda.memory_allocated() <= before + 512


def test_a_python_error_in_a_capture_is_a_failure_like_others(gpu: torch.device) -> None:
    recorder = CudaRecorder()

    def wrong() -> None:
        torch.ones(3, device=gpu)
        raise KeyError("net")

    with pytest.raises(KeyError):
        recorder.capture(wrong)
    one = torch.zeros(1, device=gpu)
    recorder.capture(lambda: one.add_(1))()
    assert one.item() == 1


def test_one_pass_that_cannot_be_captured_takes_no_other_with_it(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pass looks at a value; the second one, and the next program, are captured."""
    program = stage("tf-vaegan/generator", gpu)
    first = program.passes[0][0]
    right = first.losses

    def losses(nets: Any, batch: Any, noise: Any) -> Losses:
        looking(batch.labels)
        return right(nets, batch, noise)

    object.__setattr__(first, "losses", losses)
    captured: list[bool] = []
    capture = CudaRecorder.capture

    def told(self: CudaRecorder, call: Any) -> Any:
        captured.append(False)
        made = capture(self, call)
        captured[-1] = True
        return made

    monkeypatch.setattr(CudaRecorder, "capture", told)
    graphs = Graphs()
    train(program, space_on(gpu).semantics, Training(Streams(0, gpu), stage="part", graphs=graphs))
    assert captured == [False, True]
    assert graphs.stages["part"].startswith("pass 1: ")
    graphs = Graphs(required=True)
    train(
        stage("tf-vaegan/generator", gpu),
        space_on(gpu).semantics,
        Training(Streams(0, gpu), stage="part", graphs=graphs),
    )
    assert graphs.stages == {"part": CAPTURED}


def test_memory_does_not_grow_over_many_programs(gpu: torch.device) -> None:
    """As the classifiers of many validation candidates: graphs go with their programs."""
    graphs = Graphs(required=True)

    def once() -> None:
        train(
            stage("tf-vaegan/classifier", gpu),
            space_on(gpu).semantics,
            Training(Streams(0, gpu), stage="part", graphs=graphs),
        )

    once()
    gc.disable()  # graphs must not wait for Python to look for cycles
    try:
        torch.cuda.empty_cache()
        allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
        for _ in range(10):
            once()
        assert torch.cuda.memory_allocated() <= allocated + 2**20
        torch.cuda.empty_cache()  # pools of graphs that are gone can be given back
        assert torch.cuda.memory_reserved() <= reserved + 2**22
    finally:
        gc.enable()
