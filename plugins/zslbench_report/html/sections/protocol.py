"""How the numbers came about: selection, every run, and the notes of suite, runs and report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zslbench.evaluation import METRICS, Metric, criteria
from zslbench.report import ORACLE_MARK, percent, selection_label, stage_rows, stages_line
from zslbench.store import RunRecord
from zslbench_report.html.report import Report

# --- selection -----------------------------------------------------------------------------------

SELECTIONS: Mapping[str, str] = {
    "val": (
        "The number of epochs, and the hyper-parameters that a method offers for search, were chosen by the "
        "highest H (Acc for a method without GZSL) on validation classes and images held out from the "
        "training images. The method was then refitted on all training images with these choices and "
        "evaluated once. Test images played no part in any choice."
    ),
    "last": (
        "Nothing was chosen: the method was fitted on all training images with the given number of epochs "
        "and settings, and evaluated once after its last epoch."
    ),
    "oracle": (
        "Epochs and classifiers were chosen on the test images themselves, separately for Acc and for H, as "
        f"published code does. These numbers, marked {ORACLE_MARK}, are biased upwards by construction and "
        "are not comparable with any others."
    ),
}
EVALUATOR = (
    "All numbers come from one evaluator, the only part that sees test labels; methods only hand it scores. "
    "Acc is the accuracy averaged over unseen classes when only unseen classes can be predicted (CZSL). U "
    "and S are the accuracies averaged over unseen and over seen classes when all classes can be predicted "
    "(GZSL), and H = 2US/(U+S). Every class has the same weight, however many test images it has; a tie for "
    "the highest score counts as wrong. AUSUC is the area under the exact seen–unseen curve."
)


def protocol(report: Report) -> Mapping[str, Any] | None:
    """Text on selections, splits and evaluator, then a row per run: what was chosen, and by which value."""
    outcome = report.outcome
    used = {record.info.selection for record in outcome.records}
    splits: dict[str, list[str]] = {}
    for record in outcome.records:
        if record.info.selection == "val":
            note = str(record.data.get("validation_note") or "not recorded")
            notes = splits.setdefault(report.dataset_title(record.info.dataset), [])
            if note not in notes:
                notes.append(note)
    rows = [
        _choices(report, line.label, record)
        for line in outcome.lines
        for dataset in outcome.datasets
        for selection in outcome.selections
        for record in report.records(line.label, dataset, selection)
    ]
    return {
        "selections": [(one, SELECTIONS[one]) for one in outcome.selections if one in used & set(SELECTIONS)],
        "splits": splits,
        "evaluator": EVALUATOR,
        "rows": rows,
        "ranking": outcome.selections[0] if outcome.selections else None,
    }


def _choices(report: Report, label: str, record: RunRecord) -> dict[str, Any]:
    metrics = record.metrics
    chosen: Mapping[str, Any] = record.environment.get("chosen") or {}
    criterion = next((one for one in reversed(criteria()) if f"val_{one.key}" in metrics), None)
    candidates = report.table(record, "candidates", ())
    return {
        "label": label,
        "dataset": report.dataset_title(record.info.dataset),
        "selection": record.info.selection,
        "seed": record.info.seed,
        "epochs": _epochs(metrics),
        "chosen": ", ".join(f"{key}={value}" for key, value in chosen.items()),
        "candidates": len(candidates) if candidates is not None and record.info.selection != "last" else None,
        "criterion": criterion.name if criterion else None,
        "value": percent(metrics[f"val_{criterion.key}"]) if criterion else None,
    }


def _epochs(metrics: Mapping[str, Any]) -> str | None:
    """Under oracle selection H and Acc may come from two epochs, each with a classifier of its own."""
    if metrics.get("epochs"):
        return str(metrics["epochs"])
    parts = []
    for metric in reversed(criteria()):
        epochs = [metrics.get(f"{metric.key}_epoch"), metrics.get(f"{metric.key}_classifier_epoch")]
        if any(epochs):
            parts.append(f"{metric.name}: " + ", classifier ".join(str(one) for one in epochs if one))
    return "; ".join(parts) or None


# --- runs ----------------------------------------------------------------------------------------


def runs(report: Report) -> Mapping[str, Any] | None:
    """One row per run: its figures, its cost, and the stages it reused."""
    names = [
        one.name
        for one in METRICS.values()
        if any(_figure(record, one) is not None for record in report.outcome.records)
    ]
    rows = []
    for label, dataset, selection in report.outcome.entries:
        for record in report.records(label, dataset, selection):
            stages = stage_rows(record)
            rows.append(
                {
                    "run": record.info.id,
                    "label": label,
                    "dataset": report.dataset_title(record.info.dataset),
                    "selection": selection_label(selection),
                    "seed": record.info.seed,
                    "finished": record.finished.strftime("%Y-%m-%d %H:%M"),
                    "seconds": record.environment.get("seconds"),
                    "figures": {one.name: _figure(record, one) for one in METRICS.values()},
                    "stages": _stage_counts(stages),
                    "details": "; ".join(f"{name} {text}" for name, text in stages),
                }
            )
    return {"rows": rows, "names": names, "stages": stages_line(report.outcome.records)} if rows else None


def _figure(record: RunRecord, metric: Metric) -> float | None:
    value = metric.of(record.metrics)
    return None if math.isnan(value) else value


def _stage_counts(stages: list[tuple[str, str]]) -> str:
    """``"10 trained, 4 reused"``."""
    reused = sum(text.startswith("reused") for _, text in stages)
    trained = len(stages) - reused
    return ", ".join([f"{trained} trained"] * (trained > 0) + [f"{reused} reused"] * (reused > 0))


# --- notes ---------------------------------------------------------------------------------------


def notes(report: Report) -> Mapping[str, Any] | None:
    """Notes of the suite, of its runs (equal ones once), and of this report."""
    by_note: dict[str, list[str]] = {}
    for record in report.outcome.records:
        for note in record.notes:
            by_note.setdefault(note, []).append(record.info.id)
    if not (by_note or report.faults or report.outcome.remarks):
        return None
    return {"remarks": report.outcome.remarks, "notes": list(by_note.items()), "faults": report.faults}
