"""The execution mode, and that computing in it leaves the process as it was."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from zslbench.errors import ZslbenchError
from zslbench.experiment.job import MOST_THREADS, ExecutionMode, applied, choose_mode

GPU = ExecutionMode("cuda", threads=0, graphs="auto")


@pytest.mark.parametrize(
    ("device", "there", "threads", "expected"),
    [
        ("cpu", False, 3, ExecutionMode("cpu", threads=3)),
        ("auto", False, 1, ExecutionMode("cpu", threads=1)),
        ("auto", True, 3, GPU),  # a GPU's figures depend on no CPU thread
        ("cuda", True, None, GPU),
        ("cpu", True, 2, ExecutionMode("cpu", threads=2)),
    ],
)
def test_choice(
    device: str, there: bool, threads: int | None, expected: ExecutionMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_mode(device, threads) == expected


def test_one_gpu_of_several_is_no_part_of_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    second = choose_mode("cuda:1")
    assert (second.device, second.gpu) == ("cuda", 1)
    assert second.as_dict() == choose_mode("cuda").as_dict()
    with pytest.raises(ZslbenchError, match="choose cuda:0, cuda:1"):
        choose_mode("cuda:2")


def test_a_gpu_of_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_mode("cuda", elsewhere=True) == GPU
    assert choose_mode("auto", 2, elsewhere=True) == ExecutionMode("cpu", threads=2)


def test_threads_default_to_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert choose_mode().threads == 7
    assert choose_mode().as_dict() == {"device": "cpu", "precision": "float32", "threads": 7, "replicas": 1}


@pytest.mark.parametrize(
    ("device", "threads", "words"),
    [
        ("gpu", 1, "--device gpu: choose auto"), ("cuda", 1, "torch finds no GPU"),
        ("cuda:1", 1, "--device cuda:1: torch finds no GPU"), ("cuda:x", 1, "choose auto, cpu"),
        ("cpu:1", 1, "choose auto, cpu"), ("cuda:", 1, "choose auto, cpu"),
        ("cpu", 0, "--threads 0"), ("cpu", -2, "--threads -2"), ("cpu", MOST_THREADS + 1, "1 to 1024"),
    ],
)  # fmt: skip
def test_what_cannot_be(device: str, threads: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ZslbenchError, match=words):
        choose_mode(device, threads)


@pytest.mark.parametrize(
    ("device", "options", "words"),
    [
        ("cpu", {"precision": "fp8"}, "--precision fp8: choose float32, tf32, bf16"),
        ("cpu", {"precision": "tf32"}, "--precision tf32: needs a GPU"),
        ("cpu", {"graphs": "yes"}, "--graphs yes: choose auto"),
        ("cpu", {"graphs": "on"}, "--graphs on: CUDA graphs need a GPU"),
    ],
)
def test_precision_and_graphs_that_cannot_be(device: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(ZslbenchError, match=words):
        choose_mode(device, 1, **options)


def test_graphs_count_on_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a run is captured is part of its identity, whether it must be is not."""
    assert "graphs" not in choose_mode("cpu", 1, graphs="auto").as_dict()
    assert choose_mode("cpu", 1).new_graphs() is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    modes = {graphs: choose_mode("cuda", graphs=graphs) for graphs in ("auto", "on", "off")}
    assert [modes[one].as_dict()["graphs"] for one in ("auto", "on", "off")] == [True, True, False]
    made = {one: mode.new_graphs() for one, mode in modes.items()}
    assert made["off"] is None
    assert [made[one].required for one in ("auto", "on")] == [False, True]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("precision", "products"), [("float32", "highest"), ("tf32", "high"), ("bf16", "highest")]
)
def test_precision_of_products_while_a_run_is_computed(precision: str, products: str) -> None:
    before = torch.get_float32_matmul_precision()
    with applied(ExecutionMode("cpu", precision)):  # type: ignore[arg-type]
        assert torch.get_float32_matmul_precision() == products
    assert torch.get_float32_matmul_precision() == before


def _state() -> tuple[object, ...]:
    return (
        random.getstate(),
        str(np.random.get_state()),  # noqa: NPY002
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_default_dtype(),
    )


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("warn_only", [False, True])
def test_global_state_is_as_it_was(fails: bool, warn_only: bool) -> None:
    threads = torch.get_num_threads()
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    try:
        before = _state()
        try:
            with applied(ExecutionMode("cpu", threads=threads + 1)) as device:
                assert device == torch.device("cpu")
                assert torch.get_num_threads() == threads + 1
                random.random()
                np.random.random(3)  # noqa: NPY002
                torch.manual_seed(3)
                torch.rand(3)
                if fails:
                    raise RuntimeError
        except RuntimeError:
            assert fails
        assert _state() == before
    finally:
        torch.use_deterministic_algorithms(False)


def test_global_generators_start_from_the_seed_of_the_run() -> None:
    """A plugin that wrongly draws from them is at least repeatable, whatever the caller drew before."""

    def drawn(seed: int) -> tuple[float, float, float]:
        with applied(ExecutionMode("cpu", threads=1), seed):
            return torch.rand(1).item(), random.random(), float(np.random.random())  # noqa: NPY002

    first = drawn(3)
    torch.rand(5)
    random.random()
    assert drawn(3) == first
    assert all(a != b for a, b in zip(drawn(4), first, strict=True))
