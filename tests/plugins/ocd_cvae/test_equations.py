"""OCD-CVAE's networks and losses against plain NumPy, written from their definitions, in float64."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from by_hand import affine, agree, gradient_of, leaky, random_net, tensors
from complex_step import complex_gradient, relu

from zslbench.plugin import Batch, ClassSpace
from zslbench_ocd_cvae import losses, networks
from zslbench_ocd_cvae.generator import OCDCVAE
from zslbench_ocd_cvae.settings import OCDCVAESettings

B, D, A, H, Z, CLASSES = 4, 5, 3, 6, 2, 4


@pytest.fixture(params=range(2))
def rng(request):
    return np.random.default_rng(request.param)


def random_nets(rng):
    return {
        "encoder": random_net(rng, hidden=(H, D), mean=(Z, H), logvar=(Z, H)),
        "decoder": random_net(rng, hidden=(H, Z + A), out=(D, H)),
        "regressor": random_net(rng, hidden=(H, D), out=(A, H)),
        "centres": {"values": rng.normal(size=(CLASSES, A))},
    }


def encode(net, x):
    hidden = leaky(affine(net, "hidden", x))
    return affine(net, "mean", hidden), affine(net, "logvar", hidden)


def decode(net, z, a):
    return relu(affine(net, "out", leaky(affine(net, "hidden", np.hstack([z, a])))))


def regress(net, x):
    return affine(net, "out", leaky(affine(net, "hidden", x)))


def test_networks(rng):
    nets, x, z, a = random_nets(rng), *(rng.normal(size=(B, width)) for width in (D, Z, A))
    given = tensors(nets)
    for found, expected in zip(
        networks.encode(given["encoder"], torch.tensor(x)), encode(nets["encoder"], x), strict=True
    ):
        agree(found, expected)
    agree(networks.decode(given["decoder"], torch.tensor(z), torch.tensor(a)), decode(nets["decoder"], z, a))
    agree(networks.regress(given["regressor"], torch.tensor(x)), regress(nets["regressor"], x))


# --- losses -------------------------------------------------------------------------------------------------


def squared(x, y):
    return sum((p - q) ** 2 for p, q in zip(x, y, strict=True))


def cvae_loss(x, reconstruction, mean, logvar):
    total = 0.0
    for i in range(len(x)):
        total += squared(x[i], reconstruction[i])
        for m, v in zip(mean[i], logvar[i], strict=True):
            total += 0.5 * (m * m + np.exp(v) - 1 - v)
    return total / len(x)


def regression_loss(regressed, a):
    return np.mean([squared(p, q) for p, q in zip(regressed, a, strict=True)])


def triplet_loss(f, labels, margin):
    hinges = []
    for i in range(len(f)):
        own = [squared(f[i], f[j]) for j in range(len(f)) if j != i and labels[j] == labels[i]]
        others = [squared(f[i], f[j]) for j in range(len(f)) if labels[j] != labels[i]]
        if own and others:
            hinge = margin + max(own, key=np.real) - min(others, key=np.real)
            hinges.append(max(0.0, hinge, key=np.real))
    return np.mean(hinges) if hinges else 0.0


def centre_loss(f, centres):
    return np.mean([squared(p, q) / 2 for p, q in zip(f, centres, strict=True)])


def compare(found, expected, arrays):
    """Value and gradient in every array of a function of arrays."""
    nets = {"inputs": arrays}

    def ours(nets):
        return found(**nets["inputs"])

    def theirs(nets):
        return expected(**nets["inputs"])

    agree(ours(tensors(nets)), theirs(nets))
    agree(gradient_of(ours, nets, ("inputs",)), complex_gradient(theirs, nets, ("inputs",)))


def test_cvae_loss(rng):
    arrays = {name: rng.normal(size=(B, D)) for name in ("x", "reconstruction")}
    arrays |= {name: rng.normal(size=(B, Z)) for name in ("mean", "logvar")}
    compare(losses.cvae_loss, cvae_loss, arrays)


def test_cvae_loss_by_hand():
    """Off by (3, 4) and a code of mean 2 and deviation 1: 25 + 2."""
    x, reconstruction = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    assert losses.cvae_loss(x, reconstruction, torch.tensor([[2.0]]), torch.zeros(1, 1)).item() == 27


def test_regression_loss(rng):
    compare(
        losses.regression_loss,
        regression_loss,
        {"regressed": rng.normal(size=(B, A)), "a": rng.normal(size=(B, A))},
    )


def test_over_complete_samples_lie_on_the_way_to_another(rng):
    own, other, shift = rng.normal(size=(B, D)), rng.normal(size=(B, D)), rng.uniform(size=(B, 1))
    found = losses.over_complete(*(torch.tensor(one) for one in (own, other, shift)))
    agree(found, np.array([o + s * (t - o) for o, t, s in zip(own, other, shift, strict=True)]))
    hand = losses.over_complete(
        torch.tensor([[1.0, 0.0]]), torch.tensor([[5.0, 8.0]]), torch.tensor([[0.25]])
    )
    assert hand.tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize("labels", [[0, 1, 0, 2, 1, 0], [3, 3, 3, 1, 1, 2]])
def test_online_batch_triplet_loss(rng, labels):
    labels = np.array(labels)
    for margin in (0.5, 3.0):
        compare(
            partial(losses.online_batch_triplet_loss, labels=torch.tensor(labels), margin=margin),
            partial(triplet_loss, labels=labels, margin=margin),
            {"f": rng.normal(size=(6, A))},
        )


def test_online_batch_triplet_loss_by_hand():
    """Points 0 and 2 of one class, 3 of another: 1 + 4 − 9 < 0 and 1 + 4 − 1 = 4; 3 has no positive."""
    f, labels = torch.tensor([[0.0], [2.0], [3.0]]), torch.tensor([7, 7, 1])
    assert losses.online_batch_triplet_loss(f, labels, 1.0).item() == 2


@pytest.mark.parametrize("labels", [[0, 1, 2], [5, 5, 5]])
def test_online_batch_triplet_loss_without_positives_or_negatives_is_zero(labels):
    f = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss(f):
        return losses.online_batch_triplet_loss(f, torch.tensor(labels), 1.0)

    assert loss(f).item() == 0
    assert not torch.func.grad(loss)(f).any()


def test_centre_loss(rng):
    compare(
        losses.centre_loss, centre_loss, {"f": rng.normal(size=(B, A)), "centres": rng.normal(size=(B, A))}
    )


# --- the step -----------------------------------------------------------------------------------------------


def test_the_step_and_its_gradient(rng):
    nets, semantics = random_nets(rng), rng.normal(size=(CLASSES, A))
    space = ClassSpace(tuple("abcd"), torch.tensor(semantics), torch.tensor([0, 2, 3]), torch.tensor([1]))
    s = OCDCVAESettings(
        hidden=H, latent=Z, lambda_r=0.7, lambda_t=0.4, lambda_c=0.3, margin=2.0, spread=1.5, max_shift=0.6
    )
    x, labels = rng.normal(size=(B, D)), np.array([2, 0, 3, 2])
    noise = {
        "reparameterisation": rng.normal(size=(B, Z)),
        "class": rng.choice(CLASSES, size=B),
        "pair": rng.normal(size=(B, 2, Z)),
        "partner": rng.permutation(B),
        "shift": rng.uniform(size=(B, 2, 1)),
    }

    def parts(nets):
        a = semantics[labels]
        mean, logvar = encode(nets["encoder"], x)
        z = mean + np.exp(logvar / 2) * noise["reparameterisation"]
        cvae = cvae_loss(x, decode(nets["decoder"], z, a), mean, logvar)
        drawn = semantics[noise["class"]]
        made = [decode(nets["decoder"], 1.5 * noise["pair"][:, k], drawn) for k in (0, 1)]
        moved = np.zeros((B, 2, D), dtype=complex)
        for i in range(B):
            for k in (0, 1):
                towards = made[k][noise["partner"][i]]
                moved[i, k] = made[k][i] + 0.6 * noise["shift"][i, k, 0] * (towards - made[k][i])
        of_real = regress(nets["regressor"], x)
        of_made = regress(nets["regressor"], np.stack(made, axis=1).reshape(2 * B, D))
        regression = regression_loss(of_real, a) + regression_loss(of_made, np.repeat(drawn, 2, axis=0))
        f = np.concatenate([regress(nets["regressor"], moved.reshape(2 * B, D)), of_real])
        its = np.concatenate([np.repeat(noise["class"], 2), labels])
        return cvae, regression, triplet_loss(f, its, 2.0), centre_loss(f, nets["centres"]["values"][its])

    def expected(nets):
        return np.dot(parts(nets), [1, 0.7, 0.4, 0.3])

    method = OCDCVAE(s, space)
    batch = Batch(torch.tensor(x), torch.tensor(labels), torch.tensor(semantics[labels]))
    run = partial(method.losses, batch=batch, noise=tensors(noise))
    found = run(tensors(nets))
    agree(found.total, expected(nets))
    for name, one in zip(("cvae", "regression", "triplet", "centre"), parts(nets), strict=True):
        agree(found.log[name], one)
    everything = ("encoder", "decoder", "regressor", "centres")
    gradient = gradient_of(lambda nets: run(nets).total, nets, everything)
    agree(gradient, complex_gradient(expected, nets, everything))
