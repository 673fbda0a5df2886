"""TF-VAEGAN's networks and losses against plain NumPy, written from their description, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zslbench.plugin import Streams
from zslbench_tf_vaegan import f_vaegan, networks

B, D, A, H, Z = 3, 6, 4, 5, 3  # the latent's width differs from A so that no two widths are mixed up
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def affine(net, layer, x):
    weight, bias = net[f"{layer}.weight"], net[f"{layer}.bias"]
    return np.array([[row @ w + b for w, b in zip(weight, bias, strict=True)] for row in x])


def random_net(rng, **layers):
    """Weights (out, in) and biases of order one, so that every term shows."""
    net = {}
    for layer, shape in layers.items():
        net[f"{layer}.weight"], net[f"{layer}.bias"] = rng.normal(size=shape), rng.normal(size=shape[0])
    return net


def tensors(net):
    return {name: torch.tensor(value) for name, value in net.items()}


@pytest.fixture(params=range(3))
def rng(request):
    return np.random.default_rng(request.param)


@pytest.fixture
def batch(rng):
    """Features in (0, 1), class semantics and latents, as NumPy arrays."""
    return rng.uniform(size=(B, D)), rng.normal(size=(B, A)), rng.normal(size=(B, Z))


def agree(actual, expected):
    assert actual.dtype == torch.float64
    np.testing.assert_allclose(actual.numpy(), expected, **CLOSE)


# --- networks ------------------------------------------------------------------------------------


def test_encoder(rng, batch):
    g, a, _ = batch
    net = random_net(rng, hidden=(H, D + A), middle=(2 * A, H), mean=(Z, 2 * A), logvar=(Z, 2 * A))
    middle = leaky(affine(net, "middle", leaky(affine(net, "hidden", np.hstack([g, a])))))
    mean, logvar = networks.encode(tensors(net), torch.tensor(g), torch.tensor(a))
    agree(mean, affine(net, "mean", middle))
    agree(logvar, affine(net, "logvar", middle))


@pytest.mark.parametrize("with_feedback", [False, True])
def test_generator(rng, batch, with_feedback):
    _, a, z = batch
    net = random_net(rng, hidden=(H, Z + A), out=(D, H))
    feedback = rng.normal(size=(B, H)) if with_feedback else None
    first = leaky(affine(net, "hidden", np.hstack([z, a])))
    before = affine(net, "out", first + feedback if with_feedback else first)
    inputs = [torch.tensor(z), torch.tensor(a)]
    fake = networks.generate(tensors(net), *inputs, *([torch.tensor(feedback)] if with_feedback else []))
    agree(fake, 1 / (1 + np.exp(-before)))


def test_generator_with_zero_feedback_is_the_one_without(rng, batch):
    _, a, z = (torch.tensor(x) for x in batch)
    net = tensors(random_net(rng, hidden=(H, Z + A), out=(D, H)))
    zero = torch.zeros(B, H, dtype=torch.float64)
    assert torch.equal(networks.generate(net, z, a, feedback=zero), networks.generate(net, z, a))
    assert torch.equal(networks.generate(net, z, a, feedback=None), networks.generate(net, z, a))


def test_critic(rng, batch):
    g, a, _ = batch
    net = random_net(rng, hidden=(H, D + A), out=(1, H))
    scores = networks.criticise(tensors(net), torch.tensor(g), torch.tensor(a))
    assert scores.shape == (B, 1)
    agree(scores, affine(net, "out", leaky(affine(net, "hidden", np.hstack([g, a])))))


def test_decoder(rng, batch):
    g, _, _ = batch
    net = random_net(rng, hidden=(H, D), out=(A, H))
    hidden = leaky(affine(net, "hidden", g))
    out = affine(net, "out", hidden)
    semantics, exposed = networks.decode(tensors(net), torch.tensor(g))
    agree(semantics, np.array([row / math.sqrt(sum(row**2)) for row in out]))
    agree(exposed, hidden)


def test_feedback(rng):
    net, hidden = random_net(rng, first=(H, H), second=(H, H)), rng.normal(size=(B, H))
    agree(
        networks.feed_back(tensors(net), torch.tensor(hidden)),
        leaky(affine(net, "second", leaky(affine(net, "first", hidden)))),
    )


def test_initial_networks_have_the_described_shapes():
    nets = networks.initial(Streams(0), D, A, H, A)  # the paper's latent is as wide as the semantics
    shapes = {
        "encoder": {"hidden": (H, D + A), "middle": (2 * A, H), "mean": (A, 2 * A), "logvar": (A, 2 * A)},
        "generator": {"hidden": (H, 2 * A), "out": (D, H)},
        "critic": {"hidden": (H, D + A), "out": (1, H)},
        "decoder": {"hidden": (H, D), "out": (A, H)},
        "feedback": {"first": (H, H), "second": (H, H)},
    }
    for name, layers in shapes.items():
        found = {key: tuple(value.shape) for key, value in nets[name].items()}
        weights = {f"{layer}.weight": shape for layer, shape in layers.items()}
        assert found == weights | {f"{layer}.bias": shape[:1] for layer, shape in layers.items()}


def test_initial_networks_take_a_latent_of_another_width():
    nets = networks.initial(Streams(0), D, A, H, Z)
    g, a = torch.rand(B, D), torch.rand(B, A)
    mean, logvar = networks.encode(nets["encoder"], g, a)
    assert mean.shape == logvar.shape == (B, Z)
    assert networks.generate(nets["generator"], mean, a).shape == (B, D)


def test_initial_weights_are_normal_with_deviation_002_and_biases_zero():
    nets = networks.initial(Streams(7), 200, 100, 300, 100)
    seen = []
    for layers in nets.values():
        for key, value in layers.items():
            if key.endswith(".bias"):
                assert not value.any()
            elif value.numel() > 10_000:
                # Five standard errors of each estimate.
                assert value.std().item() == pytest.approx(0.02, rel=5 / math.sqrt(2 * value.numel()))
                assert value.mean().item() == pytest.approx(0, abs=5 * 0.02 / math.sqrt(value.numel()))
                assert value.abs().max() > 3 * 0.02  # not uniform
                seen.append(value.flatten()[:50])
    assert len(seen) >= 8
    assert len({tuple(start.tolist()) for start in seen}) == len(seen)  # no two layers share numbers


def test_initial_networks_depend_on_the_seed_alone():
    one, same, other = (networks.initial(Streams(seed), D, A, H, Z) for seed in (1, 1, 2))
    for name, layers in one.items():
        for key, value in layers.items():
            assert torch.equal(value, same[name][key])
            assert key.endswith(".bias") or not torch.equal(value, other[name][key])


# --- losses --------------------------------------------------------------------------------------


def vae_by_loops(g, reconstruction, mean, logvar):
    total = 0.0
    for i in range(len(g)):
        for x, y in zip(g[i], reconstruction[i], strict=True):
            total -= x * math.log(y + 1e-12) + (1 - x) * math.log(1 - y - 1e-12)
        for m, v in zip(mean[i], logvar[i], strict=True):
            total += 0.5 * (m * m + math.exp(v) - 1 - v)
    return total / len(g)


def test_vae_loss(rng):
    g, reconstruction = rng.uniform(0.01, 0.99, size=(2, B, D))
    mean, logvar = rng.normal(size=(2, B, Z))
    loss = f_vaegan.vae_loss(*(torch.tensor(x) for x in (g, reconstruction, mean, logvar)))
    assert loss.shape == ()
    assert loss.item() == pytest.approx(vae_by_loops(g, reconstruction, mean, logvar), rel=1e-12)


def test_vae_loss_of_a_standard_normal_code_and_a_perfect_binary_reconstruction_is_zero():
    g, zero = torch.tensor([[0.0, 1.0, 1.0]]), torch.zeros(1, 2)
    assert f_vaegan.vae_loss(g, g.clone(), zero, zero).item() == 0.0


def test_the_vae_loss_lifts_over_replicas(rng):
    g, reconstruction = (torch.tensor(x) for x in rng.uniform(0.1, 0.9, size=(2, 4, B, D)))
    code = [torch.tensor(x) for x in rng.normal(size=(2, 4, B, Z))]
    lifted = torch.func.vmap(f_vaegan.vae_loss)(g, reconstruction, *code)
    plain = [f_vaegan.vae_loss(*one) for one in zip(g, reconstruction, *code, strict=True)]
    torch.testing.assert_close(lifted, torch.stack(plain))


def test_vae_loss_of_tiny_reconstructions_is_that_of_the_released_code() -> None:
    """Where the generator's last layer gives logits of -20 and less, 1e-12 decides the loss and its slope."""
    g = torch.rand(2, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    zeros = torch.zeros(2, 1, dtype=torch.float64)

    def ours(logits: torch.Tensor) -> torch.Tensor:
        return f_vaegan.vae_loss(g, torch.sigmoid(logits), zeros, zeros)

    def released(logits: torch.Tensor) -> torch.Tensor:
        recon = torch.sigmoid(logits) + 1e-12
        return torch.nn.functional.binary_cross_entropy(recon, g, reduction="sum") / 2

    logits = torch.linspace(-60, 20, 80, dtype=torch.float64).reshape(2, 40)
    torch.testing.assert_close(ours(logits), released(logits), rtol=1e-12, atol=0)
    found, expected = (torch.func.grad(one)(logits) for one in (ours, released))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_saturated_reconstructions_keep_loss_and_gradient_finite(value: float) -> None:
    """Where the sigmoid gives exactly 0 or 1, the logarithms of eq. (1) must not become infinite."""
    g = torch.tensor([[0.25, 0.75]])
    zeros = torch.zeros(1, 3)

    def loss(reconstruction: torch.Tensor) -> torch.Tensor:
        return f_vaegan.vae_loss(g, reconstruction, zeros, zeros)

    at = torch.full((1, 2), value)
    assert torch.isfinite(loss(at))
    assert torch.isfinite(torch.func.grad(loss)(at)).all()
    reference = torch.nn.functional.binary_cross_entropy(at * 0.5 + 0.2, g, reduction="sum")
    assert torch.allclose(loss(at * 0.5 + 0.2), reference)
