"""Conditional Wasserstein GAN with gradient penalty on features, as the CLSWGAN family uses it.

G is [z; a] → hidden → x̂ ≥ 0 and D is [x; a] → hidden → score, each with one hidden LeakyReLU layer, weights
from N(0, 0.02²), biases 0 (Xian et al., CVPR 2018, eq. 2 and section 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin import Networks, Streams
from zslbench.training import initial_linear, leaky_relu, linear, two_layer_critic

Net = Mapping[str, Tensor]


def initial(streams: Streams, d: int, attributes: int, hidden: int, latent: int) -> Networks:
    """Untrained ``generator`` and ``critic``, each with the layers ``hidden`` and ``out``.

    Args:
        d: width of the features; attributes: width of the semantics; latent: width of z.
    """
    return {
        net: initial_linear(streams, net, "hidden", inputs + attributes, hidden)
        | initial_linear(streams, net, "out", hidden, outputs)
        for net, inputs, outputs in (("generator", latent, d), ("critic", d, 1))
    }


def refuse_negative(generator: str, features: Float[Tensor, "n d"]) -> None:
    """Raise ZslbenchError for training features below 0, which a generator that ends in ReLU cannot make."""
    if (low := float(features.min())) < 0:
        raise ZslbenchError(
            f"generator {generator}: training features go down to {low:.3g}, but it makes none below 0; use "
            "an embedding whose features are not negative, for example --set embedding.normalize=minmax"
        )


def generate(net: Net, z: Float[Tensor, "b z"], a: Float[Tensor, "b a"]) -> Float[Tensor, "b d"]:
    """G(z, a), not negative."""
    return torch.relu(linear(net, "out", leaky_relu(linear(net, "hidden", torch.cat([z, a], dim=-1)))))


def criticise(net: Net, x: Float[Tensor, "b d"], a: Float[Tensor, "b a"]) -> Float[Tensor, "b 1"]:
    """D(x, a), unbounded."""
    return linear(net, "out", leaky_relu(linear(net, "hidden", torch.cat([x, a], dim=-1))))


def critic_loss(
    net: Net,
    a: Float[Tensor, "b a"],
    real: Float[Tensor, "b d"],
    fake: Float[Tensor, "b d"],
    mix: Float[Tensor, "b 1"],
    weight: Any,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """E[D(x̃, a)] − E[D(x, a)] + λ E[(‖∇D(x̂, a)‖₂ − 1)²] with x̂ = mix·x + (1 − mix)·x̃, which D minimises.

    Args:
        fake: x̃; no gradient flows into it.
        mix: uniform on [0, 1), one per example.
        weight: λ, a number.

    Returns:
        The loss, and for the log E[D(x, a)] − E[D(x̃, a)] as ``wasserstein`` and the ``penalty`` without λ.
    """
    wasserstein, penalty = two_layer_critic(net, a, real, fake.detach(), mix)
    return weight * penalty - wasserstein, {"wasserstein": wasserstein, "penalty": penalty}
