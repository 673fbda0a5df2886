"""Settings of DAZLE. "Code" is hbdat/cvpr20_DAZLE at e5a0460: core/DAZLE.py and the notebooks."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from zslbench.plugin import ComponentSettings, Count, Epochs


class AttentionSettings(ComponentSettings):
    """What DAZLE shares with the methods that extend it."""

    epochs: Epochs = 20
    """Passes over the training images (code: nepoches, 20; 100 on SUN)."""
    iterations: Count | None = None
    """Batches per epoch; None: all training images once."""
    batch_size: Count = 50
    """Images per step (code: batch_size)."""
    sampler: Literal["independent", "shuffled", "balanced"] = "independent"
    """How batches are drawn (code: independent on CUB, balanced on SUN and AWA2)."""
    lr: PositiveFloat = 1e-4
    """RMSprop's learning rate (code: lr)."""
    weight_decay: NonNegativeFloat = 1e-4
    """Weight decay (code: weight_decay)."""
    momentum: NonNegativeFloat = 0.9
    """RMSprop's momentum (code: momentum, 0 on AWA2)."""
    normalize_vectors: bool = False
    """Whether the attribute vectors v, which start at unit length and are trained, are scaled back to it
    (code: normalize_V, on AWA2)."""
    keep_negatives: bool = True
    """Whether negative class semantics are kept; if not, they become 0 (code: on AWA2), in the
    classifier too."""
    lambda_cal: NonNegativeFloat = 0.1
    """Weight λ of the self-calibration loss (code: lambda_)."""
    offset: float = 2.0
    """Margin of unseen classes in the self-calibration loss (code: is_bias, +1 for unseen and −1 for seen
    classes), and at test time unless the classifier has an offset of its own."""


class DAZLESettings(AttentionSettings):
    attribute_attention: bool = True
    """Whether attribute scores are weighted by attention over attributes (code: not uniform_att_2, off on
    SUN)."""
