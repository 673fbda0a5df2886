"""Where a run of HSVA differs from the paper and from the released code, for ``zslbench show``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zslbench_cada_vae.differences import START, draws


def explain(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What differs from the paper, and from shiming-chen/HSVA at add15f3."""
    yield from draws(settings["generator"])
    if settings["generator"].get("coral") and settings["generator"].get("unseen_prior") == "uniform":
        yield "unseen classes", "drawn uniformly; the released code draws from the labels of test images"
    yield START
