"""Settings of SDGZSL. Defaults are the authors' for CUB with attributes; presets hold what differs.

"Code" is uqzhichen/SDGZSL at dc6cda5 (train.py, models.py, scripts/*.sh).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from zslbench import ComponentSettings
from zslbench.plugin import Count, Epochs

Rate = Annotated[float, Field(ge=0, lt=1)]


class SDGZSLSettings(ComponentSettings):
    epochs: Epochs = 600
    """Epochs (code: gen_nepoch)."""
    batch_size: Annotated[Count, Field(ge=2)] = 64
    """Images per step, at least 2 for the batch norms (code: batchsize)."""
    hidden: Count = 2048
    """Width of every hidden layer (2048 throughout the code)."""
    code: Count = 128
    """Width of the encoder's last layer before mean and variance (code: q_z_nn_output_dim)."""
    latent: Count = 20
    """Size of z (code: latent_dim)."""
    factor: Count = 2048
    """Size of h_s and of h_n each (code: S_dim = NS_dim)."""
    lr: PositiveFloat = 1e-4
    """Adam's learning rate of all networks (code: lr)."""
    weight_decay: NonNegativeFloat = 1e-8
    """Adam's weight decay of all networks (code: weight_decay)."""
    kl_warmup: NonNegativeFloat = 0.001
    """The KL's weight grows by this in each epoch, from 0 to 1 (code: kl_warmup)."""
    tc_warmup: NonNegativeFloat = 0.0001
    """The factor of ``tc_weight`` grows by this in each epoch, from 0 to 1 (code: tc_warmup)."""
    relation_weight: NonNegativeFloat = 5.0
    """λ of L_rel, the relation loss (code: ga)."""
    tc_weight: NonNegativeFloat = 0.003
    """λ of L_TC, the total correlation (code: beta)."""
    discriminator_weight: NonNegativeFloat = 0.3
    """Weight of the discriminator's own loss; Adam's updates hardly depend on it (code: dis)."""
    tc_steps: Count = 3
    """Steps with L_TC after each step that trains the discriminator instead (code: dis_step)."""
    encoder_dropout: Rate = 0.1
    """Dropout in the encoder (code: vae_enc_drop)."""
    variance_dropout: Rate = 0.2
    """Dropout before the softplus of the variance (0.2 in the code)."""
    decoder_dropout: Rate = 0.1
    """Dropout in the decoder, three times (code: vae_dec_drop)."""
    autoencoder_dropout: Rate = 0.0
    """Dropout in the disentangling autoencoder, three times, also of its output (code: ae_drop)."""
    relation: bool = True
    """Whether there is a relation network."""
    total_correlation: bool = True
    """Whether there is a discriminator with the total-correlation term."""
    per_class: Count = 1000
    """Synthetic features per unseen class (code: nSample)."""
