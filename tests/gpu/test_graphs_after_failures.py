"""On a GPU: the state after a failed capture, and after many programs."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from small_stages import space_on, stage

from zslbench.plugin.programs import Losses
from zslbench.plugin.streams import Streams
from zslbench.training.graphs import CAPTURED, CudaRecorder, Graphs
from zslbench.training.loop import Training, train


def read_value(tensor: torch.Tensor) -> None:
    torch.ones(1000, device=tensor.device).sum().item()


def test_a_failed_capture_leaves_torch_intact(gpu: torch.device) -> None:
    """Memory shared by streams is freed, the cache can be emptied, generators draw, graphs work."""
    recorder, one = CudaRecorder(), torch.zeros(4, device=gpu)
    recorder.warm(lambda: one.add_(1))
    first = recorder.capture(lambda: one.add_(1))
    with pytest.raises(RuntimeError):
        recorder.capture(lambda: read_value(one))
    assert not torch.cuda.is_current_stream_capturing()
    torch.rand(3, device=gpu)  # from the default generator
    torch.cuda.empty_cache()
    second = recorder.capture(lambda: one.mul_(2))  # in another pool
    first()
    second()
    assert one.tolist() == [4.0] * 4
    other = torch.cuda.Stream()
    before = torch.cuda.memory_allocated()
    for _ in range(3):  # memory that streams share is freed
        shared = torch.empty(2**24, device=gpu)
        shared.record_stream(other)
        del shared
    torch.cuda.synchronize()
    torch.empty(1, device=gpu)
    assert torch.cuda.memory_allocated() <= before + 512


def test_a_python_error_in_a_capture_is_handled_too(gpu: torch.device) -> None:
    recorder = CudaRecorder()

    def wrong() -> None:
        torch.ones(3, device=gpu)
        raise KeyError("net")

    with pytest.raises(KeyError):
        recorder.capture(wrong)
    one = torch.zeros(1, device=gpu)
    recorder.capture(lambda: one.add_(1))()
    assert one.item() == 1


def test_a_pass_that_cannot_be_captured_does_not_affect_others(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pass reads a value; the second pass and the next program are captured."""
    program = stage("tf-vaegan/generator", gpu)
    first = program.passes[0][0]
    right = first.losses

    def losses(nets: Any, batch: Any, noise: Any) -> Losses:
        read_value(batch.labels)
        return right(nets, batch, noise)

    object.__setattr__(first, "losses", losses)
    captured: list[bool] = []
    capture = CudaRecorder.capture

    def recorded(self: CudaRecorder, call: Any) -> Any:
        captured.append(False)
        made = capture(self, call)
        captured[-1] = True
        return made

    monkeypatch.setattr(CudaRecorder, "capture", recorded)
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
    """As for classifiers of many validation candidates: graphs are freed with their programs."""
    graphs = Graphs(required=True)

    def once() -> None:
        train(
            stage("tf-vaegan/classifier", gpu),
            space_on(gpu).semantics,
            Training(Streams(0, gpu), stage="part", graphs=graphs),
        )

    once()
    gc.disable()  # graphs must be freed without it
    try:
        torch.cuda.empty_cache()
        allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
        for _ in range(10):
            once()
        assert torch.cuda.memory_allocated() <= allocated + 2**20
        torch.cuda.empty_cache()  # pools of freed graphs can be released
        assert torch.cuda.memory_reserved() <= reserved + 2**22
    finally:
        gc.enable()
