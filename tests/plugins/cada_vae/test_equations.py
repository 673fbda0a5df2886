"""CADA-VAE's loss, samples and gradients against plain NumPy in float64, written from the paper's and the
released code's description."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import affine, agree, gradient_of, numerical_gradient, random_net, tensors

from zslbench.plugin import Batch, ClassSpace, Progress
from zslbench_cada_vae import aligned
from zslbench_cada_vae.generator import CADAVAE
from zslbench_cada_vae.settings import CADAVAESettings

B, D, A, Z = 3, 4, 3, 2
NETS = ("visual_encoder", "semantic_encoder", "visual_decoder", "semantic_decoder")


def cada_vae(**settings):
    """CADA-VAE with narrow networks, on four classes."""
    space = ClassSpace(
        ("a", "b", "c", "d"), torch.rand(4, A).double(), torch.tensor([0, 1, 3]), torch.tensor([2])
    )
    return CADAVAE(CADAVAESettings(latent=Z, visual_hidden=(5, 6), semantic_hidden=(7, 4), **settings), space)


def networks(rng, scale=0.5):
    nets = {
        "visual_encoder": random_net(rng, hidden=(5, D), mean=(Z, 5), logvar=(Z, 5)),
        "semantic_encoder": random_net(rng, hidden=(7, A), mean=(Z, 7), logvar=(Z, 7)),
        "visual_decoder": random_net(rng, hidden=(6, Z), out=(D, 6)),
        "semantic_decoder": random_net(rng, hidden=(4, Z), out=(A, 4)),
    }
    return {name: {key: scale * value for key, value in net.items()} for name, net in nets.items()}


def encoded(net, x):
    hidden = np.maximum(affine(net, "hidden", x), 0)
    return affine(net, "mean", hidden), affine(net, "logvar", hidden)


def decoded(net, z):
    return affine(net, "out", np.maximum(affine(net, "hidden", z), 0))


def ramp(epoch, start, end):
    return min(max((epoch - start) / (end - start), 0), 1)


def by_hand(nets, x, a, eps_x, eps_a, epoch, exponent=1.0, times=1):
    """The loss and its parts, from the networks' outputs row by row."""
    (mean_x, log_x), (mean_a, log_a) = (
        encoded(nets["visual_encoder"], x), encoded(nets["semantic_encoder"], a)
    )  # fmt: skip
    z_x, z_a = mean_x + np.exp(exponent * log_x) * eps_x, mean_a + np.exp(exponent * log_a) * eps_a
    apart = lambda to_x, to_a: (  # noqa: E731
        np.abs(decoded(nets["visual_decoder"], to_x) - x).sum()
        + np.abs(decoded(nets["semantic_decoder"], to_a) - a).sum()
    )
    kl = sum(
        -0.5 * (1 + log - mean**2 - np.exp(log)).sum() for mean, log in ((mean_x, log_x), (mean_a, log_a))
    )
    distance = times * sum(
        np.sqrt(
            ((mean_x[i] - mean_a[i]) ** 2).sum()
            + ((np.sqrt(np.exp(log_x[i])) - np.sqrt(np.exp(log_a[i]))) ** 2).sum()
        )
        for i in range(len(x))
    )
    parts = {"reconstruction": apart(z_x, z_a), "cross": apart(z_a, z_x), "kl": kl, "distance": distance}
    total = (
        parts["reconstruction"]
        + 0.25 * ramp(epoch, 0, 93) * kl
        + 2.37 * ramp(epoch, 21, 75) * parts["cross"]
        + 8.13 * ramp(epoch, 6, 22) * distance
    )
    return total, parts


def batch_of(x, a, epoch):
    zero = torch.tensor(0.0).double()
    progress = Progress(torch.tensor(float(epoch)).double(), zero, zero)
    return Batch(torch.tensor(x), torch.zeros(len(x), dtype=torch.int64), torch.tensor(a), progress)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("epoch", [0, 3, 14, 22, 50, 93, 120])
def test_the_loss_at_every_stage_of_the_warm_ups(rng, epoch):
    nets, x, a = networks(rng), rng.uniform(size=(B, D)), rng.normal(size=(B, A))
    eps_x, eps_a = rng.normal(size=(2, B, 1))
    losses = cada_vae().losses(
        tensors(nets), batch_of(x, a, epoch), {"visual": torch.tensor(eps_x), "semantic": torch.tensor(eps_a)}
    )
    total, parts = by_hand(nets, x, a, eps_x, eps_a, epoch)
    agree(losses.total, total)
    agree(dict(losses.log), parts)


@pytest.mark.parametrize(
    ("settings", "exponent", "times", "width"),
    [
        ({"sigma_exponent": 0.5}, 0.5, 1, 1),
        ({"both_orders": True}, 1.0, 2, 1),
        ({"shared_noise": False}, 1.0, 1, Z),
    ],
)
def test_the_loss_as_the_paper_prints_it(rng, settings, exponent, times, width):
    nets, x, a = networks(rng), rng.uniform(size=(B, D)), rng.normal(size=(B, A))
    eps_x, eps_a = rng.normal(size=(2, B, width))
    noise = {"visual": torch.tensor(eps_x), "semantic": torch.tensor(eps_a)}
    losses = cada_vae(**settings).losses(tensors(nets), batch_of(x, a, 40), noise)
    total, parts = by_hand(nets, x, a, eps_x, eps_a, 40, exponent, times)
    agree(losses.total, total)
    agree(dict(losses.log), parts)


def test_gradients_of_all_networks(rng):
    nets, x, a = networks(rng), rng.uniform(size=(B, D)), rng.normal(size=(B, A))
    eps_x, eps_a = rng.normal(size=(2, B, 1))
    model, batch = cada_vae(), batch_of(x, a, 40)
    noise = {"visual": torch.tensor(eps_x), "semantic": torch.tensor(eps_a)}
    found = gradient_of(lambda given: model.losses(given, batch, noise).total, nets, NETS)
    agree(
        found, numerical_gradient(lambda given: by_hand(given, x, a, eps_x, eps_a, 40)[0], nets, NETS), 1e-7
    )


def test_a_case_by_hand():
    """Networks of zeros reconstruct 0 from z = ε: L1 is |1| + |2| + |3|, cross-alignment the same, no KL."""
    nets = {
        name: {key: np.zeros_like(value) for key, value in net.items()}
        for name, net in networks(np.random.default_rng(0)).items()
    }
    x, a = np.array([[1.0, 0.0, -2.0, 0.0]]), np.array([[0.0, 3.0, 0.0]])
    noise = {"visual": torch.ones(1, 1).double(), "semantic": torch.zeros(1, 1).double()}
    for epoch, expected in ((0, 6.0), (48, 6 + 6 * 2.37 / 2), (200, 6 + 6 * 2.37)):
        agree(cada_vae().losses(tensors(nets), batch_of(x, a, epoch), noise).total, expected)


def test_encoders_that_agree_have_a_gradient_without_nan():
    nets = {
        name: {key: np.zeros_like(value) for key, value in net.items()}
        for name, net in networks(np.random.default_rng(0)).items()
    }
    x, a = np.ones((B, D)), np.ones((B, A))
    noise = {"visual": torch.zeros(B, 1).double(), "semantic": torch.zeros(B, 1).double()}
    model, batch = cada_vae(), batch_of(x, a, 100)
    found = gradient_of(lambda given: model.losses(given, batch, noise).total, nets, NETS)
    assert all(torch.isfinite(one).all() for net in found.values() for one in net.values())


def test_l1_is_a_sum_over_everything():
    agree(aligned.l1(torch.tensor([[1.0, -2.0], [0.0, 0.5]]).double(), torch.zeros(2, 2).double()), 3.5)


def test_reconstruction_compares_each_modality_with_what_its_code_is_decoded_to(rng):
    x, a, of_x, of_a = (rng.normal(size=(B, width)) for width in (D, A, Z, Z))
    to_x, to_a = rng.normal(size=(Z, D)), rng.normal(size=(Z, A))
    found = aligned.reconstruction(
        lambda z: z @ torch.tensor(to_x),
        lambda z: z @ torch.tensor(to_a),
        *map(torch.tensor, (x, a, of_x, of_a)),
    )
    agree(found, np.abs(of_x @ to_x - x).sum() + np.abs(of_a @ to_a - a).sum())


def test_samples_are_codes_of_semantics_and_inputs_codes_of_features(rng):
    nets, x, a = networks(rng), rng.uniform(size=(B, D)), rng.normal(size=(B, A))
    model, eps = cada_vae(), rng.normal(size=(B, 1))
    for name, of, width, code in (
        ("semantic", a, A, model.sample), ("visual", x, D, model.transform)
    ):  # fmt: skip
        mean, logvar = encoded(nets[f"{name}_encoder"], of)
        found = code(tensors(nets), torch.tensor(of), {name: torch.tensor(eps)})
        assert of.shape == (B, width)
        agree(found, mean + np.exp(logvar) * eps)
    agree(model.transform(tensors(nets), torch.tensor(x), {}), encoded(nets["visual_encoder"], x)[0])
