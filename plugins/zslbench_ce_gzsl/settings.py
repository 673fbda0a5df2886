"""Settings of CE-GZSL. Defaults are the authors' for CUB with sentence embeddings; presets hold what differs.

"Code" is Hanzy1996/CE-GZSL at 7bf5358 (CE_GZSL.py).
"""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from zslbench import ComponentSettings
from zslbench.plugin import Count, Epochs


class CEGZSLSettings(ComponentSettings):
    epochs: Epochs = 2000
    """Epochs (code: nepoch)."""
    batch_size: Count = 2048
    """Images per step; the instance-level loss compares all pairs of them (code: batch_size)."""
    latent: Count | None = None
    """Size of ε; None: the width of the class semantics, as in the code's command (nz)."""
    hidden: Count = 4096
    """Width of the hidden layers of G and D (code: ngh, ndh)."""
    embedding: Count = 2048
    """Width of h = E(x), which the classifier sees (code: embedSize)."""
    projection: Count = 512
    """Width of z = H(h) (code: outzSize)."""
    comparator: Count = 2048
    """Width of the hidden layer of F (code: nhF)."""
    critic_steps: Count = 5
    """Steps of D, E, H and F per step of G (code: critic_iter)."""
    lr: PositiveFloat = 1e-4
    """Adam's learning rate of all networks (code: lr)."""
    beta1: NonNegativeFloat = 0.5
    """Adam's β₁ (code: beta1)."""
    lr_decay: PositiveFloat = Field(default=0.99, le=1)
    """Factor of the learning rates after every ``lr_decay_every`` epochs (code: lr_dec_rate)."""
    lr_decay_every: Count = 100
    """Epochs between two decays (code: lr_decay_epoch)."""
    penalty_weight: NonNegativeFloat = 10.0
    """λ: weight of the gradient penalty (code: lambda1)."""
    instance_weight: NonNegativeFloat = 0.001
    """Weight of the instance-level loss in G's step; in the critic's it is 1 (code: ins_weight)."""
    class_weight: NonNegativeFloat = 0.001
    """Weight of the class-level loss in G's step; in the critic's it is 1 (code: cls_weight)."""
    instance_temperature: PositiveFloat = 0.1
    """τ_e: temperature of the instance-level loss (code: ins_temp)."""
    class_temperature: PositiveFloat = 0.1
    """τ_s: temperature of the class-level loss (code: cls_temp)."""
    instance_level: bool = True
    """Whether there is an instance-level loss."""
    class_level: bool = True
    """Whether there is a class-level loss."""
    per_class: Count = 100
    """Synthetic features per unseen class (code: syn_num)."""

    @model_validator(mode="after")
    def _embedding_learns(self) -> CEGZSLSettings:
        if not (self.instance_level or self.class_level):
            raise ValueError("instance_level and class_level are off, so the embedding would learn nothing")
        return self
