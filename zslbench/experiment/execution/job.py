"""One run to compute, its identity, and which runs may be trained together."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zslbench
from zslbench.errors import SettingsError
from zslbench.evaluation.selection import Selection
from zslbench.experiment.execution.mode import ExecutionMode
from zslbench.experiment.recipe import Recipe
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.lookup import files_digest

IDENTITY_FORMAT = 2
"""Raised when the meaning of a run's identity changes, so that no old run passes for a new one."""

NUMERIC_FLOORS = ("plugin", "data", "training", "evaluation", "experiment")
"""Packages of the core whose code decides numbers: every file in them counts, a new one by default."""

NOT_NUMERIC = ("experiment/suites", "experiment/published", "experiment/tracking.py", "experiment/options.py")
"""What does not count in them: which runs a suite asks for, printed figures, who follows a run."""


@dataclass(frozen=True)
class Job:
    """One run to compute."""

    recipe: Recipe
    dataset: Dataset
    data: Mapping[str, Any]
    """:func:`zslbench.experiment.datasets.provenance` of the data set."""
    seed: int
    selection: Selection
    mode: ExecutionMode
    keep_weights: bool = False

    def identity(self) -> dict[str, Any]:
        """Everything that the run's numbers depend on."""
        return {
            "format": IDENTITY_FORMAT,
            **requested(self.recipe, self.selection),
            "data": {
                "features": self.data["features"],
                "semantics": self.data["semantics"],
                "split": self.data["split_fingerprint"],
                "validation": self.data["validation_fingerprint"],
                "class_names": self.data["class_names_digest"],
                "arrays": {one["array"]: one["sha256"] for one in self.data["arrays"]},
            },
            "seed": self.seed,
            "versions": versions(self.recipe),
            "execution": self.mode.as_dict(),
        }

    def stage_identity(self) -> dict[str, Any]:
        """What every kept stage of the run depends on."""
        identity = self.identity()
        return {key: identity[key] for key in ("format", "data", "execution")} | {"zslbench": core_version()}


def requested(recipe: Recipe, selection: Selection) -> dict[str, Any]:
    """The part of an identity that is known without data, seed, machine and versions."""
    validated = selection.mode != "last"
    return {
        "method": recipe.method,
        "variant": recipe.variant,
        **({"reading": recipe.reading.name} if recipe.reading else {}),
        "components": {kind: part.name for kind, part in recipe.parts.items()},
        "settings": {kind: part.values() for kind, part in recipe.parts.items()},
        "search": {key: list(values) for key, values in recipe.search.items()} if validated else {},
        "tasks": list(recipe.tasks),
        "selection": {
            "mode": selection.mode,
            "every": selection.step(recipe.epochs) if recipe.epochs and validated else None,
        },
    }


def versions(recipe: Recipe) -> dict[str, str]:
    """Versions and source digests of everything that computes the recipe."""
    plugins = {f"plugin {one.name}": f"{one.version} {one.source_digest()}".strip() for one in recipe.plugins}
    return {"zslbench": core_version(), **plugins}


def core_version() -> str:
    """The core's version, and a digest of its numeric code, so that an edited core makes new runs."""
    return f"{zslbench.__version__} {_core_digest(Path(zslbench.__file__).resolve().parent)}"


@functools.cache
def _core_digest(core: Path) -> str:
    files = (path for floor in NUMERIC_FLOORS for path in (core / floor).rglob("*.py"))
    names = {path.relative_to(core).as_posix(): path for path in files}
    counted = [
        names[name]
        for name in sorted(names)
        if not any(f"{name}/".startswith(f"{one}/") for one in NOT_NUMERIC)
    ]
    return files_digest(core, counted)


def seed_numbers(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """The seeds that a number of seeds (0 to n-1), or a list of them, means.

    Raises:
        SettingsError: there is none, one is negative or given twice.
    """
    numbers = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not numbers or any(seed < 0 for seed in numbers) or len(set(numbers)) != len(numbers):
        raise SettingsError(f"seeds {seeds}: give a number of seeds, or different seeds of 0 or more")
    return numbers


def replicas_for(requested: int | None, runs: int, recipe: Recipe, mode: ExecutionMode) -> int:
    """How many runs of a recipe are trained together at most.

    As many as requested; by default all of them on a GPU and one on a CPU, where a replica takes about as
    long as a run by itself. A closed form has nothing to share.

    Raises:
        SettingsError: fewer than one is requested.
    """
    if requested is not None and requested < 1:
        raise SettingsError(f"replicas {requested}: give 1 or more")
    if recipe.paced is None:
        return 1
    return requested or (runs if mode.device == "cuda" else 1)


def lift_key(recipe: Recipe) -> Hashable:
    """Equal for recipes that may be trained together: they differ in positive or negative floats alone.

    A float that is 0 in one of them often switches a term off, which makes another step of it, and rates of
    optimisers are the same for everything that an optimiser updates.
    """

    def key(name: str, value: Any) -> Any:
        if type(value) is not float or _OPTIMISER_RATE.search(name):
            return json.dumps(value, sort_keys=True, default=str)
        return (value > 0) - (value < 0)

    parts = tuple(
        (kind, part.name, tuple((name, key(name, value)) for name, value in sorted(part.values().items())))
        for kind, part in sorted(recipe.parts.items())
    )
    return recipe.tasks, tuple(sorted(recipe.search.items())), parts


_OPTIMISER_RATE = re.compile(r"(^|[._])(lr|beta|momentum|weight_decay|learning_rate)")


def in_groups(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """The jobs in order, in groups of at most ``size``; how many a group has is part of their identity."""
    return [as_group(jobs[start : start + size]) for start in range(0, len(jobs), size)]


def as_group(jobs: Sequence[Job]) -> list[Job]:
    """The jobs as members of one group."""
    return [replace(job, mode=replace(job.mode, replicas=len(jobs))) for job in jobs]
