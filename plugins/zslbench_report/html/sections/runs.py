"""Every run of the report: figures, cost, stages that were used again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zslbench.report.results import FIGURES, marked, percent
from zslbench.report.stages import stage_rows, stages_line
from zslbench.store.record import RunRecord
from zslbench_report.html.subject import Subject

ID = "runs"
TITLE = "Runs"


def build(subject: Subject) -> Mapping[str, Any] | None:
    """One row per run, and what their stages cost."""
    rows = []
    for (label, _, selection), entry in subject.outcome.entries.items():
        for seed in sorted(entry.records):
            record = entry.records[seed]
            values = {name: percent(record.metrics.get(key)) for key, name in FIGURES.items()}
            rows.append(
                {
                    "run": record.info.id,
                    "label": label,
                    "dataset": subject.dataset_title(record.info.dataset),
                    "selection": marked(selection),
                    "seed": seed,
                    "finished": record.finished.strftime("%Y-%m-%d %H:%M"),
                    "seconds": record.environment.get("seconds"),
                    "figures": {name: None if math.isnan(value) else value for name, value in values.items()},
                    "stages": _stages(record),
                    "told": "; ".join(f"{name} {text}" for name, text in stage_rows(record)),
                }
            )
    if not rows:
        return None
    used = [name for key, name in FIGURES.items() if any(_has(one, key) for one in subject.outcome.records)]
    return {"rows": rows, "figures": used, "stages": stages_line(subject.outcome.records)}


def _stages(record: RunRecord) -> str:
    """``"10 kept, 4 used again"``."""
    told = [text for _, text in stage_rows(record)]
    again = sum(text.startswith("reused") for text in told)
    words = [f"{len(told) - again} trained" * (len(told) > again), f"{again} used again" * bool(again)]
    return ", ".join(word for word in words if word)


def _has(record: RunRecord, metric: str) -> bool:
    return not math.isnan(percent(record.metrics.get(metric)))
