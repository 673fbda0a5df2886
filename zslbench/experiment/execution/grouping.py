"""Which runs are trained together: how many seeds, and which recipes with them."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from zslbench.errors import SettingsError
from zslbench.experiment.execution.local import Job
from zslbench.experiment.execution.mode import ExecutionMode
from zslbench.experiment.recipe import Recipe


def replicas_for(asked: int | None, seeds: int, recipe: Recipe, mode: ExecutionMode) -> int:
    """How many seeds of a recipe are trained together at most.

    As many as a user asked for, or by default all of them on a GPU and one on a CPU, where a replica takes
    about as long as a run of its own. A closed form has nothing to share.

    Raises:
        SettingsError: fewer than one is asked for.
    """
    if asked is not None and asked < 1:
        raise SettingsError(f"replicas {asked}: give 1 or more")
    if recipe.paced is None:
        return 1
    return asked or (seeds if mode.device == "cuda" else 1)


def kin(recipe: Recipe) -> Hashable:
    """The same for recipes that may be trained together: they differ in positive or negative floats alone.

    A float that is 0 in one of them often switches a term off, which makes another step of it, and rates of
    optimisers are the same for all that an optimiser updates.
    """

    def told(name: str, value: Any) -> Any:
        if type(value) is not float or _OF_OPTIMISERS.search(name):
            return json.dumps(value, sort_keys=True, default=str)
        return (value > 0) - (value < 0)

    parts = tuple(
        (kind, part.name, tuple((name, told(name, value)) for name, value in sorted(part.values().items())))
        for kind, part in sorted(recipe.parts.items())
    )
    return recipe.tasks, tuple(sorted(recipe.search.items())), parts


_OF_OPTIMISERS = re.compile(r"(^|[._])(lr|beta|momentum|weight_decay|learning_rate)")


def in_groups(jobs: Sequence[Job], replicas: int) -> list[list[Job]]:
    """The jobs in order, in groups of so many at most; how many a group has is part of their identity."""
    return [of_group(jobs[start : start + replicas]) for start in range(0, len(jobs), replicas)]


def of_group(jobs: Sequence[Job]) -> list[Job]:
    """The jobs as members of one group."""
    return [replace(job, mode=replace(job.mode, replicas=len(jobs))) for job in jobs]
