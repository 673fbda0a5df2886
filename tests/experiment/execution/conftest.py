"""Jobs on the simulated data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from zslbench.evaluation.selection import Selection
from zslbench.experiment.datasets import DataFiles, load_dataset, provenance
from zslbench.experiment.job import ExecutionMode, Job
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry

TINY = {
    "generator.hidden": 4, "generator.per_class": 2, "generator.batch_size": 256, "generator.critic_steps": 1,
    "classifier.epochs": 1, "dataset.images_per_class": 10,
}  # fmt: skip


@pytest.fixture
def job() -> Callable[..., Job]:
    """A small TF-VAEGAN job, or another method's."""

    def make(
        method: str = "tf-vaegan",
        *,
        settings: dict[str, Any] | None = None,
        seed: int = 0,
        select: str = "last",
        every: int | None = None,
        threads: int = 1,
        semantics: str | None = None,
        keep_weights: bool = False,
        epochs: int | None = 2,
        **more: Any,
    ) -> Job:
        tiny = TINY if method == "tf-vaegan" else {"dataset.images_per_class": 10}
        recipe = resolve(
            registry(), "toy", method=method, settings=tiny | (settings or {}), epochs=epochs, **more
        )
        dataset = load_dataset(recipe.parts["dataset"], DataFiles(semantics=semantics))
        mode = ExecutionMode("cpu", threads=threads)
        selection = Selection(select, every)  # type: ignore[arg-type]
        return Job(recipe, dataset, provenance(dataset), seed, selection, mode, keep_weights)

    return make
