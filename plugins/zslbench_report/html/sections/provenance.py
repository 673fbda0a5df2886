"""Where the numbers come from: data by their hashes, machines and versions; what is the same is told once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from zslbench.store.record import RunRecord
from zslbench_report.html.subject import Subject

ID = "provenance"
TITLE = "Data and environment"

_ENVIRONMENT = (
    "zslbench", "git", "python", "platform", "device", "cpu_count", "cuda", "execution",
    "packages",
)  # fmt: skip


def build(subject: Subject) -> Mapping[str, Any] | None:
    """Data sets with the sha256 of every array, then what runs were computed with and where they differ."""
    records = subject.outcome.records
    if not records:
        return None
    data = []
    for same in _alike(records, _data):
        facts = same[0].data
        title = subject.dataset_title(same[0].info.dataset)
        rows = [(str(name), _text(value)) for name, value in facts.items() if name not in ("arrays", "extra")]
        arrays = [
            (str(one["array"]), str(one.get("file") or ""), str(one["sha256"])) for one in facts["arrays"]
        ]
        data.append({"title": title, "rows": rows, "arrays": arrays, "runs": same})
    groups = _alike(records, _environment_key)
    machines = [dict(_environment(same[0])) for same in groups]
    names = list(dict.fromkeys(name for one in machines for name in one))
    differing = [name for name in names if len({one.get(name) for one in machines}) > 1]
    return {
        "data": data,
        "same": [(name, machines[0][name]) for name in names if name not in differing],
        "plugins": _plugins(records),
        "differing": differing,
        "environments": [
            {"values": [one.get(name) for name in differing], "runs": same}
            for one, same in zip(machines, groups, strict=True)
        ],
        "all": len(records),
    }


def _plugins(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """Plugins of the runs' components, each with its version and the digest of its source, or several."""
    found: dict[str, list[str]] = {}
    for record in records:
        for name, version in record.info.identity.get("versions", {}).items():
            if name.startswith("plugin ") and version not in found.setdefault(name, []):
                found[name].append(str(version))
    return [(name, "; ".join(versions)) for name, versions in sorted(found.items())]


def _alike(records: Sequence[RunRecord], key: Any) -> list[list[RunRecord]]:
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return list(groups.values())


def _data(record: RunRecord) -> str:
    return f"{record.info.dataset} {json.dumps(record.data, sort_keys=True, default=str)}"


def _environment_key(record: RunRecord) -> str:
    found = {name: record.environment.get(name) for name in _ENVIRONMENT}
    return json.dumps(found, sort_keys=True, default=str)


def _environment(record: RunRecord) -> list[tuple[str, str]]:
    rows = []
    for name in _ENVIRONMENT:
        value = record.environment.get(name)
        if name == "git" and isinstance(value, Mapping):
            value = f"{value.get('revision')}{' with local changes' if value.get('changed') else ''}"
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {one}" for key, one in value.items())
        if value is not None:
            rows.append((name, _text(value)))
    return rows


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(one)}" for key, one in value.items())
    return value if isinstance(value, str) else json.dumps(value, default=str)
