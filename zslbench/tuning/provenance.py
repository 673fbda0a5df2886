"""What a preset that a search found says of its search, and where a run does not fit to that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from zslbench import __version__
from zslbench.data.dataset import Dataset
from zslbench.protocol.splits import validation_split
from zslbench.recipe import Recipe

if TYPE_CHECKING:
    from zslbench.tuning.outcome import TrialRow
    from zslbench.tuning.planning import Plan
    from zslbench.tuning.workers import Way


def provenance(plan: Plan, way: Way, rows: Sequence[TrialRow], top: TrialRow) -> dict[str, Any]:
    """What a preset says of the search that found it.

    Args:
        rows: every finished trial.
        top: the one that the preset is.
    """
    from zslbench.tuning.outcome import digest

    recipe, data = plan.recipe, plan.data
    states = [one.state for one in rows]
    closed = "closed form"
    return {
        "study": plan.name,
        "method": recipe.method,
        "variant": recipe.variant or "none",
        "reading": recipe.reading.name if recipe.reading else "none",
        "dataset": recipe.parts["dataset"].name,
        "objective": f"{plan.criterion.capitalize()} on the validation split, mean over seeds",
        "value": top.value,
        "seeds": list(plan.seeds),
        "values": [top.seeds[seed] for seed in plan.seeds],
        "trial": top.number,
        "trials": len(rows),
        "pruned": states.count("pruned"),
        "failed": states.count("failed"),
        "trials_sha256": digest(rows),
        "journal": plan.journal.name,
        "sampler": f"{way.sampler}, seed {way.seed}",
        "pruner": way.pruner,
        "longest": recipe.epochs or closed,
        "every": plan.selection.step(recipe.epochs) if recipe.epochs else closed,
        "start": recipe.preset or "defaults",
        "zslbench": __version__,
        "date": datetime.now(UTC).date().isoformat(),
        "data": {
            "features": data["features"],
            "semantics": data["semantics"],
            "split": data["split_fingerprint"],
            "validation": data["validation_fingerprint"],
            **{f"sha256 of {one['array']}": one["sha256"] for one in data["arrays"]},
        },
        "space": plan.space.plain(),
        "plugins": {one.name: f"{one.version} {one.source_digest()}".strip() for one in recipe.plugins},
    }


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
