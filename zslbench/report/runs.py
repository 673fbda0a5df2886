"""One run told in full."""

from __future__ import annotations

import json
from typing import Any

from zslbench.report.results import percent
from zslbench.store.record import RunRecord


def facts(record: RunRecord) -> list[dict[str, Any]]:
    """Rows of ``about``, ``name`` and ``value``: figures first, then how they came about."""
    info = record.info
    chosen = record.environment.get("chosen") or {}
    sections: dict[str, dict[str, Any]] = {
        "run": {
            "id": info.id,
            "method": info.method,
            "variant": info.variant,
            "dataset": info.dataset,
            "seed": info.seed,
            "finished": record.finished.isoformat(timespec="seconds"),
            "folder": str(record.folder),
        },
        "figures": {
            name: f"{percent(value):.2f} %" if _is_share(name, value) else value
            for name, value in record.metrics.items()
        },
        "selection": dict(info.identity["selection"]),
        "components": dict(info.identity["components"]),
        "settings": {
            f"{kind}.{name}": f"{chosen[f'{kind}.{name}']} (chosen)" if f"{kind}.{name}" in chosen else value
            for kind, settings in info.identity["settings"].items()
            for name, value in settings.items()
        }
        | {"preset": record.environment.get("preset")},
        "data": {key: value for key, value in record.data.items() if key != "arrays"}
        | {
            f"sha256 of {one['array']}": f"{one['sha256']} {one['file']}".strip()
            for one in record.data["arrays"]
        },
        "environment": {
            key: value for key, value in record.environment.items() if key not in ("chosen", "preset")
        },
        "notes": {str(number): text for number, text in enumerate(record.notes, 1)},
    }
    return [
        {"about": about, "name": name, "value": _shown(value)}
        for about, entries in sections.items()
        for name, value in entries.items()
    ]


def _shown(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _is_share(name: str, value: object) -> bool:
    return isinstance(value, float) and name != "offset"
