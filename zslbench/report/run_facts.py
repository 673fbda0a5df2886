"""What is worth tracking of a run, under names that every tracker shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zslbench.store.record import RunInfo, RunRecord

ORACLE = "oracle"


def run_title(run: RunInfo) -> str:
    """A run in a few words: ``"tf-vaegan (no-feedback) on cub, seed 0"``."""
    from zslbench.experiment.recipe import label_text

    return f"{label_text(run.method, run.variant, run.reading)} on {run.dataset}, seed {run.seed}"


def run_parameters(run: RunInfo) -> dict[str, Any]:
    """What the run is and its settings, as flat plain values: ``method``, ..., ``generator.lr``, ..."""
    identity = run.identity
    chosen = identity.get("selection", {})
    return {
        "method": run.method,
        "variant": run.variant,
        "reading": run.reading,
        "dataset": run.dataset,
        "seed": run.seed,
        "selection": run.selection,
        "every": chosen.get("every"),
        **{kind: name for kind, name in identity.get("components", {}).items() if kind != "dataset"},
        **{
            f"{kind}.{name}": value
            for kind, settings in identity.get("settings", {}).items()
            for name, value in settings.items()
        },
        **{f"search {key}": values for key, values in identity.get("search", {}).items()},
    }


def run_tags(run: RunInfo) -> dict[str, str]:
    """Where the run's numbers come from: its id, the data's fingerprints, versions, how it is computed."""
    data = run.identity.get("data", {})
    fingerprints = {f"data.{name}": value for name, value in data.items() if name != "arrays"}
    arrays = {f"sha256.{name}": digest for name, digest in data.get("arrays", {}).items()}
    versions = {f"version.{name}": value for name, value in run.identity.get("versions", {}).items()}
    execution = {f"execution.{name}": value for name, value in run.identity.get("execution", {}).items()}
    everything: Mapping[str, Any] = {"run": run.id, **fingerprints, **arrays, **versions, **execution}
    return {name: str(value) for name, value in everything.items() if value is not None}


def last_evaluations(record: RunRecord) -> list[tuple[str, int, dict[str, float]]]:
    """What was evaluated at the end of each schedule, as (stage, epoch, figures).

    ``epoch_ended`` does not tell these figures, for they are computed after the epoch's row.
    """
    table = record.table("epochs")
    names = [name for name in table.columns if name.startswith(("val_", "test_"))]
    found = []
    for stage, rows in table.groupby("stage", sort=False) if len(table) else ():
        if record.info.selection == ORACLE and str(stage).endswith(("/gzsl", "/czsl")):
            continue  # each of their epochs is evaluated on its own and told
        last = rows.iloc[int(rows["epoch"].to_numpy().argmax())]
        figures = {name: float(last[name]) for name in names if math.isfinite(last[name])}
        if figures:
            found.append((str(stage), int(last["epoch"]), figures))
    return found


def final_metrics(record: RunRecord) -> dict[str, float]:
    """The finished run's figures (fractions), as ``final/h``; of an oracle selection as ``oracle/h``.

    They have names of their own because they are chosen on the test images: no chart should set them beside
    the others without saying so.
    """
    prefix = ORACLE if record.info.selection == ORACLE else "final"
    return {
        f"{prefix}/{name}": float(value)
        for name, value in record.metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
