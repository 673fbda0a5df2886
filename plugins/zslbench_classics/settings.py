"""Settings of the classical methods.

"Code" is mvp18/Popular-ZSL-Algorithms at 2377647, which follows the protocol of Xian et al. (TPAMI 2019).
"""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from zslbench import ComponentSettings
from zslbench.plugin import Count, Epochs


class RankingSettings(ComponentSettings):
    epochs: Epochs = 100
    """Passes over the training images (code: epochs)."""
    batch_size: Count = 1
    """Images per step, whose updates are summed; 1 in the papers and the code."""
    lr: PositiveFloat = 0.01
    """Learning rate η of an image's update (code: lr)."""
    margin: NonNegativeFloat = 1.0
    """Margin m by which an image's own class should lead (code: margin)."""


class DeViSESettings(RankingSettings):
    order: Literal["random", "ids"] = "random"
    """The order in which classes are tried: random for each image (the paper), or that of their ids
    (code)."""


class SJESettings(RankingSettings):
    standardize: bool = False
    """Whether xᵀW is scaled to mean 0 and standard deviation 1 over its entries to find the most violating
    class (code: find_compatible_y). The update uses xᵀW itself, so the logged loss may be negative."""


class ALESettings(RankingSettings):
    """The margin is 1 in the paper and the code."""


class SAESettings(ComponentSettings):
    lam: PositiveFloat = 1.0
    """λ: weight of the encoder's term (code: ld)."""
    compare: Literal["semantics", "features"] = "semantics"
    """Where images and classes are compared: Wx with a(c), or x with Wᵀa(c) (code: F2S, S2F)."""
    unit_rows: bool = True
    """Whether the rows of W are scaled to unit length before use (code: normalizeFeature(W))."""


class DAPSettings(ComponentSettings):
    c: PositiveFloat = 1.0
    """C of the logistic regressions, as in LIBLINEAR: the weight of the images' losses relative to ½‖w‖²."""
    iterations: Count = 500
    """Maximum number of L-BFGS iterations."""
