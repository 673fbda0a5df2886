"""Settings of AREN.

"Code" is main.py of gsx0/Attentive-Region-Embedding-Network-for-Zero-shot-Learning at 99c3163, whose defaults
are the authors' for CUB; they published none for other data sets.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from zslbench.plugin import ComponentSettings, Count, Epochs
from zslbench_extractors.settings import BackboneSettings, Share


class PartSettings(ComponentSettings):
    """The parts that AREN and RGEN share."""

    parts: Count = 10
    """K: number of part masks (code: parts)."""
    threshold: Share = 0.8
    """A part whose peak is below this fraction of the image's highest peak is dropped (code: threshold)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Dropout rate of the attribute scores in training (code: dropout)."""
    epochs: Epochs = 100
    """Passes over the training images (code: final_epoch)."""
    batch_size: Count = 64
    """Images per step (code: grab_data)."""
    lr: PositiveFloat = 1e-3
    """SGD's learning rate (code: lr)."""
    momentum: NonNegativeFloat = 0.9
    """SGD's momentum (code: momentum)."""
    weight_decay: NonNegativeFloat = 5e-4
    """Weight decay (code: weight_decay)."""
    decay_every: Count = 30
    """Epochs after which the learning rate is divided by 10 (code: step)."""


class ARENSettings(PartSettings):
    compressed: Count = 20
    """Number of maps to which the channels are compressed for second-order pooling (code: cpp_map)."""
    second_order_weight: NonNegativeFloat = 1.0
    """Weight of the second-order stream in the loss and in the scores, where the parts have 1 (code:
    ls_coef_bi and coef_bi, 0 by default: the released model uses the parts alone)."""


class FineTunedARENSettings(ARENSettings):
    """Settings of AREN and of its backbone."""

    backbone: BackboneSettings = BackboneSettings()
    """What trains on pictures, and how."""
