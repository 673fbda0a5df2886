"""Settings of CADA-VAE. Defaults are the authors', which are the same for all data sets.

"Code" is edgarschnfld/CADA-VAE-PyTorch at 26f0085 (model/single_experiment.py, model/vaemodel.py).
"""

from __future__ import annotations

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from zslbench.plugin import ComponentSettings, Count, Epochs


class AlignedSettings(ComponentSettings):
    """What CADA-VAE and the methods that build on it have in common."""

    epochs: Epochs = 100
    """Epochs (code: epochs)."""
    batch_size: Count = 50
    """Images per step (code: batch_size)."""
    lr: PositiveFloat = 1.5e-4
    """Adam's learning rate, with AMSGrad (code: lr_gen_model)."""
    latent: Count = 64
    """Size of z (code: latent_size)."""
    beta: NonNegativeFloat = 0.25
    """β: weight of the KL terms after its warm-up (code: warmup beta factor)."""
    beta_epochs: tuple[NonNegativeInt, NonNegativeInt] = (0, 93)
    """Epochs between which β grows linearly from 0 (code: warmup beta start_epoch, end_epoch)."""
    gamma: NonNegativeFloat = 2.37
    """γ: weight of the cross-alignment loss after its warm-up (code: warmup cross_reconstruction factor)."""
    gamma_epochs: tuple[NonNegativeInt, NonNegativeInt] = (21, 75)
    """Epochs between which γ grows linearly from 0 (code: warmup cross_reconstruction start_epoch,
    end_epoch)."""
    delta: NonNegativeFloat = 8.13
    """δ: weight of the distribution alignment after its warm-up (code: warmup distance factor)."""
    delta_epochs: tuple[NonNegativeInt, NonNegativeInt] = (6, 22)
    """Epochs between which δ grows linearly from 0 (code: warmup distance start_epoch, end_epoch)."""
    sigma_exponent: PositiveFloat = 1.0
    """z = μ + ε exp(exponent · log σ²): 1 in the code (reparameterize), ½ if ε is to have the spread σ."""
    shared_noise: bool = True
    """Whether all dimensions of a z share one ε, as in the code (reparameterize)."""
    per_class: Count = 400
    """Latents of each unseen class's semantics (code: samples_per_class, third)."""
    czsl_per_class: Count = 200
    """The same for the CZSL classifier (code: samples_per_class without generalized, third)."""
    real_per_class: Count = 200
    """Latents of each seen class's training images, which are repeated where a class has fewer (code:
    samples_per_class, first)."""

    @model_validator(mode="after")
    def _warm_ups_end_later(self) -> AlignedSettings:
        for name in ("beta_epochs", "gamma_epochs", "delta_epochs"):
            start, end = getattr(self, name)
            if start >= end:
                raise ValueError(f"{name}: a warm-up that starts at {start} cannot end at {end}")
        return self


class CADAVAESettings(AlignedSettings):
    visual_hidden: tuple[Count, Count] = (1560, 1660)
    """Hidden widths of encoder and decoder of features (code: hidden_size_rule resnet_features)."""
    semantic_hidden: tuple[Count, Count] = (1450, 665)
    """Hidden widths of encoder and decoder of semantics (code: hidden_size_rule attributes)."""
    both_orders: bool = False
    """Whether eq. (6) counts the distance of the two Gaussians in both orders, so twice, as printed; in the
    code once."""
