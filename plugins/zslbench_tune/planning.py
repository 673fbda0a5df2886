"""What a search is about, settled before its first trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zslbench.api import seed_numbers
from zslbench.evaluation.selection import Selection
from zslbench.experiment import Data, ExecutionMode, Job, Recipe, choose_mode, resolve
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.declarations import Method
from zslbench.plugin.discovery import registry
from zslbench.store.identity import run_id
from zslbench.store.store import Store
from zslbench_tune.space import Space, Wish, space_of

STUDIES = "tuning"
"""Folder of the store with journals, presets and checkpoints of searches."""


@dataclass(frozen=True)
class Plan:
    """A search, resolved."""

    name: str
    """Method, data set and a digest of ``identity``."""
    identity: Mapping[str, Any]
    """What the study belongs to: all that its values depend on but the machine, and the space."""
    recipe: Recipe
    """With the settings that hold in every trial."""
    space: Space
    dataset: Dataset
    data: Mapping[str, Any]
    """Provenance of the data set."""
    seeds: tuple[int, ...]
    selection: Selection
    mode: ExecutionMode
    store: Path
    journal: Path

    @property
    def criterion(self) -> str:
        """What is compared on the validation split: ``h``, or ``acc`` for a method without GZSL."""
        return "h" if "gzsl" in self.recipe.tasks else "acc"

    @property
    def checkpoints(self) -> Path:
        """Where trials under way keep theirs."""
        return self.store / STUDIES / "unfinished"


def planned(
    say: Callable[[str], None],
    *,
    method: str,
    dataset: str,
    search: Mapping[str, Wish] | None,
    seeds: int | Sequence[int],
    variant: str | None,
    reading: str | None,
    settings: Mapping[str, Any] | None,
    preset: str | Sequence[str] | None,
    epochs: int | None,
    every: int | None,
    features: str | None,
    semantics: str | None,
    regions: str | None,
    data_root: str | Path | None,
    store: str | Path | None,
    device: str,
    threads: int | None,
    precision: str,
    graphs: str,
    journal: str | Path | None,
) -> Plan:
    """Resolve what was asked for; the arguments are those of :func:`zslbench_tune.tune.tune`.

    Raises:
        ZslbenchError: anything that the caller can put right.
    """
    known = registry()
    recipe = resolve(
        known,
        dataset,
        method=method,
        variant=variant,
        reading=reading,
        preset=preset,
        settings=settings,
        epochs=epochs,
        data_root=data_root,
    )
    space = _space(recipe, known.method(method).declaration, search or {}, settings or {})
    numbers, selection = seed_numbers(seeds), Selection("val", every)
    mode = choose_mode(device, threads, precision, graphs)
    of = Data(data_root, say, features=features, semantics=semantics, regions=regions)
    loaded, data = of.of(recipe)
    identity = _identity(Job(recipe, loaded, data, 0, selection, mode).identity(), space, numbers)
    name = f"{recipe.method}-{recipe.parts['dataset'].name}-{run_id(identity)[:8]}"
    root = Store.default(store).root
    file = Path(journal) if journal else root / STUDIES / f"{name}.journal"
    file = file.expanduser().absolute()
    return Plan(name, identity, recipe, space, loaded, data, numbers, selection, mode, root, file)


def _space(recipe: Recipe, method: Method, search: Mapping[str, Wish], settings: Mapping[str, Any]) -> Space:
    """The space; of a declared one, what the reading or the variant fixes is left out."""
    variant = next((one for one in method.variants if one.name == recipe.variant), None)
    fixed = {**(recipe.reading.settings if recipe.reading else {}), **(variant.settings if variant else {})}
    declared = {key: one for key, one in method.tunable.items() if key not in fixed}
    return space_of(recipe, asked=search, declared=declared, fixed=settings)


def _identity(job: Mapping[str, Any], space: Space, seeds: Sequence[int]) -> dict[str, Any]:
    searched = {one.key for one in space.dimensions}
    settings = {
        kind: {name: value for name, value in values.items() if f"{kind}.{name}" not in searched}
        for kind, values in job["settings"].items()
    }
    kept = {key: value for key, value in job.items() if key not in ("seed", "execution", "search")}
    precision = job["execution"]["precision"]
    coarse = {} if precision == "float32" else {"precision": precision}
    return {**kept, **coarse, "settings": settings, "space": space.plain(), "seeds": list(seeds)}
