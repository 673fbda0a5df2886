"""Settings of GCM-CF. Defaults are the authors' for CUB; presets hold what differs per data set.

"Code" is yue-zhongqi/gcm-cf at bb38adc (zsl/config.py, zsl/lib.py, zsl/image-scripts/*/cf.py).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from zslbench import ComponentSettings
from zslbench.plugin import Count, SettingsGroup
from zslbench_tf_vaegan.settings import TFVAEGANSettings


class GCMCFSettings(TFVAEGANSettings):
    per_class: Count = 200
    """Synthetic features per unseen class for stage 2 (code: u_num)."""
    lambda_r: NonNegativeFloat = 0.01
    """Weight of L_R, the semantic reconstruction, on x̂; on real x it is 1 (code: recons_weight)."""
    beta: NonNegativeFloat = 6.0
    """β: weight of the KL term (code: zd_beta)."""
    warm_up: int = Field(80, ge=0, le=1_000_000)
    """Epochs over which β rises linearly from 0; 0: none (code: zd_beta_annealing, tcvae.anneal_kl)."""
    contrastive_weight: NonNegativeFloat = 1.0
    """ρ: weight of L_F (code: contra_lambda)."""
    temperature: PositiveFloat = 500.0
    """Scale of the distances in L_F (code: temperature)."""
    negatives: Count = 30
    """K: counterfactuals of each image with a wrong seen class, at most as many as there are (code: K)."""
    target_noise: NonNegativeFloat = 0.2
    """Standard deviation of the noise added to the reconstruction's target (code: add_noise)."""


class Decision(SettingsGroup):
    """The decision between seen and unseen: a softmax classifier over all classes for each image."""

    mode: Literal["exact", "sub-sampled", "shared"] = "exact"
    """exact: as published, fitted for each test image on all real features of seen classes and ``per_class``
    counterfactuals of every unseen class; sub-sampled: on ``sub_sample`` of each class only, which is not the
    published procedure; shared: one classifier for all images, on the generator's samples, without
    counterfactuals (the authors' baseline)."""
    per_class: Count = 300
    """Counterfactuals of each unseen class, and of each image, under ``exact`` (code: syn_num). The decision
    leans to unseen classes as this exceeds the number of real features per seen class."""
    sub_sample: Count = 10
    """Real features of each seen and counterfactuals of each unseen class under ``sub-sampled``."""
    epochs: Count = 5
    """Passes over the features (code: clf_epoch)."""
    batch_size: Count = 300
    """Features per step (code: syn_num)."""
    lr: PositiveFloat = 1e-3
    """Adam's learning rate (code: classifier_lr)."""
    beta1: NonNegativeFloat = 0.5
    """Adam's β₁; β₂ is 0.999 (code: beta1)."""
    images_at_once: Count = 4
    """Test images whose classifiers are fitted together; for speed and memory only."""


class SeenStage(SettingsGroup):
    """Stage 2 for images decided to be of seen classes: a softmax classifier on real features."""

    epochs: Count = 15
    """Passes over the features (code: 15 in cf_evaluation.py, or s_epoch)."""
    batch_size: Count = 300
    """Features per step (code: syn_num, or s_batch_size)."""
    lr: PositiveFloat = 1e-3
    """Adam's learning rate (code: classifier_lr, or s_lr)."""
    beta1: NonNegativeFloat = 0.5
    """Adam's β₁ (code: 0.5, or s_beta)."""


class UnseenStage(SettingsGroup):
    """Stage 2 for images decided to be of unseen classes, and CZSL: a softmax classifier on the generator's
    samples, of which the generator's ``per_class`` sets the number (code: u_num)."""

    epochs: Count = 9
    """Passes over the features (code: u_epoch)."""
    batch_size: Count = 500
    """Features per step (code: u_batch_size)."""
    lr: PositiveFloat = 5e-4
    """Adam's learning rate (code: u_lr)."""
    beta1: NonNegativeFloat = 0.5
    """Adam's β₁ (code: u_beta)."""


class CounterfactualSettings(ComponentSettings):
    decision: Decision = Decision()
    """Stage 1: seen or unseen?"""
    seen: SeenStage = SeenStage()
    """Stage 2 for seen classes."""
    unseen: UnseenStage = UnseenStage()
    """Stage 2 for unseen classes."""
