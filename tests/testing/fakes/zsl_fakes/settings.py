"""Settings that break one rule each."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from zslbench import ComponentSettings
from zslbench.plugin import Epochs


class SoundSettings(ComponentSettings):
    size: int = 3
    """A size."""
    sizes: tuple[int, ...] = (1, 2)
    """Some sizes."""


class TrainedSettings(SoundSettings):
    """Those of components that train."""

    epochs: Epochs = 50
    """The length of the paced program."""


class NoDefault(ComponentSettings):
    """settings_documented: 'size' has no default"""

    size: int
    """A size."""


class NoDescription(ComponentSettings):
    """settings_documented: 'size' has no description"""

    size: int = 3


class Thawed(ComponentSettings):
    """settings_documented: not frozen"""

    model_config = ConfigDict(frozen=False)


class Lax(ComponentSettings):
    """settings_documented: accepts unknown keys"""

    model_config = ConfigDict(extra="allow")


class Changing(ComponentSettings):
    """settings_round_trip: 'sizes' is (1, 2), but [1, 2] from JSON"""

    sizes: Any = (1, 2)
    """JSON has no tuples."""


class Stranger(BaseModel):
    """settings_documented: is no zslbench.ComponentSettings"""
