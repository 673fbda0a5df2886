"""Settings of the simulated data sets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from zslbench import ComponentSettings


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
