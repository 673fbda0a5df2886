"""What ``zslbench show`` says of a run beside its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def explain(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Which published figures a run can be compared with, and whose numbers the presets have."""
    name = settings.get("dataset", {}).get("name")
    if name == "cub":
        yield "CUB's published row", "has sentence embeddings: --semantics sentence"
    if name in ("sun", "awa2"):
        yield f"preset {name}", "a third party's numbers: the authors published their command for CUB alone"
