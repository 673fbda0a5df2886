"""The runs that probes compare: each in memory of its own, from a known state of the process."""

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

GLOBAL_SEED = 1
"""Seed of the process's global random generators, unless a probe changes it."""

_MODE = ExecutionMode("cpu", threads=1)


@dataclass(frozen=True)
class ProbeRuns:
    """What the probes run.

    Nothing is stored and no stage is found again: every run computes everything, by the code that computes a
    user's runs (:func:`zslbench.experiment.run`).
    """

    recipe: Recipe
    dataset: Dataset
    selection: Selection
    seed: int = 0
    _computed: dict[tuple[str, int, int, int], tuple[Outcome, Traces]] = field(
        default_factory=dict, repr=False
    )

    def run(
        self,
        alter: Alter | None = None,
        *,
        seed: int | None = None,
        global_seed: int = GLOBAL_SEED,
        repetition: int = 0,
    ) -> Outcome:
        """The outcome on the data set, or on an altered one; computed once for the same arguments.

        Args:
            alter: alters the data set.
            seed: the run's; None: the audit's.
            global_seed: of the process's global random generators.
            repetition: another number computes the same run again.
        """
        return self._get(alter, self.seed if seed is None else seed, global_seed, repetition)[0]

    def traces(self, *, global_seed: int = GLOBAL_SEED) -> Traces:
        """What a run on the unaltered data set changed in the process."""
        return self._get(None, self.seed, global_seed, 0)[1]

    def _get(
        self, alter: Alter | None, seed: int, global_seed: int, repetition: int
    ) -> tuple[Outcome, Traces]:
        key = (alter.__name__ if alter else "", seed, global_seed, repetition)
        if key not in self._computed:
            data = alter(self.dataset, self.seed) if alter else copied(self.dataset)
            self._computed[key] = self.compute(data, seed, global_seed)
        return self._computed[key]

    def compute(self, data: Dataset, seed: int, global_seed: int) -> tuple[Outcome, Traces]:
        """A run on this data set, which may be written to, and what it changed in the process."""
        with quiet(bool(self._computed)), isolated(seed, global_seed) as traces:
            return run(self.recipe, data, self.selection, Training(Streams(seed))), traces


@contextmanager
def quiet(active: bool) -> Iterator[None]:
    """Suppress warnings: the first run has already given those of the method."""
    logger = logging.getLogger("zslbench")
    level = logger.level
    if active:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass
class Traces:
    """What a run changed in the process."""

    settings: list[str] = field(default_factory=list)
    """Settings of the process that differed afterwards, in words."""
    drawn: list[str] = field(default_factory=list)
    """Global random generators that were drawn from; harmless where nothing depends on it."""


@contextmanager
def isolated(seed: int, start: int) -> Iterator[Traces]:
    """Compute as runs do, from a given global random state; restore the process afterwards.

    Args:
        seed: the run's.
        start: seed of the global generators of torch, numpy and random. A run seeds them with its own seed;
            here they can differ while the run's seed stays.
    """
    traces = Traces()
    with applied(_MODE, seed), global_seed(start):
        settings, generators = _settings(), _generator_states()
        try:
            yield traces
        finally:
            after = _settings()
            traces.settings = [
                f"{name} ({before} before, {after[name]} after)"
                for name, before in settings.items()
                if after[name] != before
            ]
            moved = _generator_states()
            traces.drawn = [name for name, before in generators.items() if moved[name] != before]
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


def _generator_states() -> dict[str, bytes]:
    _, keys, position, *_ = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy.random": np.asarray(keys).tobytes() + str(position).encode(),
        "random": repr(random.getstate()).encode(),
    }
