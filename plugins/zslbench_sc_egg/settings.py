"""Settings of SC-EGG. Defaults are the reading ``paper``; row numbers are those of :mod:`.differences`.

"Section" is the paper's (Hong et al., IJCAI 2022), "code" is HHHZM/SC-EGG at c6a188f (train_SUN.py and
config_sun.yaml), "ours" is what the paper leaves open.
"""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from zslbench import ComponentSettings
from zslbench_tf_vaegan.settings import TFVAEGANSettings


class SCENSettings(ComponentSettings):
    """LEN, GEN and their two stages, eqs. (1)-(8), (16) and (17)."""

    stage1_epochs: PositiveInt = 20
    """Epochs of stage 1 (row 10; section 4: 20)."""
    stage1_iterations: PositiveInt | None = None
    """Batches per epoch of stage 1; None: all training images once (row 10: the code counts 2000 in all)."""
    stage2_epochs: PositiveInt = 20
    """Epochs of stage 2 (row 10; section 4: 20)."""
    stage2_iterations: PositiveInt | None = None
    """Batches per epoch of stage 2; None: all training images once (row 10: the code counts 4000 in all)."""
    batch_size: PositiveInt = 64
    """Images per step of either stage (section 4: 64)."""
    sampler: Literal["shuffled", "balanced"] = "shuffled"
    """Row 17; the code draws batches with as many images of each class as it can."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """Of either stage (row 1; section 4: Adam)."""
    lr: PositiveFloat = 1e-4
    """Learning rate of either stage (row 1; section 4: 1e-4)."""
    stage2_lr: PositiveFloat | None = None
    """Learning rate of stage 2, ours; None: ``lr``, as printed."""
    weight_decay: NonNegativeFloat = 0.0
    """Of either stage (row 1)."""
    momentum: NonNegativeFloat = 0.0
    """Of RMSprop in either stage (row 1)."""
    classes: Literal["all", "seen"] = "all"
    """Classes that the cross-entropies of eqs. (6) and (7) run over (row 3; printed: all)."""
    lambda_l: NonNegativeFloat = 1.0
    """Weight of L_LCE in eq. (16): 1, or 0 for the ablation."""
    lambda_g: NonNegativeFloat = 1.0
    """λ_g of eq. (16): weight of L_GCE (section 4: 1.0)."""
    composition: Literal["mlp", "mean"] = "mlp"
    """How g is composed of the local features after stage 1, eq. (4) (row 4; section 3.1: an MLP)."""
    stage2: Literal["finetune", "regressor"] = "finetune"
    """What stage 2 trains, and so what guides EGGN: SC and CLS_g (section 3.3), or a new classifier of two
    layers on a frozen g (rows 6, 8, 9)."""
    scr: bool = True
    """Whether eq. (8) is used. Without it ``finetune`` has no stage 2, ``regressor`` learns from labels."""
    scr_without_lce: bool = True
    """Whether eq. (8) is used even if ``lambda_l`` is 0 and p_l untrained (Table 2: literally yes)."""
    scr_reduction: Literal["sum", "mean"] = "sum"
    """Of the squared differences of eq. (8) over the classes (row 7; printed: the squared norm, a sum); over
    the batch it is always the mean, which the paper leaves open."""
    regressor_hidden: PositiveInt = 1024
    """Hidden width of the classifier that ``stage2 = "regressor"`` trains (row 6)."""
    normalize_regions: bool = False
    """Whether region features are scaled to unit length first (row 11; printed: raw)."""
    normalize_semantics: bool = False
    """Whether a(c) is scaled to unit length in eq. (3) (row 12; nothing changes for xlsa17's ``att``)."""
    normalize_vectors: bool = True
    """Whether the attribute vectors v are scaled to unit length first (row 13, open in print): sums of word
    vectors are several units long, and attention then hardens within a few steps."""
    train_vectors: bool = False
    """Whether v is trained along with LEN in stage 1 (row 13; printed: a language model's, fixed)."""
    alpha_std: NonNegativeFloat = 0.0
    """Standard deviation of W_α before training; 0: attention starts uniform (row 15, open in print)."""
    beta_std: PositiveFloat | None = None
    """Standard deviation of W_β before training (row 15, open in print); None, ours: such that e_l starts
    with unit variance on the training images."""
    sc_start: Literal["mean", "random"] = "mean"
    """SC's weights before training (row 15, open in print): such that g starts near the mean over the
    attributes (ours), or of the framework's default variance (the code)."""
    order: Literal["auto", "literal", "maps"] = "auto"
    """Order of computation, ours: with the local features h, without them, or whichever costs less."""


class EGGNSettings(TFVAEGANSettings):
    """TF-VAEGAN and the embedding guided synthesis loss, eqs. (9)-(15) and (18)."""

    epochs: PositiveInt = 200
    """Passes over the training images, each of ``feedback_loops`` runs (row 10; section 4: at most 200)."""
    adaptive_penalty: bool = False
    """Whether λ of eq. (11) moves as in the released codes (row 27; printed: a constant)."""
    penalty_bounds: tuple[PositiveFloat, PositiveFloat] | None = (1e-8, 1e8)
    """Least and largest λ that ``adaptive_penalty`` may reach, ours: the codes have no bounds."""
    lambda_s: NonNegativeFloat = 0.1
    """λ_s of eq. (13): weight of L_SCE (row 18; section 4: 0.1)."""
    lambda_u: NonNegativeFloat = 0.1
    """λ_u of eq. (13): weight of L_UCE (row 18; section 4: 0.1)."""
    seen_samples: Literal["prior", "reconstruction"] = "prior"
    """ĝ_s of eq. (14): G(ε, a_s) with ε ~ N(0, I), or the reconstruction G(E(g, a), a) (row 19)."""
    sampler: Literal["independent", "balanced"] = "independent"
    """Row 17, in stage 3 as well."""
    fresh_generator_batch: bool = False
    """Whether the generator step draws a batch of its own (row 24), or takes the last critic step's."""
