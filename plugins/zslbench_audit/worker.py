"""What the process that runs plugins does: it resolves a method and runs it on data sets that it is given."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from zslbench.evaluation import Selection
from zslbench.experiment import ExecutionMode, Recipe, applied, embedding_needs, resolve, run
from zslbench.plugin import Dataset, Streams, preserved, registry, schedule_of
from zslbench.testing import global_seed as seeded
from zslbench.training import Training, flatten
from zslbench_audit.process import Arrays
from zslbench_audit.sharing import arrays

ITERATIONS = 10
"""Most batches of an epoch, where a setting gives their number."""

_MODE = ExecutionMode("cpu", threads=1)


@dataclass
class Traces:
    """What a run changed in the process."""

    settings: list[str] = field(default_factory=list)
    """Settings of the process that it left changed."""
    drawn: list[str] = field(default_factory=list)
    """Global random generators that it drew from; harmless unless something depends on it."""


class Worker:
    """The actions that can be asked for; each returns a value and arrays."""

    recipe: Recipe
    _quiet = False

    def methods(self) -> tuple[list[str], Arrays]:
        """The names of all installed methods."""
        return [one.name for one in registry().methods()], {}

    def resolve(self, epochs: int, **options: Any) -> tuple[dict[str, Any], Arrays]:
        """Resolve a method with shortened schedules for the runs that follow; what an audit records of it."""
        recipe = resolve(registry(), **options)
        recipe = recipe.with_settings(shortened(recipe, epochs, options["settings"] or {}))
        self.recipe = recipe
        plugins = [part.registered.plugin for kind, part in recipe.parts.items() if kind != "dataset"]
        return {
            "label": recipe.label,
            "method": recipe.method,
            "variant": recipe.variant,
            "reading": recipe.reading.name if recipe.reading else None,
            "plugins": {one.name: one.source for one in plugins},
            "settings": {kind: part.values() for kind, part in recipe.parts.items()},
            "search": {key: list(values) for key, values in recipe.search.items()},
            "epochs": recipe.epochs,
            "needs": embedding_needs(recipe),
            "transductive": list(recipe.transductive),
        }, {}

    def run(
        self, dataset: Dataset, selection: Selection, seed: int, global_seed: int
    ) -> tuple[dict[str, Any], Arrays]:
        """Run the method with the code that users' runs use; nothing is stored or reused."""
        with isolated(seed, global_seed, quiet=self._quiet) as traces:
            outcome = run(self.recipe, dataset, selection, Training(Streams(seed), keep_scores=True))
        self._quiet = True
        sides = {"final": outcome.networks, "validation": outcome.validation_networks}
        tensors = {
            f"{side}/{kind}/{path}": tensor.detach().cpu().contiguous().numpy()
            for side, networks in sides.items()
            for kind, nets in networks.items()
            for path, tensor in flatten(nets).items()
        }
        names = ("metrics", "epochs", "candidates", "settings")
        value = {name: getattr(outcome, name) for name in names} | {"traces": vars(traces)}
        return value, {f"scores/{task}": one for task, one in outcome.evaluation.scores.items()} | tensors

    def arrays(
        self, dataset: Dataset, selection: Selection, seed: int, global_seed: int
    ) -> tuple[str, Arrays]:
        """The probe ``arrays``, which needs the parts of a run themselves."""

        def compute(data: Dataset) -> None:
            self.run(data, selection, seed, global_seed)

        with isolated(seed, global_seed):
            return arrays(self.recipe, dataset, compute, Training(Streams(seed))), {}


def shortened(recipe: Recipe, epochs: int, given: Mapping[str, Any]) -> dict[str, int]:
    """Shorter values of the settings that ask for over ``epochs`` epochs, or ``ITERATIONS`` batches each."""
    most = {"epochs": epochs, "iterations": ITERATIONS}
    shorter: dict[str, int] = {}
    for kind, part in recipe.parts.items():
        schedule = schedule_of(type(part.settings))
        for name, value in part.values().items():
            what = "epochs" if name == schedule else re.split(r"[._]", name)[-1]
            asks = isinstance(value, int) and what in most and value > most[what]
            if asks and f"{kind}.{name}" not in given:
                shorter[f"{kind}.{name}"] = most[what]
    return shorter


@contextmanager
def isolated(seed: int, start: int, *, quiet: bool = True) -> Iterator[Traces]:
    """Compute as runs with this seed do, from a given global random state; restore the process afterwards.

    ``start`` seeds the global generators of torch, numpy and random, which a run seeds with its own seed;
    ``quiet`` suppresses warnings, which the first run has already shown.
    """
    traces, logger = Traces(), logging.getLogger("zslbench")
    level = logger.level
    with applied(_MODE, seed), seeded(start):
        generators = _generator_states()
        logger.setLevel(logging.ERROR if quiet else level)
        try:
            with preserved() as traces.settings:
                yield traces
        finally:
            logger.setLevel(level)
            moved = _generator_states()
            traces.drawn = [name for name, before in generators.items() if moved[name] != before]


def _generator_states() -> dict[str, bytes]:
    _, keys, position, *_ = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy.random": np.asarray(keys).tobytes() + str(position).encode(),
        "random": repr(random.getstate()).encode(),
    }
