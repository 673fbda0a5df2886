"""The runs that probes compare: each in separate memory, from a known state of the process."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from zslbench.evaluation import Selection
from zslbench.experiment import ExecutionMode, Outcome, Recipe, applied, run
from zslbench.plugin import Dataset, Streams
from zslbench.testing import global_seed
from zslbench.training import Training
from zslbench_audit.altered import copied

Alter = Callable[[Dataset, int], Dataset]
"""Makes another data set from one, at random from a seed."""

SEED = 0
"""Seed of the runs, unless a probe changes it."""
GLOBAL_SEED = 1
"""Seed of the process's global random generators, unless a probe changes it."""

_MODE = ExecutionMode("cpu", threads=1)


@dataclass(frozen=True)
class ProbeRuns:
    """Runs of a method for its probes, by the code of a user's runs; nothing is stored or reused."""

    recipe: Recipe
    dataset: Dataset
    selection: Selection
    _computed: dict[tuple[str, int, int], tuple[Outcome, Traces]] = field(default_factory=dict)

    def run(self, alter: Alter | None = None, *, seed: int = SEED, global_seed: int = GLOBAL_SEED) -> Outcome:
        """The outcome on the data set, or on an altered one; computed once for the same arguments.

        ``global_seed`` is that of the process's global generators.
        """
        key = (alter.__name__ if alter else "", seed, global_seed)
        if key not in self._computed:
            data = alter(self.dataset, SEED) if alter else copied(self.dataset)
            self._computed[key] = self.compute(data, seed, global_seed)
        return self._computed[key][0]

    def traces(self) -> Traces:
        """What a run on the unaltered data set changed in the process."""
        self.run()
        return self._computed["", SEED, GLOBAL_SEED][1]

    def compute(
        self, data: Dataset, seed: int = SEED, global_seed: int = GLOBAL_SEED
    ) -> tuple[Outcome, Traces]:
        """A run on this data set, which may be written to, and what it changed in the process."""
        with isolated(seed, global_seed, quiet=bool(self._computed)) as traces:
            return run(self.recipe, data, self.selection, Training(Streams(seed), keep_scores=True)), traces


@dataclass
class Traces:
    """What a run changed in the process."""

    settings: list[str] = field(default_factory=list)
    """Settings of the process that it left changed."""
    drawn: list[str] = field(default_factory=list)
    """Global random generators that it drew from; harmless unless something depends on it."""


@contextmanager
def isolated(seed: int, start: int, *, quiet: bool = True) -> Iterator[Traces]:
    """Compute as runs with this seed do, from a given global random state; restore the process afterwards.

    ``start`` seeds the global generators of torch, numpy and random, which a run seeds with its own seed;
    ``quiet`` suppresses warnings, which the first run has already shown.
    """
    traces, logger = Traces(), logging.getLogger("zslbench")
    level = logger.level
    with applied(_MODE, seed), global_seed(start):
        settings, generators = _settings(), _generator_states()
        logger.setLevel(logging.ERROR if quiet else level)
        try:
            yield traces
        finally:
            logger.setLevel(level)
            after, moved = _settings(), _generator_states()
            traces.drawn = [name for name, before in generators.items() if moved[name] != before]
            for name, before in settings.items():
                if after[name] != before:
                    traces.settings.append(f"{name} ({before} before, {after[name]} after)")
                    _PROCESS[name][1](before)


_PROCESS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
    "torch's gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "torch's precision of matrix products": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "numpy's handling of floating-point errors": (np.geterr, lambda errors: np.seterr(**errors)),
    "the working directory": (os.getcwd, os.chdir),
}
"""Settings of the whole process: how to read and how to set each."""


def _settings() -> dict[str, Any]:
    return {name: read() for name, (read, _) in _PROCESS.items()}


def _generator_states() -> dict[str, bytes]:
    _, keys, position, *_ = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy.random": np.asarray(keys).tobytes() + str(position).encode(),
        "random": repr(random.getstate()).encode(),
    }
