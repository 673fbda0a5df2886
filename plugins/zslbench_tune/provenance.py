"""What a preset that a search found says of its search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from zslbench import __version__

if TYPE_CHECKING:
    from zslbench_tune.outcome import TrialRow
    from zslbench_tune.planning import Plan
    from zslbench_tune.workers import Way


def provenance(plan: Plan, way: Way, rows: Sequence[TrialRow], top: TrialRow) -> dict[str, Any]:
    """What a preset says of the search that found it.

    Args:
        rows: every finished trial.
        top: the one that the preset is.
    """
    from zslbench_tune.outcome import digest

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
