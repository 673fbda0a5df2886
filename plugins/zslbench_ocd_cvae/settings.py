"""Settings of OCD-CVAE. All values are ours: there is no code, and the paper's are not known to us."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from zslbench.plugin import ComponentSettings, Count, Epochs


class OCDCVAESettings(ComponentSettings):
    epochs: Epochs = 100
    """Passes over the training images."""
    batch_size: Count = 64
    """Images per step, and classes drawn for over-complete samples."""
    hidden: Count = 1024
    """Width of the hidden layers of encoder, decoder and regressor."""
    latent: Count | None = None
    """Size of z; None: the number of attributes."""
    lr: PositiveFloat = 1e-4
    """Adam's learning rate, for all networks."""
    lambda_r: NonNegativeFloat = 1.0
    """λ_R: weight of the regressor's loss."""
    lambda_t: NonNegativeFloat = 0.1
    """λ_T: weight of the online batch triplet loss."""
    lambda_c: NonNegativeFloat = 0.1
    """λ_C: weight of the centre loss."""
    margin: NonNegativeFloat = 0.1
    """m: the margin of the triplet loss, in squared distance of attributes."""
    spread: PositiveFloat = 1.5
    """s: standard deviation of z for over-complete samples, 1 for others: their wider covariance."""
    max_shift: float = Field(0.5, ge=0, le=1)
    """τ: the largest share of the way to a sample of another draw; ½ is the border between the two."""
    classes: Literal["all", "seen"] = "all"
    """The classes of over-complete samples."""
    per_class: Count = 300
    """Synthetic features per unseen class."""
