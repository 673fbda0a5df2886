"""What ``zslbench show`` says of a run's decision between seen and unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def explain(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """How the decision was made, and where that is not the published procedure."""
    of = settings.get("classifier", {})
    mode, few = of.get("decision.mode"), of.get("decision.sub_sample")
    if mode == "sub-sampled":
        yield (
            "decision",
            f"sub-sampled: each image's classifier saw {few} real features per seen class and {few} "
            "counterfactuals per unseen class; not the published procedure",
        )
    elif mode == "shared":
        yield (
            "decision",
            "one classifier for all images, without counterfactuals; not the published procedure",
        )
    elif mode == "exact":
        yield "decision", "exact: a classifier fitted for every test image, as published"
