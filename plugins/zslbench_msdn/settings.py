"""Settings of MSDN. "Code" is shiming-chen/MSDN at ec3598b: core/MSDN.py and MSDN_{cub,sun,awa2}.py."""

from __future__ import annotations

from pydantic import NonNegativeFloat

from zslbench.plugin import Epochs
from zslbench_dazle.settings import AttentionSettings


class MSDNSettings(AttentionSettings):
    """Those of DAZLE without attention over attributes, and the distillation."""

    epochs: Epochs = 30
    """Passes over the training images (code: nepoches, 30 on CUB, 70 on SUN, 50 on AWA2)."""
    lambda_distill: NonNegativeFloat = 1e-3
    """Weight λ_distill of the distillation between the two sub-nets (code: 1e-3 on CUB, 1e-2 on SUN, 1e-7 on
    AWA2)."""
