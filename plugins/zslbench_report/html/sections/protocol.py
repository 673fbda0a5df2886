"""How each number was selected, in words and run by run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zslbench.report.results import ORACLE_MARK, percent
from zslbench.store.record import RunRecord
from zslbench_report.html.subject import Subject

ID = "protocol"
TITLE = "How the numbers were selected"

WORDS: Mapping[str, str] = {
    "val": (
        "The length of the schedule, and the hyper-parameters that a method offers to the search, were "
        "chosen by the highest H (Acc for a method without GZSL) on validation classes and images taken "
        "from the training images. The method was then fitted anew on all training images with what was "
        "chosen, and evaluated once. No test image had a say."
    ),
    "last": (
        "Nothing was chosen: the schedule and the settings are as given, the method was fitted on all "
        "training images and evaluated once after its last epoch."
    ),
    "oracle": (
        "Epochs and classifiers were chosen on the test images themselves, for Acc and for H apart, as "
        f"published codes do. These numbers, marked {ORACLE_MARK}, are too high by construction and rank "
        "with nothing else."
    ),
}
EVALUATOR = (
    "All numbers come from one evaluator, which alone holds the test labels; a method hands over scores. "
    "Acc is the mean over unseen classes of their accuracy when only unseen classes may be predicted "
    "(CZSL). U and S are the means over unseen and over seen classes when all may be predicted (GZSL), "
    "and H = 2US/(U+S). A class counts the same however many test images it has; a tie for the highest "
    "score counts as wrong. AUSUC is the area under the exact seen–unseen curve."
)


def build(subject: Subject) -> Mapping[str, Any] | None:
    """Sentences on selection, splits and evaluator, then a row per run: what was chosen, by which "
    "value."""
    outcome = subject.outcome
    used = [
        one for one in outcome.selections if any(record.info.selection == one for record in outcome.records)
    ]
    splits: dict[str, list[str]] = {}
    for record in outcome.records:
        if record.info.selection == "val":
            told = str(record.data.get("validation_note") or "the run does not say")
            lines = splits.setdefault(subject.dataset_title(record.info.dataset), [])
            if told not in lines:
                lines.append(told)
    rows = [
        _row(subject, line.label, record)
        for line in outcome.lines
        for dataset in outcome.datasets
        for selection in outcome.selections
        for record in _records(subject, line.label, dataset, selection)
    ]
    return {
        "selections": [(one, WORDS[one]) for one in used if one in WORDS],
        "splits": splits,
        "evaluator": EVALUATOR,
        "rows": rows,
        "first": outcome.selections[0] if outcome.selections else None,
    }


def _records(subject: Subject, label: str, dataset: str, selection: str) -> list[RunRecord]:
    entry = subject.outcome.entries.get((label, dataset, selection))
    return [entry.records[seed] for seed in sorted(entry.records)] if entry else []


def _row(subject: Subject, label: str, record: RunRecord) -> dict[str, Any]:
    metrics = record.metrics
    chosen: Mapping[str, Any] = record.environment.get("chosen") or {}
    criterion = next((name for name in ("val_h", "val_acc") if name in metrics), None)
    candidates = subject.table(record, "candidates", ())
    return {
        "label": label,
        "dataset": subject.dataset_title(record.info.dataset),
        "selection": record.info.selection,
        "seed": record.info.seed,
        "run": record.info.id,
        "epochs": _epochs(metrics),
        "chosen": ", ".join(f"{key}={value}" for key, value in chosen.items()),
        "candidates": len(candidates) if candidates is not None and record.info.selection != "last" else None,
        "criterion": criterion.removeprefix("val_").capitalize() if criterion else None,
        "value": percent(metrics[criterion]) if criterion else None,
    }


def _epochs(metrics: Mapping[str, Any]) -> str | None:
    """Under an oracle selection H and Acc may be of two epochs, each with its classifier's own."""
    if metrics.get("epochs"):
        return str(metrics["epochs"])
    told = []
    for name in ("h", "acc"):
        parts = [metrics.get(f"{name}_epoch"), metrics.get(f"{name}_classifier_epoch")]
        if any(parts):
            told.append(f"{name.capitalize()}: " + ", classifier ".join(str(one) for one in parts if one))
    return "; ".join(told) or None
