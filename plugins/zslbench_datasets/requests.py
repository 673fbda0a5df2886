"""What may be requested of simulated data sets, and what runs record of them."""

from __future__ import annotations

from typing import Any

from zslbench import ComponentSettings
from zslbench.errors import UnknownName, did_you_mean
from zslbench.plugin import DataRequest

FEATURES = "simulated"
"""The name of simulated features and regions."""


def check_request(request: DataRequest, regions: tuple[str, ...]) -> str:
    """The requested class semantics.

    Args:
        regions: names of regions that may be requested.

    Raises:
        UnknownName: the simulated data set does not have what is requested.
    """
    semantics = request.semantics or "att"
    for kind, requested, known in (
        ("features", request.features, (FEATURES,)),
        ("regions", request.regions, regions),
        ("class semantics", semantics, ("att", "original_att")),
    ):
        if requested is not None and requested not in known:
            text = f"{request.name.lower()} has no {kind} '{requested}'"
            raise UnknownName(f"{text}, {did_you_mean(requested, known)}")
    return semantics


def recorded(settings: ComponentSettings) -> dict[str, Any]:
    """What a run records of a simulated data set."""
    return {"semantics_kind": "attributes", "simulated": True, "settings": settings.model_dump(mode="json")}
