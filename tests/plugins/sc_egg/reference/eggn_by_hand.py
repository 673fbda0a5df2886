"""EGGN's generator step in NumPy, float64, from its description: eqs. (9)-(15) and (18)."""

from __future__ import annotations

from typing import Any

import numpy as np
from sc_egg_by_hand import Arrays, affine, cross_entropy, leaky

Nets = dict[str, Arrays]


def two_layers(net: Arrays, first: str, second: str, x: Any) -> Any:
    return affine(net, second, leaky(affine(net, first, x), 0.2))


def encode(nets: Nets, g: Any, a: Any) -> tuple[Any, Any]:
    middle = leaky(two_layers(nets["encoder"], "hidden", "middle", np.hstack([g, a])), 0.2)
    return affine(nets["encoder"], "mean", middle), affine(nets["encoder"], "logvar", middle)


def generate(nets: Nets, z: Any, a: Any, refined: Any = 0.0) -> Any:
    x1 = leaky(affine(nets["generator"], "hidden", np.hstack([z, a])), 0.2)
    return 1 / (1 + np.exp(-affine(nets["generator"], "out", x1 + refined)))


def decoder_hidden(nets: Nets, g: Any) -> Any:
    return leaky(affine(nets["decoder"], "hidden", g), 0.2)


def decode(nets: Nets, g: Any) -> Any:
    a = affine(nets["decoder"], "out", decoder_hidden(nets, g))
    return a / np.sqrt((a**2).sum(axis=1, keepdims=True))


def feed_back(nets: Nets, hidden: Any) -> Any:
    return leaky(two_layers(nets["feedback"], "first", "second", hidden), 0.2)


def criticise(nets: Nets, g: Any, a: Any) -> Any:
    return two_layers(nets["critic"], "hidden", "out", np.hstack([g, a]))


def reconstruct(nets: Nets, at: Nets, g: Any, a: Any, noise: Arrays, strength: float | None) -> Any:
    """G(E(g, a), a), the code and its two moments. The decoder's hidden layer is handed over detached, so
    it is that of the networks ``at``."""
    moments = encode(nets, g, a)
    z = moments[0] + np.exp(moments[1] / 2) * noise["reparameterisation"]
    if strength is None:
        return generate(nets, z, a), moments
    mean, logvar = encode(at, g, a)
    z_at = mean + np.exp(logvar / 2) * noise["reparameterisation"]
    refined = strength * feed_back(nets, decoder_hidden(at, generate(at, z_at, a)))
    return generate(nets, z, a, refined), moments


def l_vg(nets: Nets, at: Nets, g: Any, a: Any, noise: Arrays, s: Any, feedback: bool) -> float:
    """Eq. (9), the generator's side of it; ``s`` has the settings."""
    found, (mean, logvar) = reconstruct(nets, at, g, a, noise, s.a1 if feedback else None)
    bce = -(g * np.log(found) + (1 - g) * np.log(1 - found)).sum() / len(g)
    kl = 0.5 * (mean**2 + np.exp(logvar) - 1 - logvar).sum() / len(g)
    fake = found if s.encoded_noise else generate(nets, noise["prior"], a)
    d = decode(nets, fake) - a
    powers = np.abs(d) ** 3 / np.sqrt((d**2).sum(axis=1, keepdims=True))
    rec = (np.abs(d) if s.reconstruction_norm == "l1" else powers).sum() / len(g)
    return bce + kl - s.lambda_w * criticise(nets, fake, a).mean() + s.lambda_r * rec


def l_egs(
    nets: Nets,
    at: Nets,
    g: Any,
    labels: Any,
    classes: Any,
    noise: Arrays,
    s: Any,
    scores: Any,
    feedback: bool,
) -> float:
    """Eqs. (13)-(15): cross-entropies over all classes, on ĝ_s of the batch's classes and on ĝ_u."""
    total = 0.0
    if s.lambda_s:
        a = classes[labels]
        if s.reading == "paper":
            fake = generate(nets, noise["seen_prior"], a)
        else:
            fake = reconstruct(nets, at, g, a, noise, s.a1 if feedback else None)[0]
        total += s.lambda_s * cross_entropy(scores(fake), labels)
    if s.lambda_u:
        drawn = noise["unseen_class"]
        fake = generate(nets, noise["unseen_prior"], classes[drawn])
        total += s.lambda_u * cross_entropy(scores(fake), drawn)
    return total
