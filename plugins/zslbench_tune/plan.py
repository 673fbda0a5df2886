"""Everything that a search needs, resolved before its first trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from zslbench.evaluation import Metric, Selection, criterion
from zslbench.experiment import (
    DatasetCache,
    Display,
    MachineOptions,
    Recipe,
    SearchKeywords,
    resolve,
    seed_numbers,
    split_options,
)
from zslbench.plugin import registry
from zslbench.store import run_id
from zslbench_tune.space import SearchSpec, Space, space_of
from zslbench_tune.trial import STUDIES, Objective


@dataclass(frozen=True)
class Sampling:
    """The number of trials and how they are sampled; not part of a study's identity."""

    trials: int
    sampler: str
    seed: int
    pruner: str


@dataclass(frozen=True)
class Plan:
    """A resolved search."""

    name: str
    """Method, data set and a digest of ``identity``."""
    identity: Mapping[str, Any]
    """Everything that the values of trials depend on except the machine; and the space."""
    space: Space
    sampling: Sampling
    objective: Objective
    file: Path
    """The study's SQLite file."""

    @property
    def recipe(self) -> Recipe:
        """The method with the settings that all trials share."""
        return self.objective.recipe

    @property
    def metric(self) -> Metric:
        """The metric of trials on the validation split: H, or Acc for a method without GZSL."""
        return criterion(self.recipe.tasks)


def make_plan(
    display: Display,
    *,
    sampling: Sampling,
    method: str,
    dataset: str,
    search: Mapping[str, SearchSpec] | None,
    seeds: int | Sequence[int],
    variant: str | None,
    journal: str | Path | None,
    **options: Unpack[SearchKeywords],
) -> Plan:
    """Resolve a search; for the arguments see :func:`zslbench_tune.tune.tune`.

    Raises:
        ZslbenchError: anything that the caller can correct.
    """
    fit, machine = split_options(options, MachineOptions)
    known = registry()
    recipe = resolve(
        known, dataset, method=method, variant=variant, data_root=machine.data_root, **fit.resolved()
    )
    declaration = known.method(method).declaration
    overlays = [recipe.reading, *(one for one in declaration.variants if one.name == recipe.variant)]
    fixed = {key for one in overlays if one is not None for key in one.settings}
    tunable = {key: spec for key, spec in declaration.tunable.items() if key not in fixed}
    space = space_of(recipe, requested=search or {}, tunable=tunable, fixed=fit.settings or {})
    numbers, selection = seed_numbers(seeds), Selection("val", fit.every)
    loaded, provenance = DatasetCache(machine.data_root, display.say).load(recipe, fit.files)
    root = machine.open_store().root
    objective = Objective(recipe, loaded, provenance, numbers, selection, machine.mode(), root, display)
    identity = _identity(objective.job(0).identity(), space, numbers)
    name = f"{recipe.method}-{recipe.parts['dataset'].name}-{run_id(identity)[:8]}"
    file = Path(journal) if journal else root / STUDIES / f"{name}.db"
    return Plan(name, identity, space, sampling, objective, file.expanduser().absolute())


def _identity(job: Mapping[str, Any], space: Space, seeds: Sequence[int]) -> dict[str, Any]:
    """A run's identity without what differs between trials or machines, but with the space."""
    searched = {dimension.key for dimension in space.dimensions}
    settings = {
        kind: {name: value for name, value in values.items() if f"{kind}.{name}" not in searched}
        for kind, values in job["settings"].items()
    }
    common = {key: value for key, value in job.items() if key not in ("seed", "execution", "search")}
    precision = job["execution"]["precision"]
    if precision != "float32":
        common["precision"] = precision
    return {**common, "settings": settings, "space": space.as_dict(), "seeds": list(seeds)}
