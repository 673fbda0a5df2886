"""What the runs were made with: settings, data by their hashes, machines and versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zslbench.report import explain_run
from zslbench.store import RunRecord
from zslbench_report.html.report import Report, Series

# --- settings ------------------------------------------------------------------------------------

_ABSENT = object()


def settings(report: Report) -> Mapping[str, Any] | None:
    """For each data set the settings that differ, and each line's settings in full."""
    panels = []
    for dataset in report.outcome.datasets:
        columns = [(series, _settings_of(series.median)) for series in report.series(dataset)]
        if columns:
            panels.append(
                {
                    "title": report.dataset_title(dataset),
                    "labels": [series.label for series, _ in columns],
                    "rows": _differing([values for _, values in columns]),
                    "uneven": [text for series, _ in columns for text in _uneven_seeds(series)],
                    "lines": [_all_settings(report, series, values) for series, values in columns],
                }
            )
    return {"panels": panels} if panels else None


def _settings_of(record: RunRecord) -> dict[str, Any]:
    """Settings by dotted name with components, reading and data; with the values that validation chose."""
    identity = record.info.identity
    flat: dict[str, Any] = {
        kind: name for kind, name in identity.get("components", {}).items() if kind != "dataset"
    }
    if record.info.reading is not None:
        flat["reading"] = record.info.reading
    flat |= _flat_settings(identity)
    for kind in ("features", "semantics"):
        flat[f"data.{kind}"] = record.data.get(kind)
    return flat | dict(record.environment.get("chosen") or {})


def _flat_settings(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{kind}.{name}": value
        for kind, values in identity.get("settings", {}).items()
        for name, value in values.items()
    }


def _differing(columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Settings that several lines have, with different values; a line without one shows a dash."""
    rows = []
    for name in dict.fromkeys(name for values in columns for name in values):
        values = [column.get(name, _ABSENT) for column in columns]
        present = [_canonical(value) for value in values if value is not _ABSENT]
        if len(present) > 1 and len(set(present)) > 1:
            usual = max(set(present), key=lambda one: (present.count(one), -present.index(one)))
            cells = [
                {"text": None, "unusual": False}
                if value is _ABSENT
                else {"text": _setting(value), "unusual": _canonical(value) != usual}
                for value in values
            ]
            rows.append({"name": name, "values": cells})
    return rows


def _setting(value: Any) -> str:
    """A setting as text, or as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _uneven_seeds(series: Series) -> list[str]:
    """What differs between the seeds of one line although nothing should, except chosen values."""
    facts = []
    for record in series.records:
        identity = record.info.identity
        facts.append(_flat_settings(identity))
        for part in ("versions", "execution"):
            facts[-1] |= {f"{part}: {name}": value for name, value in identity.get(part, {}).items()}
    names = [name for name in facts[0] if any(other.get(name) != facts[0][name] for other in facts)]
    return [
        f"{series.label}: {name} differs between seeds "
        f"({', '.join(sorted({str(other.get(name, 'absent')) for other in facts}))})"
        for name in names
    ]


def _all_settings(report: Report, series: Series, values: Mapping[str, Any]) -> dict[str, Any]:
    record = series.median
    chosen = record.environment.get("chosen") or {}
    rows: list[tuple[str, str]] = []
    if report.plugins is not None:
        try:
            rows = explain_run(record, report.plugins)
        except Exception as error:  # a plugin's explanation must not cost the report
            report.add_fault(str(error))
    return {
        "label": series.label,
        "seed": record.info.seed,
        "preset": record.environment.get("preset"),
        "values": [(name, _setting(value), name in chosen) for name, value in values.items()],
        "explained": rows,
    }


# --- data and environment ------------------------------------------------------------------------

_ENVIRONMENT = (
    "git", "python", "platform", "device", "cpu_count", "cuda", "execution",
    "packages",
)  # fmt: skip


def provenance(report: Report) -> Mapping[str, Any] | None:
    """Data sets with the sha256 of every array, then environments: what all runs share, and what differs."""
    records = report.outcome.records
    if not records:
        return None
    data = []
    for same in _grouped(records, lambda one: [one.info.dataset, one.data]):
        facts = same[0].data
        arrays = [(str(a["array"]), str(a.get("file") or ""), str(a["sha256"])) for a in facts["arrays"]]
        data.append(
            {
                "title": report.dataset_title(same[0].info.dataset),
                "rows": [
                    (str(name), _text(value))
                    for name, value in facts.items()
                    if name not in ("arrays", "extra")
                ],
                "arrays": arrays,
                "runs": same,
            }
        )
    groups = _grouped(records, lambda one: [one.environment.get(name) for name in _ENVIRONMENT])
    environments = [_environment(same[0]) for same in groups]
    names = list(dict.fromkeys(name for one in environments for name in one))
    differing = [name for name in names if len({one.get(name) for one in environments}) > 1]
    return {
        "data": data,
        "same": [(name, environments[0][name]) for name in names if name not in differing],
        "plugins": _code_versions(records),
        "differing": differing,
        "environments": [
            {"values": [one.get(name) for name in differing], "runs": same}
            for one, same in zip(environments, groups, strict=True)
        ],
        "all": len(records),
    }


def _grouped(records: Sequence[RunRecord], key: Callable[[RunRecord], Any]) -> list[list[RunRecord]]:
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(_canonical(key(record)), []).append(record)
    return list(groups.values())


def _environment(record: RunRecord) -> dict[str, str]:
    rows = {}
    for name in _ENVIRONMENT:
        value = record.environment.get(name)
        if name == "git" and isinstance(value, Mapping):
            value = f"{value.get('revision')}{' with local changes' if value.get('changed') else ''}"
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {one}" for key, one in value.items())
        if value is not None:
            rows[name] = _text(value)
    return rows


def _code_versions(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """The core and the plugins of the runs' components, each with its versions and source digests."""
    found: dict[str, list[str]] = {}
    for record in records:
        for name, version in record.info.identity.get("versions", {}).items():
            if version not in found.setdefault(name, []):
                found[name].append(str(version))
    return [(name, "; ".join(versions)) for name, versions in sorted(found.items())]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _text(value: Any) -> str:
    """Text as it is, a mapping as ``name: value, ...``, other values as JSON."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(one)}" for key, one in value.items())
    return _setting(value)
