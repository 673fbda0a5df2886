"""Settings of FREE. Defaults are the authors' for CUB; presets hold what differs per data set.

"Code" is shiming-chen/FREE at 35769e5 (config.py, train_free.py, image-scripts/run_*.py).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from zslbench.plugin import Count, Epochs
from zslbench_tf_vaegan.settings import FVAEGANSettings


class FREESettings(FVAEGANSettings):
    epochs: Epochs = 501
    """Epochs, each of ``passes`` passes over the training images (code: nepoch)."""
    passes: Count = 2
    """Passes over the data per epoch (code: loop)."""
    critic_steps: Count = 1
    """Updates of FR and critic per generator update (code: critic_iter)."""
    refiner_lr: PositiveFloat = 1e-4
    """Adam's learning rate of FR; the centres have ``lr`` (code: dec_lr)."""
    samc_weight: NonNegativeFloat = 0.5
    """λ_SAMC: weight of L_SAMC (code: center_weight)."""
    margin: NonNegativeFloat = 200.0
    """Δ: margin of L_SAMC (code: center_margin)."""
    gamma: float = Field(0.8, ge=0, le=1)
    """γ: weight of the distance to the own centre, against 1 − γ of that to another (code:
    incenter_weight)."""
    negative: Literal["random", "nearest"] = "random"
    """The other centre: of a random seen class (CUB, FLO, SUN), or the nearest to μ (AWA; code: class
    TripCenterLoss_margin or TripCenterLoss_min_margin)."""
    own_class: bool = False
    """Whether the random class may be the image's own, whose term is then Δ + (2γ − 1)‖μ − c_y‖² (code:
    Other_label, whose offset can be 0)."""
    semantic_weight: NonNegativeFloat = 0.001
    """λ_R-SC: weight of L_R-SC (code: recons_weight)."""
    reconstruction_norm: Literal["l1", "weighted"] = "l1"
    """The norm of L_R-SC: L1, as printed, or the code's, weighted by d²/‖d‖₂ (code: WeightedL1)."""
    freeze_refiner: bool = False
    """Whether generator steps keep FR frozen; its own steps still train it (code: freeze_dec)."""
    code: Literal["mean", "draw"] = "mean"
    """â as the classifier sees it: sigmoid(μ), or a draw sigmoid(μ + σ ε), of test images too (code: FR
    always draws, so that a model's figures differ from one evaluation to the next)."""
    per_class: Count = 700
    """Synthetic features per unseen class (code: syn_num)."""
