"""Settings of Composer. "Code" is hbdat/neurIPS20_CompositionZSL at db2c37f: core/ and notebook/Composer/."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from zslbench.plugin import ComponentSettings, Count, Epochs, SettingsGroup


class PhaseSettings(SettingsGroup):
    """What both phases have."""

    iterations: Count | None = 100
    """Batches per epoch; None: all training images once (code: evaluates every 100 iterations)."""
    batch_size: Count = 50
    """Images per step (code: batch_size)."""
    sampler: Literal["independent", "shuffled", "balanced"] = "balanced"
    """How batches are drawn (code: is_balance)."""
    lr: PositiveFloat = 1e-4
    """RMSprop's learning rate (code: lr)."""
    weight_decay: NonNegativeFloat = 1e-4
    """Weight decay (code: weight_decay)."""
    momentum: NonNegativeFloat = 0.9
    """RMSprop's momentum (code: momentum; 0 on AWA2 and in phase 2)."""


class Phase1Settings(PhaseSettings):
    """Attention and attribute scores learn the seen classes."""

    epochs: Count = 20
    """Epochs (code: 2000 iterations in all)."""


class Phase2Settings(PhaseSettings):
    """The networks learn all classes, the unseen ones from composed features."""

    epochs: Epochs = 40
    """Epochs (code: 4000 iterations in all; 1000 on AWA2)."""
    momentum: NonNegativeFloat = 0.0
    """RMSprop's momentum (code: 0)."""
    support: Annotated[int, Field(ge=1, le=8)] = 5
    """k: images of the batch from which a feature is composed (code: k)."""
    temperature: PositiveFloat = 5.0
    """T of the source distribution (code: T; 10 on AWA2)."""
    candidates: Count = 50
    """Compositions drawn for each target, of which the best is kept (code: n_comp)."""
    composed_weight: NonNegativeFloat = 1.0
    """Weight of the composed features' cross-entropy (code: lamb)."""


class ComposerSettings(ComponentSettings):
    normalize_vectors: bool = False
    """Whether the attribute vectors v, which start at unit length and are trained, are scaled back to it
    (code: normalize_V, on AWA2)."""
    keep_negatives: bool = True
    """Whether negative class semantics are kept; if not, they become 0 (code: on AWA2), in the
    classifier too."""
    offset: float = 2.0
    """Margin of unseen over seen classes in phase 2 (code: a frozen Margin of ±1), and at test
    time unless the classifier has an offset of its own."""
    phase1: Phase1Settings = Phase1Settings()
    """DAZLE's attention learns the seen classes."""
    phase2: Phase2Settings = Phase2Settings()
    """Composed features of unseen classes join the training."""
