"""Settings of RGEN.

No code was published, and the paper's text was not available: values for the parts and the optimiser are
those of AREN, by the same authors; the others are ours.
"""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveFloat

from zslbench.plugin import Count
from zslbench_aren.settings import PartSettings
from zslbench_extractors.settings import BackboneSettings


class RGENSettings(PartSettings):
    hidden: Count = 256
    """Width of both graph convolutions (ours)."""
    transfer_weight: NonNegativeFloat = 0.1
    """Weight of the transfer loss (ours)."""
    balance_weight: NonNegativeFloat = 0.1
    """Weight of the balance loss (ours)."""
    ridge: PositiveFloat = 1.0
    """Ridge penalty of the regression that expresses seen classes by unseen ones (TCN's code: 1)."""
    min_similarity: NonNegativeFloat = 1e-3
    """Smaller coefficients of that regression become 0 (TCN's code: 1e-3)."""


class FineTunedRGENSettings(RGENSettings):
    """Settings of RGEN and of its backbone."""

    backbone: BackboneSettings = BackboneSettings()
    """What trains on pictures, and how."""
