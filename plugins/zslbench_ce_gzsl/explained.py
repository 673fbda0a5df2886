"""What ``zslbench show`` says of a run beside its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def explain(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Which published figures a run can be compared with, whose numbers the presets have, and what differs
    from Hanzy1996/CE-GZSL at 7bf5358."""
    name = settings.get("dataset", {}).get("name")
    if name == "cub":
        yield "CUB's published row", "has sentence embeddings: --semantics sentence"
    if name in ("sun", "awa2"):
        yield f"preset {name}", "a third party's numbers: the authors published their command for CUB alone"
    if settings["generator"].get("class_level"):
        yield (
            "gradient of the comparator F",
            "of each step alone; the released code clears it only after an epoch, so it sums over the steps",
        )
