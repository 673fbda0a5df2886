"""The cells of a suite: a line on a data set under a selection with a seed, each computed as one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zslbench import __version__
from zslbench.evaluation.selection import Selection
from zslbench.experiment.recipe import Recipe
from zslbench.experiment.suites.outcome import Line
from zslbench.experiment.suites.resolving import Resolved, ResolvedSuite
from zslbench.store.identity import run_id

if TYPE_CHECKING:
    from zslbench.training.precision import Precision

CELL_FORMAT = 1
"""Raised when the meaning of a cell's definition changes."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell."""

    line: Line
    dataset: str
    selection: Selection
    seed: int
    resolved: Resolved
    precision: Precision = "float32"
    """Of matrix products; a cell in another precision is a cell of its own."""

    @property
    def recipe(self) -> Recipe:
        """The recipe of a cell that can be computed."""
        assert self.resolved.recipe is not None
        return self.resolved.recipe

    @cached_property
    def id(self) -> str:
        """A hash of everything that the cell's figures depend on but the data and the machine.

        So it is known without reading a data set; an edited plugin is a new cell.
        """
        coarse = {} if self.precision == "float32" else {"precision": self.precision}
        return run_id(self.definition | coarse | {"seed": self.seed, "versions": versions(self.recipe)})

    @cached_property
    def definition(self) -> dict[str, Any]:
        """What is computed, with any seed and by any version."""
        recipe, which = self.recipe, self.resolved.which
        validated = self.selection.mode != "last"
        return {
            "format": CELL_FORMAT,
            "method": recipe.method,
            "variant": recipe.variant,
            "reading": recipe.reading.name if recipe.reading else None,
            "components": {kind: part.name for kind, part in recipe.parts.items()},
            "settings": {kind: part.values() for kind, part in recipe.parts.items()},
            "search": {key: list(values) for key, values in recipe.search.items()} if validated else {},
            "tasks": list(recipe.tasks),
            "which": {
                "features": which.features,
                "semantics": which.semantics,
                "regions": which.regions,
            },
            "selection": {
                "mode": self.selection.mode,
                "every": self.selection.step(recipe.epochs) if recipe.epochs and validated else None,
            },
        }

    def told(self) -> str:
        """``"sc-egg [paper] on toy, val, seed 0"``."""
        return f"{self.line.label} on {self.dataset}, {self.selection.mode}, seed {self.seed}"

    def facts(self) -> dict[str, Any]:
        """What it is, for readers of its files."""
        line = self.line
        return {
            "method": line.method, "variant": line.variant, "reading": line.reading,
            "dataset": self.dataset, "selection": self.selection.mode, "seed": self.seed,
        }  # fmt: skip


def cells(resolved: ResolvedSuite, precision: Precision = "float32") -> Iterator[Cell]:
    """Every cell in the order of computing.

    A data set after the other, seed by seed, so that a whole column of one seed is there early.
    """
    suite = resolved.suite
    for dataset in suite.datasets:
        for seed in suite.seeds:
            for mode in suite.selections:
                for line in resolved.lines:
                    place = resolved.places[line.label, dataset]
                    selection = Selection(mode, place.every)  # type: ignore[arg-type]
                    yield Cell(line, dataset, selection, seed, place, precision)


def versions(recipe: Recipe) -> dict[str, str]:
    """Versions and source digests of everything that computes the recipe."""
    plugins = {one.name: f"{one.version} {one.source_digest()}".strip() for one in recipe.plugins}
    return {"zslbench": __version__, **{f"plugin {name}": text for name, text in plugins.items()}}
