"""CE-GZSL's networks and losses against plain NumPy, from paper and released code, in float64.

Gradients are checked by the complex step. Equation numbers are the paper's (Han et al., CVPR 2021); "code" is
Hanzy1996/CE-GZSL at 7bf5358 (CE_GZSL.py, losses.py, model.py).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from by_hand import affine, agree, leaky, random_net, tensors
from complex_step import complex_gradient, held, length, log_sum_exp, relu

from zslbench.plugin import Batch, ClassSpace, Step
from zslbench.training.step import step_function
from zslbench_ce_gzsl import generator, networks
from zslbench_ce_gzsl.settings import CEGZSLSettings

B, D, A, Z, H, E, P, F = 6, 5, 3, 2, 4, 4, 3, 4
CLASSES, SEEN = 5, np.array([0, 1, 3])
LABELS = np.array([3, 0, 3, 1, 0, 3])
"""Class 1 has one image only, so no positive."""
SHAPES = {
    "generator": {"hidden": (H, Z + A), "out": (D, H)},
    "critic": {"hidden": (H, D + A), "out": (1, H)},
    "embedding": {"out": (E, D)},
    "projection": {"out": (P, E)},
    "comparator": {"hidden": (F, E + A), "out": (1, F)},
}
PENALTY, INSTANCE, CLASS, INSTANCE_T, CLASS_T = 7.0, 0.3, 0.4, 0.5, 0.7


@pytest.fixture(params=range(2))
def rng(request):
    return np.random.default_rng(request.param)


@pytest.fixture
def nets(rng):
    """Weights and biases of order one, so that every term shows."""
    return {net: random_net(rng, **layers) for net, layers in SHAPES.items()}


@pytest.fixture
def semantics(rng):
    return rng.normal(size=(CLASSES, A))


# --- networks and losses, in NumPy --------------------------------------------------------------------


def generate(net, noise, a):
    return relu(affine(net, "out", leaky(affine(net, "hidden", np.concatenate([noise, a], axis=1)))))


def criticise(net, x, a):
    return affine(net, "out", leaky(affine(net, "hidden", np.concatenate([x, a], axis=1))))


def embed(net, x):
    return relu(affine(net, "out", x))


def project(net, h):
    z = affine(net, "out", h)
    return z / length(z)[:, None]


def compare(net, h, a):
    pairs = [np.array([np.concatenate([one, other]) for other in a]) for one in h]
    return np.array([affine(net, "out", leaky(affine(net, "hidden", pair)))[:, 0] for pair in pairs])


def instance_loss(z, labels, temperature):
    """Over anchors with positives: the mean over these of −log exp(z·z⁺/τ) / Σ_{k ≠ i} exp(z·z_k/τ)."""
    terms = []
    for i, anchor in enumerate(z):
        others = [k for k in range(len(z)) if k != i]
        positives = [k for k in others if labels[k] == labels[i]]
        if positives:
            similar = {k: (anchor * z[k]).sum() / temperature for k in others}
            whole = log_sum_exp(np.array([similar[k] for k in others]))
            terms.append(sum(whole - similar[k] for k in positives) / len(positives))
    return sum(terms) / len(terms)


def class_loss(relevance, labels, classes, temperature):
    scaled = relevance / temperature
    true = [np.flatnonzero(classes == label)[0] for label in labels]
    return np.mean(log_sum_exp(scaled) - np.array([row[m] for row, m in zip(scaled, true, strict=True)]))


def penalty(net, a, real, fake, mix):
    """E (‖∇_x D(x′, a)‖ − 1)²; D has one hidden layer, so ∇_x D = W₁ᵀ (w₂ ⊙ slope)."""
    between = mix * real + (1 - mix) * fake
    before = affine(net, "hidden", np.concatenate([between, a], axis=1))
    slope = np.where(np.real(before) > 0, 1.0, 0.2)
    gradient = np.array(
        [(net["hidden.weight"].T * (net["out.weight"][0] * one)).sum(axis=1)[:D] for one in slope]
    )
    return ((length(gradient) - 1) ** 2).mean()


# --- networks ----------------------------------------------------------------------------------------


def test_networks(rng, nets):
    x, several = rng.uniform(size=(B, D)), rng.normal(size=(4, A))
    known = tensors(nets)
    x_, several_ = torch.tensor(x), torch.tensor(several)
    h = embed(nets["embedding"], x)
    agree(networks.embed(known["embedding"], x_), h)
    agree(networks.project(known["projection"], torch.tensor(h)), project(nets["projection"], h))
    agree(
        networks.compare(known["comparator"], torch.tensor(h), several_),
        compare(nets["comparator"], h, several),
    )


# --- single losses -----------------------------------------------------------------------------------


def test_instance_loss(rng):
    z = rng.normal(size=(B, P))
    actual = generator.instance_loss(torch.tensor(z), torch.tensor(LABELS), INSTANCE_T)
    agree(actual, instance_loss(z, LABELS, INSTANCE_T))


def test_instance_loss_by_hand():
    """Two of class 0 in the same direction, one of class 1 at right angles: −log(e² / (e² + e⁰)), τ = ½."""
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    loss = generator.instance_loss(z, torch.tensor([0, 0, 1]), 0.5)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-2)), rel=1e-12)


def test_without_positives_there_is_no_instance_loss():
    z = torch.eye(3, dtype=torch.float64).requires_grad_()
    loss = generator.instance_loss(z, torch.tensor([0, 1, 2]), 0.1)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(z.grad, torch.zeros_like(z))


def test_a_small_temperature_does_not_overflow():
    z = torch.nn.functional.normalize(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
    assert generator.instance_loss(z, torch.arange(8) % 2, 1e-3).isfinite()


def test_class_loss(rng):
    relevance = rng.normal(size=(B, len(SEEN)))
    arguments = torch.tensor(relevance), torch.tensor(LABELS), torch.tensor(SEEN)
    agree(generator.class_loss(*arguments, CLASS_T), class_loss(relevance, LABELS, SEEN, CLASS_T))


def test_class_loss_by_hand():
    """Classes 2 and 5; relevance 1 of the true class and 0 of the other, τ = 1."""
    loss = generator.class_loss(torch.tensor([[0.0, 1.0]]), torch.tensor([5]), torch.tensor([2, 5]), 1.0)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-6)


# --- the steps ----------------------------------------------------------------------------------------


def critic_total(nets, x, labels, semantics, noise):
    """What D, the embedding, the projection and the comparator minimise (CE_GZSL.py, step 1)."""
    a = semantics[labels]
    fake = held(generate(nets["generator"], noise["prior"], a))
    critic = nets["critic"]
    h = embed(nets["embedding"], x)
    return (
        criticise(critic, fake, a).mean()
        - criticise(critic, x, a).mean()
        + PENALTY * penalty(critic, a, x, fake, noise["mix"])
        + instance_loss(project(nets["projection"], h), labels, INSTANCE_T)
        + class_loss(compare(nets["comparator"], h, semantics[SEEN]), labels, SEEN, CLASS_T)
    )


def generator_total(nets, x, labels, semantics, noise):
    """What G minimises (CE_GZSL.py, step 2): real projections join the contrast as constants."""
    a = semantics[labels]
    fake = generate(nets["generator"], noise["prior"], a)
    h = embed(nets["embedding"], fake)
    real = held(project(nets["projection"], embed(nets["embedding"], x)))
    z = np.concatenate([project(nets["projection"], h), real])
    return (
        -criticise(nets["critic"], fake, a).mean()
        + INSTANCE * instance_loss(z, np.concatenate([labels, labels]), INSTANCE_T)
        + CLASS * class_loss(compare(nets["comparator"], h, semantics[SEEN]), labels, SEEN, CLASS_T)
    )


@pytest.fixture
def component(semantics):
    settings = CEGZSLSettings(
        latent=Z,
        hidden=H,
        embedding=E,
        projection=P,
        comparator=F,
        penalty_weight=PENALTY,
        instance_weight=INSTANCE,
        class_weight=CLASS,
        instance_temperature=INSTANCE_T,
        class_temperature=CLASS_T,
    )
    space = ClassSpace(
        names=tuple("abcde"),
        semantics=torch.tensor(semantics),
        seen=torch.tensor(SEEN),
        unseen=torch.tensor([2, 4]),
    )
    return generator.CEGZSL(settings, space)


@pytest.mark.parametrize("which", ["critic", "generator"])
def test_steps_and_their_gradients(rng, nets, semantics, component, which):
    x = rng.uniform(size=(B, D))
    noise = {"prior": rng.normal(size=(B, Z)), "mix": rng.uniform(size=(B, 1))}
    trained = ("generator",) if which == "generator" else ("critic", "embedding", "projection", "comparator")
    losses = component.generator_losses if which == "generator" else component.critic_losses
    batch = Batch(torch.tensor(x), torch.tensor(LABELS), torch.tensor(semantics[LABELS]))
    found, result = step_function(Step(which, losses, updates=trained))(tensors(nets), batch, tensors(noise))

    def total(moved):
        by_hand = generator_total if which == "generator" else critic_total
        return by_hand(moved, x, LABELS, semantics, noise)

    agree(result.total, total(nets))
    agree(found, complex_gradient(total, nets, trained))


def test_the_classifier_sees_the_embedding(rng, nets, component):
    x = rng.uniform(size=(B, D))
    agree(component.transform(tensors(nets), torch.tensor(x), {}), embed(nets["embedding"], x))


def test_samples(rng, nets, semantics, component):
    prior = rng.normal(size=(CLASSES, Z))
    made = component.sample(tensors(nets), torch.tensor(semantics), {"prior": torch.tensor(prior)})
    agree(made, generate(nets["generator"], prior, semantics))
