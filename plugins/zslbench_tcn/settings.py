"""Settings of TCN. Defaults are those of the authors' code.

"Code" is the first commit of sebastko/TransferableContrastiveNetPlusGAN, 05fbce1, the authors' own release
(learning_to_contrast.py, models.py, dataset_loader.py).
"""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveFloat

from zslbench import ComponentSettings
from zslbench.plugin import Count, Epochs


class TCNSettings(ComponentSettings):
    epochs: Epochs = 50
    """Epochs of ``iterations`` steps each (code: 50,000 steps, a test every 1,000)."""
    iterations: Count = 1000
    """Steps per epoch (code: evl_interval)."""
    batch_size: Count = 32
    """Images per step (code: batch_size)."""
    lr: PositiveFloat = 1e-5
    """Adam's learning rate, with β = (0.5, 0.9) (code: lr)."""
    alpha: NonNegativeFloat = 0.01
    """α: weight of the loss that transfers to unseen classes (code: REG_W_LAMBDA)."""
    ridge: PositiveFloat = 1.0
    """β: ridge penalty of the regression that expresses a seen class by unseen ones (code: alpha of
    Ridge)."""
    min_similarity: NonNegativeFloat = 1e-3
    """Smaller similarities become 0 (code: similar<1e-3)."""
    hidden: Count = 1024
    """Width of the hidden layers of both networks (code: h_dim)."""
