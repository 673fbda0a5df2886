"""The state of a process that a method shares with everything else in it: looked at, and put back."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from zslbench.experiment import ExecutionMode, applied
from zslbench.testing.subject import global_seed

MODE = ExecutionMode("cpu", threads=1)
"""How the runs of an audit are computed."""


@dataclass
class Left:
    """What a run left behind."""

    settings: list[str] = field(default_factory=list)
    """Settings of the process that were others afterwards, in words."""
    drawn: list[str] = field(default_factory=list)
    """Global random generators that were drawn from; harmless where nothing depends on it."""


@contextmanager
def surroundings(seed: int, chance: int) -> Iterator[Left]:
    """Compute as runs do (``experiment.execution.mode.applied``), from a given global random state.

    Args:
        seed: the run's.
        chance: what the global generators of torch, numpy and random start from. A run starts them from its
            own seed; here they differ while the seed stays.
    """
    left = Left()
    with applied(MODE, seed), global_seed(chance):
        settings, generators = _settings(), _generators()
        try:
            yield left
        finally:
            after = _settings()
            left.settings = [
                f"{name} ({before} before, {after[name]} after)"
                for name, before in settings.items()
                if after[name] != before
            ]
            moved = _generators()
            left.drawn = [name for name, before in generators.items() if moved[name] != before]
            _restore(settings)


def _settings() -> dict[str, Any]:
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "torch's precision of matrix products": torch.get_float32_matmul_precision(),
        "numpy's handling of floating-point errors": np.geterr(),
        "the working directory": os.getcwd(),  # noqa: PTH109
    }


def _restore(settings: dict[str, Any]) -> None:
    dtype, threads, gradients, deterministic, precision, errors, folder = settings.values()
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)
    torch.set_grad_enabled(gradients)
    if torch.are_deterministic_algorithms_enabled() != deterministic:
        torch.use_deterministic_algorithms(deterministic)
    torch.set_float32_matmul_precision(precision)
    np.seterr(**errors)
    os.chdir(folder)


def _generators() -> dict[str, bytes]:
    _, keys, position, *_ = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy.random": np.asarray(keys).tobytes() + str(position).encode(),
        "random": repr(random.getstate()).encode(),
    }
