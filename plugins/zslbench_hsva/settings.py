"""Settings of HSVA. Defaults are the authors' for CUB; presets hold what differs per data set.

"Code" is shiming-chen/HSVA at add15f3 (single_experiment.py, HSVA.py, models.py).
"""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from zslbench.plugin import Count, Epochs
from zslbench_cada_vae.settings import AlignedSettings


class HSVASettings(AlignedSettings):
    epochs: Epochs = 500
    """Epochs (code: epochs)."""
    beta_epochs: tuple[NonNegativeInt, NonNegativeInt] = (0, 90)
    """Epochs between which β grows linearly from 0 (code: warmup beta start_epoch, end_epoch)."""
    delta: NonNegativeFloat = 8.0
    """δ: weight of discrepancy, distance and CORAL after its warm-up (code: warmup distance factor)."""
    delta_epochs: tuple[NonNegativeInt, NonNegativeInt] = (0, 25)
    """Epochs between which δ grows linearly from 0 (code: warmup distance start_epoch, end_epoch)."""
    sigma_exponent: PositiveFloat = 0.1
    """z = μ + ε exp(exponent · log σ²): 0.1 in the code (reparameterize), ½ if ε is to have the spread σ."""
    czsl_per_class: Count = 400
    """Latents of each unseen class's semantics for the CZSL classifier (code: samples_per_class without
    generalized, third)."""
    hidden: Count = 4096
    """Hidden width of the encoders E_x, E_a and of the decoders (code: 4096 in models.py)."""
    structure: Count = 2048
    """Width of the structure-aligned space, and hidden width of the common encoder (code:
    coarse_latent_size; 2048 in models.py)."""
    classifier_hidden: Count = 512
    """Hidden width of the classifiers C₁ and C₂ (code: 512 in class_cls)."""
    classifier_lr: PositiveFloat = 1e-3
    """Adam's learning rate of C₁ and C₂ (code: cls1_opt, cls2_opt)."""
    structure_adaptation: bool = True
    """Whether the discrepancy of C₁ and C₂ is maximised and minimised; otherwise they only learn classes."""
    directions: Count = 128
    """Random projections of the sliced Wasserstein discrepancy (code: discrepancy_slice_wasserstein)."""
    minimise_steps: Count = 2
    """Encoder steps that minimise the discrepancy, per step that maximises it (code: gen_update)."""
    distance: bool = True
    """Whether the latent Gaussians of x and a are aligned by their Wasserstein distance."""
    coral: bool = True
    """Whether the latents of seen images and unseen semantics are pushed apart by CORAL."""
    unseen_prior: Literal["uniform", "test"] = "uniform"
    """How CORAL draws unseen classes: uniformly, or in proportion to their test images, as in the code
    (next_unseen_batch), which needs the transductive reading ``authors``."""
