"""How the numbers were obtained: selection, every run, settings, data, machines and versions, and notes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from zslbench.evaluation import METRICS, criteria
from zslbench.plugin import registry
from zslbench.report import (
    ORACLE_MARK,
    explain_run,
    percent,
    selection_label,
    stage_rows,
    stages_line,
    trust_mark,
)
from zslbench.store import RunRecord
from zslbench_report.html.report import Report, Series


def _places(report: Report) -> Iterator[tuple[RunRecord, dict[str, Any]]]:
    """Every run in the order of the table, with the first columns of its row."""
    for (label, dataset, selection), records in report.cells.items():
        place = {"data set": report.dataset_title(dataset), "selection": selection}
        for record in records:
            marked = f"{label}{trust_mark([record])}"
            yield record, {"method": marked, **place, "seed": record.info.seed}


def _grid(rows: Sequence[Mapping[str, Any]], *numbers: str) -> dict[str, Any]:
    """Rows for the macro of sortable tables; ``numbers`` are the columns that hold numbers."""
    columns = [(name, name in numbers) for name in rows[0]] if rows else []
    return {"columns": columns, "rows": [list(row.values()) for row in rows]}


# --- selection -----------------------------------------------------------------------------------


def protocol(report: Report) -> Mapping[str, Any] | None:
    """How selections, splits and the evaluator work, and what was chosen in each run, and by which value."""
    splits: dict[str, dict[str, None]] = {}
    rows = []
    for record, place in _places(report):
        metrics, selection = record.metrics, record.info.selection
        if selection == "val":
            note = str(record.data.get("validation_note") or "not recorded")
            splits.setdefault(place["data set"], {})[note] = None
        chosen: Mapping[str, Any] = record.environment.get("chosen") or {}
        criterion = next((one for one in reversed(criteria()) if f"val_{one.key}" in metrics), None)
        candidates = report.table(record, "candidates", ())
        row = {
            "epochs": _epochs(metrics),
            "chosen hyper-parameters": ", ".join(f"{key}={value}" for key, value in chosen.items()),
            "candidates": None if candidates is None or selection == "last" else len(candidates),
            "chosen by": f"validation {criterion.name}" if criterion else None,
            "value": percent(metrics[f"val_{criterion.key}"]) if criterion else None,
        }
        rows.append(place | row)
    used = {row["selection"] for row in rows}
    return {
        **_grid(rows, "seed", "epochs", "candidates", "value"),
        "selections": [one for one in report.outcome.selections if one in used],
        "splits": splits,
        "oracle_mark": ORACLE_MARK,
        "ranking": next(iter(report.outcome.selections), None),
    }


def _epochs(metrics: Mapping[str, Any]) -> str | None:
    """Under oracle selection H and Acc may come from two epochs, each with its own classifier."""
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
    records = report.outcome.records
    figures = [one for one in METRICS.values() if not one.on_request]
    shown = [one for one in figures if any(math.isfinite(one.of(run.metrics)) for run in records)]
    rows = [
        {
            **place,
            "selection": selection_label(place["selection"]),
            **{one.name: one.of(record.metrics) for one in shown},
            "seconds": record.environment.get("seconds"),
            "stages": _stages(record),
            "finished (UTC)": f"{record.finished:%Y-%m-%d %H:%M}",
            "run": Markup("<code>{}</code>").format(record.info.id),
        }
        for record, place in _places(report)
    ]
    numbers = ("seed", "seconds", *(one.name for one in shown))
    return {**_grid(rows, *numbers), "stages": stages_line(records)} if rows else None


def _stages(record: RunRecord) -> Markup | None:
    """``10 trained, 4 reused``, with the stages as its title; None: the run has none."""
    stages = stage_rows(record)
    counts = Counter("reused" if text.startswith("reused") else "trained" for _, text in stages)
    text = ", ".join(f"{number} {what}" for what, number in sorted(counts.items(), reverse=True))
    details = "; ".join(f"{name} {text}" for name, text in stages)
    return Markup('<span title="{}">{}</span>').format(details, text) if stages else None


# --- settings ------------------------------------------------------------------------------------


def settings(report: Report) -> Mapping[str, Any] | None:
    """For each data set the settings that differ, and each line's settings in full."""

    def panel(title: str, shown: list[Series]) -> dict[str, Any]:
        columns = [_settings_of(series.median) for series in shown]
        return {
            "labels": [series.label for series in shown],
            "rows": _differing(columns),
            "uneven": [text for series in shown for text in _uneven_seeds(series)],
            "lines": [_all_settings(report, *pair) for pair in zip(shown, columns, strict=True)],
        }

    return report.panels(panel)


def _settings_of(record: RunRecord) -> dict[str, Any]:
    """Settings by dotted name with components, reading and data; with the values that validation chose."""
    identity, reading = record.info.identity, record.info.reading
    of_kinds = identity.get("settings", {}).items()
    return {
        **{kind: name for kind, name in identity.get("components", {}).items() if kind != "dataset"},
        **({} if reading is None else {"reading": reading}),
        **{f"{kind}.{name}": value for kind, values in of_kinds for name, value in values.items()},
        **{f"data.{kind}": record.data.get(kind) for kind in ("features", "semantics")},
        **(record.environment.get("chosen") or {}),
    }


def _differing(columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Settings that several lines have, with different values; a line without one shows a dash."""
    rows = []
    for name in dict.fromkeys(name for values in columns for name in values):
        texts = [_setting(values[name]) if name in values else None for values in columns]
        counts = Counter(text for text in texts if text is not None).most_common()
        if len(counts) > 1:
            usual = counts[0][0]  # of several, the first
            rows.append({"name": name, "cells": [(text, text not in (None, usual)) for text in texts]})
    return rows


def _uneven_seeds(series: Series) -> list[str]:
    """How the execution differs between the seeds of one line; nothing else does."""
    facts = [record.info.identity.get("execution", {}) for record in series.records]
    found = {name: sorted({str(one.get(name, "absent")) for one in facts}) for name in facts[0]}
    return [
        f"{series.label}: execution: {name} differs between seeds ({', '.join(values)})"
        for name, values in found.items()
        if len(values) > 1
    ]


def _all_settings(report: Report, series: Series, values: Mapping[str, Any]) -> dict[str, Any]:
    record = series.median
    chosen = record.environment.get("chosen") or {}
    explained: list[tuple[str, str]] = []
    try:
        explained = explain_run(record, registry())
    except Exception as error:  # a plugin's explanation must not cost the report
        report.add_fault(str(error))
    return {
        "label": series.label,
        "seed": record.info.seed,
        "preset": record.environment.get("preset"),
        "settings": [(name, _setting(value), name in chosen) for name, value in values.items()],
        "explained": explained,
    }


# --- data and environment ------------------------------------------------------------------------

_ENVIRONMENT = ("git", "python", "platform", "device", "cpu_count", "cuda", "execution", "packages")


def provenance(report: Report) -> Mapping[str, Any] | None:
    """Data sets with the sha256 of every array, then environments: what all runs share, and what differs."""
    records = report.outcome.records
    if not records:
        return None
    data = []
    sha256 = Markup('<code class="hash">{}</code> {}').format
    for same in _grouped(records, lambda one: [one.info.dataset, one.data]):
        facts = same[0].data
        rows = [(name, _text(value)) for name, value in facts.items() if name not in ("arrays", "extra")]
        rows += [(one["array"], sha256(one["sha256"], one.get("file") or "")) for one in facts["arrays"]]
        data.append({"title": report.dataset_title(same[0].info.dataset), "rows": rows, "runs": same})
    groups = _grouped(records, _environment)
    environments = [_environment(same[0]) for same in groups]
    names = list(dict.fromkeys(name for one in environments for name in one))
    differing = [name for name in names if len({one.get(name) for one in environments}) > 1]
    versions: dict[str, dict[str, None]] = {}
    for record in records:
        for name, version in record.info.identity.get("versions", {}).items():
            versions.setdefault(name, {})[str(version)] = None
    return {
        "data": data,
        "shared": [(name, environments[0][name]) for name in names if name not in differing]
        + [(name, "; ".join(found)) for name, found in sorted(versions.items())],
        "differing": differing,
        "environments": [
            ([one.get(name) for name in differing], same)
            for one, same in zip(environments, groups, strict=True)
        ],
        "all": len(records),
    }


def _grouped(records: Sequence[RunRecord], facts: Callable[[RunRecord], Any]) -> list[list[RunRecord]]:
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(json.dumps(facts(record), sort_keys=True, default=str), []).append(record)
    return list(groups.values())


def _environment(record: RunRecord) -> dict[str, str]:
    facts = {name: record.environment.get(name) for name in _ENVIRONMENT}
    if isinstance(git := facts["git"], Mapping):
        facts["git"] = f"{git.get('revision')}{' with local changes' if git.get('changed') else ''}"
    for name, value in facts.items():
        if isinstance(value, Mapping):
            facts[name] = ", ".join(f"{key} {one}" for key, one in value.items())
    return {name: _text(value) for name, value in facts.items() if value is not None}


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _text(value: Any) -> str:
    """A mapping as ``name: value, ...``, other values as a setting."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(one)}" for key, one in value.items())
    return _setting(value)


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
