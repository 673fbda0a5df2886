"""Settings of f-VAEGAN and TF-VAEGAN. Defaults are those for CUB; presets hold what differs per data set.

"Code" is akshitac8/tfvaegan at a0de81c (config_images.py, train_images.py, scripts/run_*_tfvaegan.py).
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import NonNegativeFloat, PositiveFloat, model_validator

from zslbench import ComponentSettings
from zslbench.plugin import Count, Epochs


class FVAEGANSettings(ComponentSettings):
    epochs: Epochs = 600
    """Epochs over the training images (code: nepoch times feedback_loop)."""
    batch_size: Count = 64
    """Images per step (code: batch_size)."""
    hidden: Count = 4096
    """Width of every hidden layer (code: ngh, ndh)."""
    latent: Count | None = None
    """Size of z; None: the number of attributes, as in the code (latent_size, nz)."""
    critic_steps: Count = 5
    """Critic updates per generator update (code: critic_iter)."""
    lr: PositiveFloat = 1e-4
    """Adam's learning rate of encoder, generator and critic (code: lr)."""
    beta1: NonNegativeFloat = 0.5
    """Adam's β₁ for all networks except the encoder, which uses 0.9 (code: beta1)."""
    lambda_w: NonNegativeFloat = 10.0
    """Weight of the Wasserstein loss, gradient penalty included: γ of f-VAEGAN, α of TF-VAEGAN (code:
    gammaG = gammaD)."""
    lambda_gp: NonNegativeFloat = 10.0
    """λ: weight of the gradient penalty; its initial value with ``adaptive_penalty`` (code: lambda1)."""
    adaptive_penalty: bool = True
    """After each generator step multiply or divide λ by 1.1 to keep the penalty in [1.001, 1.05], as the
    code does. Without bounds, λ drifts far from its nominal value. The weight is logged."""
    penalty_bounds: tuple[PositiveFloat, PositiveFloat] | None = None
    """Bounds of λ under ``adaptive_penalty``; None: none, as in the code. The share of steps at a bound is
    logged."""
    encoded_noise: bool = True
    """Whether the critic's fake samples use the encoder's z rather than z ~ N(0, I)."""
    per_class: Count = 300
    """Synthetic features per unseen class (code: syn_num)."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.penalty_bounds is not None and self.penalty_bounds[0] > self.penalty_bounds[1]:
            raise ValueError("penalty_bounds: the lower bound is above the upper one")
        return self


class TFVAEGANSettings(FVAEGANSettings):
    epochs: Epochs = 300
    """Epochs, each of ``feedback_loops`` passes over the training images (code: nepoch)."""
    decoder_lr: PositiveFloat = 1e-4
    """Adam's learning rate of the decoder (code: dec_lr)."""
    feedback_lr: PositiveFloat = 1e-5
    """Adam's learning rate of the feedback module (code: feed_lr)."""
    lambda_r: NonNegativeFloat = 0.01
    """β: weight of L_R, the semantic reconstruction (code: recons_weight)."""
    reconstruction_norm: Literal["l1", "weighted"] = "weighted"
    """The norm of L_R: L1, as printed, or the code's, weighted by d²/‖d‖₂ (code: WeightedL1)."""
    decoder: bool = True
    """Whether there is a semantic decoder; feedback and transform need it."""
    freeze_decoder: bool = False
    """Whether generator steps keep the decoder frozen; its own steps still train it (code: freeze_dec)."""
    feedback: bool = True
    """Whether the second pass feeds the decoder's hidden layer back into the generator."""
    feedback_loops: Count = 2
    """Passes over the data per epoch, the second alone with feedback. Ablations without feedback do as many,
    so that the number of updates is the same (code: feedback_loop)."""
    a1: NonNegativeFloat = 1.0
    """δ, the strength of the feedback, in training (code: a1)."""
    a2: NonNegativeFloat = 1.0
    """δ at synthesis (code: a2)."""
    transform: bool = True
    """Whether the classifier sees [x, Dec(x), hidden] rather than x alone."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if not self.decoder and (self.feedback or self.transform):
            raise ValueError("feedback and transform need the decoder: without it set both to false")
        return self
