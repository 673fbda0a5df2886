"""f-CLSWGAN's networks and losses against plain NumPy, written from their description, in float64."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from by_hand import affine, agree, gradient_of, leaky, random_net, tensors
from complex_step import complex_gradient, relu

from zslbench.plugin import Batch, ClassSpace
from zslbench_clswgan.generator import CLSWGAN
from zslbench_clswgan.settings import CLSWGANSettings
from zslbench_common import wgan

B, D, A, H, Z, CLASSES = 4, 5, 3, 6, 2, 5
SEEN, UNSEEN = (0, 2, 3), (1, 4)
LABELS = np.array([2, 0, 3, 2])


@pytest.fixture(params=range(2))
def rng(request):
    return np.random.default_rng(request.param)


@pytest.fixture
def nets(rng):
    return {
        "generator": random_net(rng, hidden=(H, Z + A), out=(D, H)),
        "critic": random_net(rng, hidden=(H, D + A), out=(1, H)),
        "classifier": random_net(rng, out=(CLASSES, D)),
    }


@pytest.fixture
def semantics(rng):
    """Of no particular length: this family uses them as they are stored."""
    return rng.normal(size=(CLASSES, A))


@pytest.fixture
def method(semantics):
    space = ClassSpace(tuple("abcde"), torch.tensor(semantics), torch.tensor(SEEN), torch.tensor(UNSEEN))
    return CLSWGAN(CLSWGANSettings(hidden=H, latent=Z, lambda_gp=7.0, beta=0.3), space)


@pytest.fixture
def real(rng):
    return rng.uniform(size=(B, D))


def batch_of(real, semantics):
    return Batch(torch.tensor(real), torch.tensor(LABELS), torch.tensor(semantics[LABELS]))


def generated(net, z, a):
    return relu(affine(net, "out", leaky(affine(net, "hidden", np.hstack([z, a])))))


def judged(net, x, a):
    return affine(net, "out", leaky(affine(net, "hidden", np.hstack([x, a]))))[:, 0]


def slope(net, x, a):
    """The gradient of the critic in x, by the chain rule, one image and hidden unit after the other."""
    gradients = np.zeros(x.shape, dtype=complex)
    for i in range(len(x)):
        inputs = np.concatenate([x[i], a[i]])
        for unit, weights in enumerate(net["hidden.weight"]):
            before = weights @ inputs + net["hidden.bias"][unit]
            slope_of_unit = 1 if np.real(before) > 0 else 0.2
            gradients[i] += net["out.weight"][0, unit] * slope_of_unit * weights[: x.shape[1]]
    return gradients


def critic_loss(net, a, real, fake, mix, weight):
    """What the critic minimises, eq. (1) of Xian et al. 2018 with the sign turned."""
    lengths = np.sqrt((slope(net, mix * real + (1 - mix) * fake, a) ** 2).sum(axis=1))
    penalty = ((lengths - 1) ** 2).mean()
    return judged(net, fake, a).mean() - judged(net, real, a).mean() + weight * penalty


def cross_entropy(net, x, labels):
    """Over the seen classes alone."""
    total = 0.0
    for row, label in zip(affine(net, "out", x), labels, strict=True):
        total += np.log(sum(np.exp(row[c]) for c in SEEN)) - row[label]
    return total / len(x)


def test_generator_and_critic(rng, nets, real):
    z, a = rng.normal(size=(B, Z)), rng.normal(size=(B, A))
    agree(wgan.generate(tensors(nets["generator"]), *tensors_of(z, a)), generated(nets["generator"], z, a))
    scores = wgan.criticise(tensors(nets["critic"]), *tensors_of(real, a))
    assert scores.shape == (B, 1)
    agree(scores[:, 0], judged(nets["critic"], real, a))


def tensors_of(*arrays):
    return [torch.tensor(one) for one in arrays]


def test_critic_loss_of_a_critic_worked_out_by_hand():
    """D(x, a) = 3 x + 4 y for positive x, y: its slope has length 5, so that the penalty is 16."""
    net = {
        "hidden.weight": torch.tensor([[1.0, 0, 0], [0, 1.0, 0]], dtype=torch.float64),
        "hidden.bias": torch.zeros(2, dtype=torch.float64),
        "out.weight": torch.tensor([[3.0, 4.0]], dtype=torch.float64),
        "out.bias": torch.tensor([0.5], dtype=torch.float64),
    }
    real, fake = (
        torch.tensor([[1.0, 2.0], [3.0, 0.0]]).double(),
        torch.tensor([[1.0, 1.0], [0.5, 2.0]]).double(),
    )
    given, mix = torch.ones(2, 1).double(), torch.tensor([[0.5], [0.25]]).double()
    loss, log = wgan.critic_loss(net, given, real, fake, mix, 10.0)
    # real: 11 + 9, fake: 7 + 9.5, half of each
    assert log["wasserstein"].item() == pytest.approx(10 - 8.25)
    assert log["penalty"].item() == pytest.approx(16)
    assert loss.item() == pytest.approx(-1.75 + 160)


def test_critic_step(rng, nets, method, semantics, real):
    z, mix = rng.normal(size=(B, Z)), rng.uniform(size=(B, 1))
    a = semantics[LABELS]

    def expected(nets):
        return critic_loss(nets["critic"], a, real, generated(nets["generator"], z, a), mix, 7.0)

    noise = tensors({"prior": z, "mix": mix})
    run = partial(method.critic_losses, batch=batch_of(real, semantics), noise=noise)
    agree(run(tensors(nets)).total, expected(nets))
    found = gradient_of(lambda nets: run(nets).total, nets, ("critic",))
    agree(found, complex_gradient(expected, nets, ("critic",)))


def test_the_critic_step_has_no_gradient_in_the_generator(rng, nets, method, semantics, real):
    noise = tensors({"prior": rng.normal(size=(B, Z)), "mix": rng.uniform(size=(B, 1))})
    run = partial(method.critic_losses, batch=batch_of(real, semantics), noise=noise)
    found = gradient_of(lambda nets: run(nets).total, nets, ("generator",))
    assert not any(tensor.any() for tensor in found["generator"].values())


def test_generator_step(rng, nets, method, semantics, real):
    """L_G = −E D(x̃, a) + β CE, eqs. (2) to (4)."""
    z, a = rng.normal(size=(B, Z)), semantics[LABELS]

    def parts(nets):
        fake = generated(nets["generator"], z, a)
        return -judged(nets["critic"], fake, a).mean(), cross_entropy(nets["classifier"], fake, LABELS)

    def expected(nets):
        adversarial, classification = parts(nets)
        return adversarial + 0.3 * classification

    run = partial(method.generator_losses, batch=batch_of(real, semantics), noise=tensors({"prior": z}))
    losses = run(tensors(nets))
    agree(losses.total, expected(nets))
    agree(losses.log["adversarial"], parts(nets)[0])
    agree(losses.log["classification"], parts(nets)[1])
    found = gradient_of(lambda nets: run(nets).total, nets, ("generator",))
    agree(found, complex_gradient(expected, nets, ("generator",)))


def test_classifier_step(nets, method, semantics, real):
    def expected(nets):
        return cross_entropy(nets["classifier"], real, LABELS)

    run = partial(method.classifier_losses, batch=batch_of(real, semantics), noise={})
    agree(run(tensors(nets)).total, expected(nets))
    found = gradient_of(lambda nets: run(nets).total, nets, ("classifier",))
    agree(found, complex_gradient(expected, nets, ("classifier",)))
    assert not found["classifier"]["out.weight"][list(UNSEEN)].any()


def test_an_undecided_classifier_costs_the_logarithm_of_the_number_of_seen_classes(method, semantics, real):
    nets = {
        "classifier": {
            "out.weight": torch.zeros(CLASSES, D).double(),
            "out.bias": torch.zeros(CLASSES).double(),
        }
    }
    assert method.classifier_losses(nets, batch_of(real, semantics), {}).total.item() == pytest.approx(
        np.log(3)
    )


def test_samples_are_the_generators(rng, nets, method):
    z, a = rng.normal(size=(B, Z)), rng.normal(size=(B, A))
    found = method.sample(tensors(nets), torch.tensor(a), {"prior": torch.tensor(z)})
    agree(found, generated(nets["generator"], z, a))
