"""Where a run differs from what the presets that a search found were tuned for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zslbench.evaluation.splits import validation_split
from zslbench.experiment.recipe import Recipe
from zslbench.plugin.dataset import Dataset


def doubts(recipe: Recipe, dataset: Dataset) -> list[str]:
    """One line for each preset in use that was searched for something else than this run.

    Another data set (or other features or semantics), another validation split, method, variant or reading:
    the settings may still be good, but nothing says so.
    """
    lines = []
    for one in recipe.tuned:
        differences = [
            f"{name} {there}, not {here}"
            for name, there, here in _compared(one, recipe, dataset)
            if there is not None and there != here
        ]
        if differences:
            lines.append(f"preset {one['preset']} was tuned for {'; '.join(differences)}")
    return lines


def _compared(provenance: Mapping[str, Any], recipe: Recipe, dataset: Dataset) -> list[tuple[str, Any, Any]]:
    """What is compared, as it is in the preset (None: it does not say) and in the run."""
    there = {name: provenance.get(name) for name in ("method", "variant", "reading", "dataset")}
    data = provenance.get("data")
    data = data if isinstance(data, Mapping) else {}
    return [
        ("method", there["method"], recipe.method),
        ("variant", there["variant"], recipe.variant or "none"),
        ("reading", there["reading"], recipe.reading.name if recipe.reading else "none"),
        ("data set", there["dataset"], recipe.parts["dataset"].name),
        ("features", data.get("features"), dataset.features_name),
        ("semantics", data.get("semantics"), dataset.semantics_name),
        ("validation split", data.get("validation"), validation_split(dataset).fingerprint()),
    ]
