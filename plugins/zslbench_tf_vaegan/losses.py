"""The losses of TF-VAEGAN; equation numbers are the SC-EGG paper's (section 3.2)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin.interfaces import Batch, Losses, Networks, Noise
from zslbench.training import adapt_penalty_weight, binary_cross_entropy, two_layer_gradient_penalty
from zslbench_tf_vaegan.networks import criticise, decode, encode, feed_back, generate
from zslbench_tf_vaegan.settings import TFVAEGANSettings


def vae_loss(
    g: Float[Tensor, "b d"],
    reconstruction: Float[Tensor, "b d"],
    mean: Float[Tensor, "b z"],
    logvar: Float[Tensor, "b z"],
) -> Float[Tensor, ""]:
    """L_VAE, eq. (10): binary cross-entropy plus KL to N(0, I), summed over dimensions, averaged over b."""
    bce = binary_cross_entropy(reconstruction, g, reduction="sum")
    kl: Tensor = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum()
    return (bce + kl) / g.shape[0]


def weighted_l1(predicted: Float[Tensor, "b a"], target: Float[Tensor, "b a"]) -> Float[Tensor, ""]:
    """One term of L_Rec, eq. (12), as both released codes compute it: (1/b) Σ_b Σ_i |d_i|³ / ‖d‖₂.

    The L1 distance weighted by d²/‖d‖; the weights are part of the gradient.
    """
    d = predicted - target
    total: Tensor = (d.abs() ** 3 / d.norm(dim=-1, keepdim=True).clamp_min(1e-12)).sum()
    return total / d.shape[0]


def reparameterise(mean: Tensor, logvar: Tensor, noise: Float[Tensor, "b z"]) -> Float[Tensor, "b z"]:
    """z = μ + σ·ε."""
    return mean + (0.5 * logvar).exp() * noise


def feedback_of(nets: Networks, fake: Float[Tensor, "b d"], strength: float) -> Float[Tensor, "b hidden"]:
    """a·F(hidden(Dec(ĝ))): what the second pass adds to the generator's hidden layer."""
    _, hidden = decode(nets["decoder"], fake)
    # The released code hands the hidden layer over detached: the decoder learns nothing through F.
    return strength * feed_back(nets["feedback"], hidden.detach())


def synthesise(nets: Networks, z: Tensor, a: Tensor, strength: float | None) -> Float[Tensor, "b d"]:
    """G(z, a), refined by a second, feedback pass of this strength; None: one pass."""
    fake = generate(nets["generator"], z, a)
    if strength is None:
        return fake
    return generate(nets["generator"], z, a, feedback_of(nets, fake, strength))


def critic_losses(
    nets: Networks, batch: Batch, noise: Noise, s: TFVAEGANSettings, *, feedback: bool
) -> Losses:
    """λ_w times the negative of L_WGAN, eq. (11), for the critic; λ_r times eq. (12) on g for the decoder."""
    g, _, a = batch
    if s.encoded_noise:
        z = reparameterise(*encode(nets["encoder"], g, a), noise["reparameterisation"])
    else:
        z = noise["prior"]
    fake = synthesise(nets, z, a, s.a1 if feedback else None).detach()

    def score(x: Tensor) -> Tensor:
        return criticise(nets["critic"], x, a)

    wasserstein = score(g).mean() - score(fake).mean()
    penalty = two_layer_gradient_penalty(nets["critic"], a, g, fake, noise["mix"])
    total = s.lambda_w * (nets["state"]["penalty_weight"] * penalty - wasserstein)
    log = {"wasserstein": wasserstein, "penalty": penalty}
    if s.decoder:
        reconstruction = weighted_l1(decode(nets["decoder"], g)[0], a)
        total = total + s.lambda_r * reconstruction
        log["semantic_reconstruction"] = reconstruction
    return Losses(total, log, {"penalty_sum": nets["state"]["penalty_sum"] + penalty})


def generator_losses(
    nets: Networks, batch: Batch, noise: Noise, s: TFVAEGANSettings, *, feedback: bool
) -> Losses:
    """L_VG, eq. (9), for encoder, generator, decoder and feedback module; then λ of eq. (11) adapts."""
    return generator_parts(nets, batch, noise, s, feedback=feedback)[0]


def generator_parts(
    nets: Networks, batch: Batch, noise: Noise, s: TFVAEGANSettings, *, feedback: bool
) -> tuple[Losses, Float[Tensor, "b d"]]:
    """:func:`generator_losses` and the reconstruction G(E(g, a), a), for methods that add a loss on it."""
    g, _, a = batch
    mean, logvar = encode(nets["encoder"], g, a)
    z = reparameterise(mean, logvar, noise["reparameterisation"])
    reconstruction = synthesise(nets, z, a, s.a1 if feedback else None)
    if s.encoded_noise:
        fake = reconstruction
    else:
        # The released code takes the feedback of a prior sample from the reconstruction's decoding.
        refined = feedback_of(nets, reconstruction, s.a1) if feedback else None
        fake = generate(nets["generator"], noise["prior"], a, refined)
    vae = vae_loss(g, reconstruction, mean, logvar)
    adversarial = -criticise(nets["critic"], fake, a).mean()
    total = vae + s.lambda_w * adversarial
    weight = nets["state"]["penalty_weight"]
    log = {"vae": vae, "adversarial": adversarial, "penalty_weight": weight}
    if s.decoder:
        semantic = weighted_l1(decode(nets["decoder"], fake)[0], a)
        total = total + s.lambda_r * semantic
        log["semantic_reconstruction"] = semantic
    if s.adaptive_penalty:
        weight = adapt_penalty_weight(weight, nets["state"]["penalty_sum"] / s.critic_steps)
        if s.penalty_bounds is not None:
            low, high = s.penalty_bounds
            log["penalty_bounded"] = ((weight < low) | (weight > high)).to(g.dtype)
            weight = weight.clamp(low, high)
    losses = Losses(total, log, {"penalty_weight": weight, "penalty_sum": torch.zeros_like(weight)})
    return losses, reconstruction
