"""Cells of the table that lack runs, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zslbench.report.results import marked
from zslbench_report.html.subject import Subject

ID = "missing"
TITLE = "Missing and failed cells"


def build(subject: Subject) -> Mapping[str, Any] | None:
    """One row per cell that is not complete; none where all are."""
    rows = []
    for (label, dataset, selection), entry in subject.outcome.entries.items():
        if entry.state in ("done", "not applicable"):
            continue
        rows.append(
            {
                "label": label,
                "dataset": subject.dataset_title(dataset),
                "selection": marked(selection),
                "state": entry.state,
                "seeds": f"{len(entry.records)} of {len(subject.outcome.seeds)}",
                "reason": entry.reason,
                "failures": [(seed, entry.failures[seed]) for seed in sorted(entry.failures)],
            }
        )
    return {"rows": rows, "cells": len(subject.outcome.entries)} if rows else None
