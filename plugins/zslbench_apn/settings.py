"""Settings of APN. "Code" is wenjiaXu/APN-ZSL (model/ and script/): its options are the names in brackets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from zslbench.plugin import ComponentSettings, Count, Epochs
from zslbench_extractors.settings import BackboneSettings


class APNSettings(ComponentSettings):
    reading: Literal["authors", "paper"] = "authors"
    """Whether the losses are computed as in the code or as printed; :mod:`zslbench_apn.apn` has both."""
    pool: Literal["max", "average"] = "max"
    """How BaseMod pools over the regions (code: average with --avg_pool; printed: average)."""
    local_class_weight: NonNegativeFloat = 1.0
    """Weight of ProtoMod's own cross-entropy; only in the code (l_xe)."""
    base_regression_weight: NonNegativeFloat = 1e-2
    """Weight of L_Reg for BaseMod; only in the code (attri)."""
    regression_weight: NonNegativeFloat = 0.1
    """λ₁ of eq. (5): weight of L_Reg, the mean over attributes (l_attri)."""
    base_decorrelation_weight: NonNegativeFloat = 5e-5
    """Weight of L_AD for V; only in the code (regular)."""
    decorrelation_weight: NonNegativeFloat = 4e-2
    """λ₂ of eq. (5): weight of L_AD (l_regular)."""
    compactness_weight: NonNegativeFloat = 6.4e-8
    """λ₃ of eq. (5): weight of L_CPT, the mean over images (cpt times the batch size: the code adds up)."""
    groups: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = ()
    """Groups S_l of L_AD, each given by prefixes of its attributes' names; (): all attributes form one group.
    The code reads its groups from files that are not in its repository."""
    epochs: Epochs = 30
    """Passes over the training images (nepoch)."""
    batch_size: Count = 64
    """Images per step (batch_size)."""
    lr: PositiveFloat = 1e-4
    """Adam's learning rate (pretrain_lr: the rate at which the code trains the prototypes alone)."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.8
    """The learning rate is multiplied by it every ten epochs (main.py, classifier_lr)."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Adam's first decay rate (beta1); Adam is restarted every epoch, as in the code."""


class FineTunedAPNSettings(APNSettings):
    """Settings of APN and of its backbone."""

    backbone: BackboneSettings = BackboneSettings()
    """What trains on pictures, and how."""
