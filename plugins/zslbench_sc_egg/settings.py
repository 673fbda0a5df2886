"""Settings of SC-EGG. Defaults are the reading ``paper``; row numbers are those of :mod:`.differences`.

"Section" is the paper's (Hong et al., IJCAI 2022), "code" is HHHZM/SC-EGG at c6a188f (train_SUN.py and
config_sun.yaml), "ours" is what the paper leaves open.
"""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from zslbench.plugin import ComponentSettings, Count, Epochs, SettingsGroup
from zslbench_tf_vaegan.settings import TFVAEGANSettings


class StageSettings(SettingsGroup):
    """Settings of either stage of SCEN."""

    epochs: Count = 20
    """Epochs (row 10; section 4: 20)."""
    iterations: Count | None = None
    """Batches per epoch; None: all training images once (row 10: the code runs 2000 and 4000 batches in
    all)."""
    batch_size: Count = 64
    """Images per step (row 1; section 4: 64)."""
    sampler: Literal["shuffled", "balanced"] = "shuffled"
    """How batches are drawn (row 17; the code balances them over classes)."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """Row 1; section 4: Adam."""
    lr: PositiveFloat = 1e-4
    """Learning rate (row 1; section 4: 1e-4)."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay (row 1)."""
    momentum: NonNegativeFloat = 0.0
    """RMSprop's momentum (row 1)."""


class Stage1Settings(StageSettings):
    """Eqs. (1)-(7) and (16)."""

    lambda_l: NonNegativeFloat = 1.0
    """Weight of L_LCE in eq. (16): 1, or 0 for the ablation (row 46)."""
    lambda_g: NonNegativeFloat = 1.0
    """λ_g of eq. (16): weight of L_GCE (row 46; section 4: 1.0)."""
    classes: Literal["all", "seen"] = "all"
    """Classes that the cross-entropies of eqs. (6) and (7) run over (row 3; printed: all)."""
    normalize_vectors: bool = True
    """Whether the attribute vectors v are first scaled to unit length (row 13, left open by the paper):
    sums of word vectors have norms of several units, and attention would saturate within a few steps."""
    alpha_std: NonNegativeFloat = 0.0
    """Standard deviation of W_α before training; 0: attention starts uniform (row 15, left open by the
    paper)."""
    beta_std: PositiveFloat | None = None
    """Standard deviation of W_β before training (row 15, left open by the paper); None (ours): e_l starts
    with unit variance on the training images."""


class Stage2Settings(StageSettings):
    """Eqs. (8) and (17)."""

    scr: bool = True
    """Whether eq. (8) is used (row 7). If not, ``paper`` has no stage 2; ``authors`` learns labels
    (row 6)."""
    scr_without_lce: bool = True
    """Whether eq. (8) is used even if ``lambda_l`` is 0 and p_l untrained (Table 2: literally yes)."""
    regressor_hidden: Count = 1024
    """Hidden width of the classifier that stage 2 trains in the reading ``authors`` (row 6)."""


class SCENSettings(ComponentSettings):
    """LEN, GEN and their two stages, eqs. (1)-(8), (16) and (17)."""

    reading: Literal["paper", "authors"] = "paper"
    """Whether SCEN is computed as printed or as in the code: what stage 2 trains and what guides stage 3
    (rows 5, 6, 8 and 9), L_SCR (row 7), unit lengths (rows 11 and 12), whether v is trained (row 13), how
    layers are initialised (row 15). ``composition`` and ``scale`` are set separately."""
    composition: Literal["mlp", "mean"] = "mlp"
    """How the local features become g after stage 1: by the MLP SC, or as their mean over the attributes
    (row 4; printed: the MLP)."""
    scale: Literal["dimensions", "shared"] = "dimensions"
    """How g is scaled to [0, 1]: by the minimum and maximum of each dimension, or by those of all dimensions
    together (row 5, left open by the paper)."""
    stage1: Stage1Settings = Stage1Settings()
    """LEN and GEN learn classes, eq. (16)."""
    stage2: Stage2Settings = Stage2Settings()
    """GEN learns LEN's scores, eq. (17)."""


class EGGNSettings(TFVAEGANSettings):
    """TF-VAEGAN and the embedding guided synthesis loss, eqs. (9)-(15) and (18)."""

    reading: Literal["paper", "authors"] = "paper"
    """Whether EGGN is computed as printed or as in the code: ĝ_s of eq. (14) (rows 19 and 40), and the
    generator's batch (row 24)."""
    epochs: Epochs = 200
    """Epochs, each of ``feedback_loops`` passes over the training images (row 10; section 4: at most 200)."""
    adaptive_penalty: bool = False
    """Whether λ of eq. (11) adapts as in the released codes (row 27; printed: a constant)."""
    penalty_bounds: tuple[PositiveFloat, PositiveFloat] | None = (1e-8, 1e8)
    """Bounds of λ under ``adaptive_penalty`` (ours: the released codes have none)."""
    reconstruction_norm: Literal["l1", "weighted"] = "l1"
    """The norm of eq. (12) (row 36): L1, as printed, or the code's, weighted by d²/‖d‖₂."""
    lambda_s: NonNegativeFloat = 0.1
    """λ_s of eq. (13): weight of L_SCE (row 18; section 4: 0.1)."""
    lambda_u: NonNegativeFloat = 0.1
    """λ_u of eq. (13): weight of L_UCE (row 18; section 4: 0.1)."""
    sampler: Literal["independent", "balanced"] = "independent"
    """How stage 3 draws batches (row 17)."""
