"""Settings of the simulated data sets, and the check of what is requested of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from zslbench import ComponentSettings
from zslbench.errors import UnknownName, did_you_mean
from zslbench.plugin import DataRequest

FEATURES = "simulated"
"""The name of simulated features and regions."""


class ToySettings(ComponentSettings):
    """Size and difficulty of the simulated data set."""

    classes: int = Field(20, ge=4, le=144)
    """Number of classes."""
    unseen: int = Field(5, ge=1)
    """Number of classes without training images; at least three classes must be seen."""
    images_per_class: int = Field(40, ge=5, le=1000)
    """Images of every class; of each seen class one fifth is test_seen."""
    attributes: int = Field(20, ge=10, le=24)
    """Number of attributes."""
    grid: int = Field(3, ge=1, le=14)
    """Regions along each side of an image: an image has grid² regions."""
    channels: int = Field(64, ge=8, le=2048)
    """Length of a region's feature vector."""
    words: int = Field(32, ge=4, le=300)
    """Length of an attribute's word vector."""
    visibility: float = Field(0.75, gt=0, le=1)
    """Probability that an attribute of a class is visible in an image."""
    clutter: float = Field(0.8, ge=0)
    """Strength of the background, in units of an attribute's strength."""
    noise: float = Field(0.8, ge=0)
    """Standard deviation of the noise of every channel, in units of an attribute's strength."""
    seed: int = Field(0, ge=0)
    """Selects one of the possible data sets; independent of the seeds of a run."""

    @model_validator(mode="after")
    def _enough_seen(self) -> ToySettings:
        if self.classes - self.unseen < 3:
            raise ValueError("at least three classes must be seen: lower 'unseen' or raise 'classes'")
        return self


class SimulatedSettings(ComponentSettings):
    """Size and difficulty of the simulated data sets of true size."""

    scale: float = Field(1.0, gt=0, le=1)
    """Fraction of every class's images, at least enough for each part of the split; 1: the true number."""
    grid: int = Field(14, ge=1, le=64)
    """Regions along each side of an image: an image has grid² regions."""
    channels: int = Field(2048, ge=8, le=8192)
    """Length of a region's feature vector."""
    dtype: Literal["float16", "float32", "uint8"] = "float16"
    """How regions are stored."""
    visibility: float = Field(0.75, gt=0, le=1)
    """Probability that an attribute that a class has in full is visible in an image."""
    clutter: float = Field(1.0, ge=0)
    """Strength of nuisance patches, in units of an attribute's strength."""
    noise: float = Field(1.0, ge=0)
    """Standard deviation of the noise of every channel, in units of an attribute's strength."""
    seed: int = Field(0, ge=0)
    """Selects one of the possible data sets; independent of the seeds of a run."""


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
