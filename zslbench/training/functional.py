"""Layers and losses that work unchanged when the core lifts a step over seeds or captures it in a CUDA graph.

Use these in ``Step.losses`` wherever one of them fits. The functions of ``torch.nn.functional`` with the same
names compute the same, but some round differently under ``torch.func.vmap``, wait for the device, or have a
gradient that a CUDA graph cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin.streams import Streams
from zslbench.training.step import in_float32

# --- weights of losses ----------------------------------------------------------------------------


def warm_up(
    at: Float[Tensor, ""], start: float | int, end: float | int, to: float | int
) -> Float[Tensor, ""]:
    """A weight that is 0 until ``start``, rises linearly, and is ``to`` from ``end`` on.

    Args:
        at: of the batch's progress, for example ``batch.progress.epoch``.

    Raises:
        ValueError: it would end before it starts.
    """
    if start > end:
        raise ValueError(f"a warm-up that starts at {start} cannot end at {end}")
    return torch.where(at >= end, 1.0, ((at - start) / (end - start)).clamp(0, 1)) * to


# --- layers ----------------------------------------------------------------------------------------


def linear(net: Mapping[str, Tensor], name: str, x: Float[Tensor, "*batch i"]) -> Float[Tensor, "*batch o"]:
    """The layer ``name`` of a network: x Wᵀ + b with W = ``net[name + ".weight"]``, (o, i).

    A product and a sum, since ``torch.nn.functional.linear`` rounds differently once lifted over replicas.
    """
    return x @ net[f"{name}.weight"].T + net[f"{name}.bias"]


def initial_linear(
    streams: Streams, net: str, name: str, inputs: int, outputs: int, std: float = 0.02
) -> dict[str, Tensor]:
    """Weight N(0, std²) and zero bias of one layer, from the random stream ``net.name``."""
    return {
        f"{name}.weight": streams.normal(f"{net}.{name}", (outputs, inputs), std),
        f"{name}.bias": torch.zeros(outputs, device=streams.device),
    }


def initial_xavier(
    streams: Streams, net: str, name: str, inputs: int, outputs: int, gain: float = 1.0
) -> dict[str, Tensor]:
    """Weight uniform on ±gain·√(6 / (inputs + outputs)) and zero bias of one layer, from the random stream
    ``net.name`` (Glorot and Bengio 2010)."""
    bound = gain * (6 / (inputs + outputs)) ** 0.5
    return {
        f"{name}.weight": (2 * streams.uniform(f"{net}.{name}", (outputs, inputs)) - 1) * bound,
        f"{name}.bias": torch.zeros(outputs, device=streams.device),
    }


def leaky_relu(x: Float[Tensor, "*shape"], slope: float = 0.2) -> Float[Tensor, "*shape"]:
    """max(x, slope·x); 0.2 is the slope of the CLSWGAN family."""
    return torch.nn.functional.leaky_relu(x, slope)


def unit(x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
    """Rows of unit length; a zero row stays zero."""
    return torch.nn.functional.normalize(x, dim=-1)


# --- losses ----------------------------------------------------------------------------------------


def pick(x: Float[Tensor, "b classes"], labels: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
    """The entry of each row at its label: ``x.gather(1, labels[:, None])[:, 0]``, value and gradient.

    A comparison and a sum, since the gradient of ``gather`` scatters: several releases of torch synchronise
    with the host for that in deterministic mode, which a CUDA graph cannot capture.
    """
    chosen = labels[:, None] == torch.arange(x.shape[1], device=x.device)
    return torch.where(chosen, x, 0).sum(dim=1)


def pick_rows(x: Float[Tensor, "n d"], rows: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
    """``x[rows]``, value and gradient, where x is trained or depends on what is.

    A product with a matrix of zeros and ones, since the gradient of an index scatters, see :func:`pick`.
    """
    return (rows[:, None] == torch.arange(x.shape[0], device=x.device)).to(x.dtype) @ x


def mask_classes(
    logits: Float[Tensor, "b classes"], classes: Int[Tensor, " some"]
) -> Float[Tensor, "b classes"]:
    """-inf for every class that is not in ``classes``; unlike ``logits[:, classes]`` it scatters nothing."""
    ids = torch.arange(logits.shape[1], device=logits.device)
    return torch.where((ids[:, None] == classes).any(dim=1), logits, -torch.inf)


def cross_entropy(
    logits: Float[Tensor, "b classes"],
    labels: Int[Tensor, " b"],
    among: Int[Tensor, " some"] | None = None,
) -> Float[Tensor, ""]:
    """Mean negative log-softmax of the true class; the softmax runs over the classes ``among``, or all."""
    masked = logits if among is None else mask_classes(logits, among)
    return (torch.logsumexp(masked, dim=1) - pick(logits, labels)).mean()


def nll_loss(log_probabilities: Float[Tensor, "b classes"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the true class, given log-probabilities."""
    return -pick(log_probabilities, labels).mean()


def binary_cross_entropy(
    probabilities: Float[Tensor, "*shape"],
    targets: Float[Tensor, "*shape"],
    reduction: Literal["mean", "sum"] = "mean",
) -> Float[Tensor, ""]:
    """-(t log p + (1 − t) log(1 − p)) with targets in [0, 1], over all entries.

    torch's function checks values on the host. Where p is 0 or 1 a sigmoid's slope is 0; bounding the
    logarithm's argument only keeps 0 · inf out of the gradient.
    """
    tiny = torch.finfo(targets.dtype).tiny
    log_likelihood = (
        targets * probabilities.clamp_min(tiny).log()
        + (1 - targets) * (1 - probabilities).clamp_min(tiny).log()
    )
    return -(log_likelihood.sum() if reduction == "sum" else log_likelihood.mean())


def mse(predicted: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Mean squared difference over all entries."""
    return ((predicted - target) ** 2).mean()


# --- Wasserstein GAN with gradient penalty (Gulrajani et al. 2017), as the CLSWGAN family uses it ----


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Float[Tensor, "b d"],
    fake: Float[Tensor, "b d"],
    mix: Float[Tensor, "b 1"],
) -> Float[Tensor, ""]:
    """E[(‖∇D(g')‖₂ − 1)²] with g' = mix·real + (1 − mix)·fake, without its weight.

    Args:
        critic: features (b, d) to scores (b,) or (b, 1), each row's score depending on that row only.
        mix: uniform on [0, 1), one per example.
    """
    between = mix * real + (1 - mix) * fake
    with in_float32(real.device):  # bfloat16 has three digits, and the length stays near 1
        gradient = torch.func.grad(lambda g: critic(g).sum())(between)
        return ((gradient.norm(2, dim=1) - 1) ** 2).mean()  # type: ignore[no-any-return]


def two_layer_gradient_penalty(
    net: Mapping[str, Tensor],
    given: Float[Tensor, "b a"],
    real: Float[Tensor, "b d"],
    fake: Float[Tensor, "b d"],
    mix: Float[Tensor, "b 1"],
    slope: float = 0.2,
) -> Float[Tensor, ""]:
    """:func:`gradient_penalty` of a critic with one hidden layer, in closed form.

    With D(g, a) = w₂ᵀ LeakyReLU(W₁ [g; a] + b₁) + b₂ the gradient is ∇_g D = W₁ᵍᵀ (w₂ ⊙ LeakyReLU'), where
    W₁ᵍ are the columns of g. LeakyReLU' is piecewise constant: the penalty's own gradient needs no second
    differentiation either.

    Args:
        net: the critic, ``hidden.weight`` (h, d + a), ``hidden.bias``, ``out.weight`` (1, h), ``out.bias``.
        given: a of each example.
        slope: of the LeakyReLU.
    """
    between = mix * real + (1 - mix) * fake
    weight, out = net["hidden.weight"], net["out.weight"]
    with in_float32(real.device):
        before = torch.cat([between, given], dim=-1) @ weight.T + net["hidden.bias"]
        return _two_layer_penalty(before, weight[:, : real.shape[-1]], out, slope)


def _two_layer_penalty(before: Tensor, of_features: Tensor, out: Tensor, slope: float) -> Tensor:
    """The penalty, given the hidden layer before its LeakyReLU."""
    # Which side of 0 a unit is on has no gradient, so a comparison is enough.
    active = torch.where(before > 0, out, slope * out)
    return (((active @ of_features).norm(2, dim=1) - 1) ** 2).mean()  # type: ignore[no-any-return]


def two_layer_critic(
    net: Mapping[str, Tensor],
    given: Float[Tensor, "b a"],
    real: Float[Tensor, "b d"],
    fake: Float[Tensor, "b d"],
    mix: Float[Tensor, "b 1"],
    slope: float = 0.2,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """E[D(real)] − E[D(fake)] and :func:`two_layer_gradient_penalty`, from fewer products.

    The layer before the LeakyReLU is linear, so its output for interpolated features is the same mixture of
    those for real and fake ones: one product of their rows and one of ``given`` serve all three scores. Under
    ``bf16`` the penalty is computed separately, since it needs float32.

    Args: as for :func:`two_layer_gradient_penalty`.
    """
    of_features, of_given = torch.split(net["hidden.weight"], [real.shape[-1], given.shape[-1]], dim=-1)
    common = given @ of_given.T + net["hidden.bias"]
    before = torch.cat([real, fake]) @ of_features.T + torch.cat([common, common])
    of_real, of_fake = linear(net, "out", leaky_relu(before, slope)).chunk(2)
    if torch.is_autocast_enabled(real.device.type):
        penalty = two_layer_gradient_penalty(net, given, real, fake, mix, slope)
    else:
        before_real, before_fake = before.detach().chunk(2)
        between = mix * before_real + (1 - mix) * before_fake
        penalty = _two_layer_penalty(between, of_features, net["out.weight"], slope)
    return of_real.mean() - of_fake.mean(), penalty


def adapt_penalty_weight(weight: Float[Tensor, "*r"], penalty: Float[Tensor, "*r"]) -> Float[Tensor, "*r"]:
    """The released codes' controller of the penalty weight: above 1.05 times 1.1, below 1.001 divided by 1.1.
    It keeps the penalty in [1.001, 1.05], not near 0, and is unbounded: log the weight."""
    return torch.where(penalty > 1.05, weight * 1.1, torch.where(penalty < 1.001, weight / 1.1, weight))
