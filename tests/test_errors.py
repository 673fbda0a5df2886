"""Hints in messages, and errors that mean the same however a library words them."""

from __future__ import annotations

import errno
from collections.abc import Callable

import numpy as np
import pytest
import torch

from zslbench.errors import Diverged, did_you_mean, memory_shortage


@pytest.mark.parametrize("name", ["zzz", "z" * 100_000])
def test_a_hint_is_short_whatever_is_known(name: str) -> None:
    known = [f"class {one}" for one in range(3000)]
    assert did_you_mean(name, known).count(",") == 50
    assert did_you_mean(name, known[:50]).count(",") == 49


def test_a_long_name_still_finds_its_neighbour() -> None:
    assert did_you_mean("softmx", ["softmax", "eszsl"]) == "did you mean 'softmax'?"


@pytest.mark.parametrize(
    "allocate", [lambda: torch.empty(2**50), lambda: np.empty(2**50, np.float32), lambda: bytearray(2**52)]
)
def test_a_real_shortage_is_recognised(allocate: Callable[[], object]) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        allocate()
    text = memory_shortage(caught.value)
    assert text.startswith("out of memory") and "\n" not in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."), "GPU 20.00 GiB"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), "GPU memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:114] data. DefaultCPUAllocator: can't allocate memory: "
                      "you tried to allocate 8589934592 bytes. Error code 12"), "out of memory 8.00 GiB"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
    ],
)  # fmt: skip
def test_what_a_shortage_says(error: Exception, words: str) -> None:
    assert all(word in memory_shortage(error) for word in words.split())


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: invalid device"), OSError("x"), Diverged("nan")])
def test_other_errors_are_not_shortages(error: Exception) -> None:
    assert memory_shortage(error) == ""
