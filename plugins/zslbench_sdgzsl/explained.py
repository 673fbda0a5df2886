"""What ``zslbench show`` says of a run beside its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def explain(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Which published figures a run can be compared with, and what differs from the released code."""
    name = settings.get("dataset", {}).get("name")
    if name == "cub":
        yield (
            "CUB's published row",
            "has sentence embeddings: --semantics sentence --preset cub-sentence; the other presets are for "
            "attributes",
        )
    if name in ("cub", "sun", "flo"):
        yield "published CZSL", f"of a separately trained model: preset {name}-czsl"
    yield "classifier initialisation", "N(0, 0.02²); in the released code Xavier's normal distribution"
