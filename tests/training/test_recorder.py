"""After a capture that failed torch is left as a good one leaves it (the calls; tests/gpu has the effect)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zslbench.training import graphs
from zslbench.training.graphs import CudaRecorder


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What was asked of a device that is not there."""
    made: list[Any] = []
    handles = iter(range(1, 100))

    def recorded(call: Callable[[], object], pool: Any) -> Any:
        made.append(("begin", pool))
        call()
        return SimpleNamespace(replay=lambda: made.append(("replay", pool)))

    monkeypatch.setattr(graphs, "_recorded", recorded)
    monkeypatch.setattr(graphs, "_free_cached_memory", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, next(handles)))
    plain = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: plain(*shape))
    for name in ("_cuda_endAllocateToPool", "_cuda_releasePool"):
        monkeypatch.setattr(
            torch._C, name, lambda device, pool, name=name: made.append((name, pool)), raising=False
        )
    yield made


def failing() -> None:
    raise RuntimeError("operation not permitted when stream is capturing")


def test_graphs_of_one_program_share_a_pool(calls: list[Any]) -> None:
    one = CudaRecorder()
    one.capture(lambda: None)()
    one.capture(lambda: None)()
    assert calls == [("begin", (0, 1)), ("replay", (0, 1))] * 2


def test_after_a_failure_the_pool_is_ended_and_another_one_is_used(calls: list[Any]) -> None:
    one = CudaRecorder()
    one.capture(lambda: None)
    with pytest.raises(RuntimeError, match="not permitted"):
        one.capture(failing)
    assert calls[1:] == [
        ("begin", (0, 1)),
        ("_cuda_endAllocateToPool", (0, 1)),
        ("_cuda_releasePool", (0, 1)),
        ("begin", (0, 2)),  # a good capture, which puts the default generator right
    ]
    one.capture(lambda: None)
    assert calls[-1] == ("begin", (0, 3))


def test_a_pool_that_was_ended_is_not_released_twice(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(device: int, pool: Any) -> None:
        raise RuntimeError("endAllocatePool: not currently recording to mempool_id")

    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", ended, raising=False)
    with pytest.raises(RuntimeError, match="not permitted"):
        CudaRecorder().capture(failing)
    assert [what for what, _ in calls] == ["begin", "begin"]


def test_memory_that_is_kept_for_nobody_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[int] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(1))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (20, 80))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 30)
    for reserved, times in ((49, 0), (51, 1)):
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda reserved=reserved: reserved)
        graphs._free_cached_memory()
        assert len(emptied) == times
