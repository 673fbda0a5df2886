"""FREE's networks, losses and gradients against plain NumPy, written from their description, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import affine, agree, leaky, random_net, tensors
from complex_step import complex_gradient, length, magnitude, relu, sigmoid

from zslbench.plugin import Batch
from zslbench.plugin.views import ClassSpace
from zslbench.training.step import step_function
from zslbench_free import generator, networks
from zslbench_free.settings import FREESettings

B, D, A, H, Z = 4, 5, 3, 4, 2
SEEN, UNSEEN = (0, 2, 3, 5), (1, 4)  # the seen classes are not the first ids


def unit(a):
    return a / np.sqrt((a**2).sum(axis=1, keepdims=True))


def refine(net, x, noise):
    hidden = leaky(affine(net, "hidden", x))
    out = affine(net, "out", hidden)
    mean, std = out[:, :A], sigmoid(out[:, A:])
    return mean, std, hidden, sigmoid(mean if noise is None else mean + std * noise)


def encode(net, x, a):
    middle = leaky(affine(net, "middle", leaky(affine(net, "hidden", np.hstack([x, a])))))
    return affine(net, "mean", middle), affine(net, "logvar", middle)


def generate(net, z, a):
    return sigmoid(affine(net, "out", leaky(affine(net, "hidden", np.hstack([z, a])))))


def criticise(net, x, a):
    return affine(net, "out", leaky(affine(net, "hidden", np.hstack([x, a]))))[:, 0]


def samc(mean, own, other, centres, margin, gamma):
    total = 0.0
    for mu, y, not_y in zip(mean, own, other, strict=True):
        near, far = sum((mu - centres[y]) ** 2), sum((mu - centres[not_y]) ** 2)
        total += relu(margin + gamma * near - (1 - gamma) * far)
    return total / len(mean)


def weighted_l1(code, a):
    total = 0.0
    for row in code - a:
        total += sum(row**2 / length(row) * magnitude(row))
    return total / len(code)


def norm_l1(code, a):
    return magnitude(code - a).sum() / len(code)


@pytest.fixture(params=range(2))
def rng(request):
    return np.random.default_rng(request.param)


@pytest.fixture
def nets(rng):
    """All networks, with weights of order one so that every term shows."""
    return {
        "encoder": random_net(rng, hidden=(H, D + A), middle=(2 * Z, H), mean=(Z, 2 * Z), logvar=(Z, 2 * Z)),
        "generator": random_net(rng, hidden=(H, Z + A), out=(D, H)),
        "critic": random_net(rng, hidden=(H, D + A), out=(1, H)),
        "refiner": random_net(rng, hidden=(H, D), out=(2 * A, H)),
        "centres": {"centres": rng.normal(size=(len(SEEN), A))},
        "state": {"penalty_weight": np.array(3.0), "penalty_sum": np.array(0.25)},
    }


@pytest.fixture
def semantics(rng):
    return rng.uniform(0.1, 2.0, size=(len(SEEN) + len(UNSEEN), A))  # not of unit length


@pytest.fixture
def data(rng, semantics):
    """Features in (0, 1), labels among the seen ids and the semantics of each image."""
    labels = np.array([SEEN[k] for k in rng.integers(len(SEEN), size=B)])
    return rng.uniform(0.05, 0.95, size=(B, D)), labels, semantics[labels]


def method(semantics, **settings):
    small = {
        "hidden": H,
        "latent": Z,
        "epochs": 1,
        "batch_size": B,
        "critic_steps": 2,
        "margin": 1.5,
        "gamma": 0.7,
    }
    small |= {"samc_weight": 0.5, "semantic_weight": 0.3, "lambda_w": 2.0, "adaptive_penalty": True}
    space = ClassSpace(
        tuple(f"c{k}" for k in range(len(semantics))),
        torch.tensor(semantics),
        torch.tensor(SEEN),
        torch.tensor(UNSEEN),
    )
    return generator.FREE(FREESettings(**(small | settings)), space)


def batch_of(data):
    return Batch(*(torch.tensor(part) for part in data))


def noise_of(rng, **shapes):
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def check(one, name, nets, data, noise, expected):
    """Value and gradients of the step ``name`` of the method ``one``; returns its losses."""
    step = next(step for steps in program(one, data).passes for step in steps if step.name == name)
    gradients, losses = step_function(step)(tensors(nets), batch_of(data), tensors(noise))
    agree(losses.total, expected(nets))
    agree(gradients, complex_gradient(expected, nets, step.updates))
    return set(step.updates), losses


def program(one, data):
    from zslbench.plugin.views import TrainView

    return one.fit(TrainView(torch.tensor(data[0], dtype=torch.float32), torch.tensor(data[1])))


# --- the refinement network ----------------------------------------------------------------------


@pytest.mark.parametrize("drawn", [False, True])
def test_refinement(rng, nets, data, drawn):
    noise = rng.normal(size=(B, A)) if drawn else None
    found = networks.refine(
        tensors(nets)["refiner"], torch.tensor(data[0]), torch.tensor(noise) if drawn else None
    )
    for ours, theirs in zip(
        (found.mean, found.std, found.hidden, found.code),
        refine(nets["refiner"], data[0], noise),
        strict=True,
    ):
        agree(ours, theirs)


# --- L_SAMC --------------------------------------------------------------------------------------


def test_samc_by_hand():
    """μ = (0, 0); its centre at squared distance 1, the other at 4.

    margin 2, γ = ½: 2 + ½·1 − ½·4 = 0.5. A second image at its own centre, 4 from the other: 2 − 2 = 0, and
    with margin 1 the hinge cuts −1 to 0.
    """
    mean = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    centres = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]], dtype=torch.float64)
    own, other = torch.tensor([0, 0]), torch.tensor([1, 2])
    assert float(generator.samc_loss(mean, own, other, centres, 2.0, 0.5)) == pytest.approx(0.25)
    assert float(generator.samc_loss(mean, own, other, centres, 1.0, 0.5)) == 0.0


def test_samc_has_the_gradient_of_the_squares():
    """Where the hinge is open: γ·2(μ − c_y) − (1 − γ)·2(μ − c_y') for μ; elsewhere 0."""
    rng = np.random.default_rng(0)
    mean, centres = rng.normal(size=(B, A)), rng.normal(size=(len(SEEN), A))
    own, other, margin, gamma = np.array([0, 1, 2, 3]), np.array([1, 3, 0, 2]), 0.8, 0.6
    leaf = torch.tensor(mean, requires_grad=True)
    loss = generator.samc_loss(
        leaf, torch.tensor(own), torch.tensor(other), torch.tensor(centres), margin, gamma
    )
    agree(loss, samc(mean, own, other, centres, margin, gamma))
    loss.backward()
    near, far = mean - centres[own], mean - centres[other]
    open_ = margin + gamma * (near**2).sum(1) - (1 - gamma) * (far**2).sum(1) > 0
    assert open_.any()
    assert not open_.all()
    expected = open_[:, None] * (2 * gamma * near - 2 * (1 - gamma) * far) / B
    agree(leaf.grad, expected)


def test_nearest_other_is_the_nearest_of_the_others(rng):
    mean, centres = rng.normal(size=(20, A)), rng.normal(size=(len(SEEN), A))
    own = rng.integers(len(SEEN), size=20)
    expected = []
    for mu, y in zip(mean, own, strict=True):
        distances = {k: sum((mu - c) ** 2) for k, c in enumerate(centres) if k != y}
        expected.append(min(distances, key=distances.__getitem__))
    found = generator.nearest_other(torch.tensor(mean), torch.tensor(own), torch.tensor(centres))
    assert found.tolist() == expected


# --- the three steps -----------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["weighted", "l1"])
@pytest.mark.parametrize("negative", ["random", "nearest"])
def test_refiner_step(rng, nets, semantics, data, negative, norm):
    x, labels, _ = data
    a = unit(data[2])
    own = np.array([SEEN.index(label) for label in labels])
    noise = noise_of(rng, code=(B, A))
    if negative == "random":
        noise["offset"] = rng.integers(1, len(SEEN), size=B)

    def expected(nets):
        mean, _, _, code = refine(nets["refiner"], x, noise["code"])
        centres = nets["centres"]["centres"]
        if negative == "random":
            other = (own + noise["offset"]) % len(SEEN)
        else:
            distances = np.real(((mean[:, None] - centres) ** 2).sum(-1))
            distances[np.arange(B), own] = np.inf
            other = distances.argmin(1)
        semantic = (weighted_l1 if norm == "weighted" else norm_l1)(code, a)
        return 0.5 * samc(mean, own, other, centres, 1.5, 0.7) + 0.3 * semantic

    one = method(semantics, negative=negative, reconstruction_norm=norm)
    updates, _ = check(one, "refiner", nets, data, noise, expected)
    assert updates == {"refiner", "centres"}


def penalty_of(critic, x, fake, a, mix):
    """(‖∇D(x′, a)‖ − 1)² with the gradient by central differences."""
    between, slope = mix * x + (1 - mix) * fake, 1e-6
    gradient = np.zeros_like(between)
    for k in range(D):
        shift = np.eye(D)[k] * slope
        gradient[:, k] = (criticise(critic, between + shift, a) - criticise(critic, between - shift, a)) / (
            2 * slope
        )
    return ((np.sqrt((gradient**2).sum(1)) - 1) ** 2).mean()


@pytest.mark.parametrize("encoded", [True, False])
def test_critic_step(rng, nets, semantics, data, encoded):
    x, _, _ = data
    a = unit(data[2])
    noise = noise_of(rng, **({"reparameterisation": (B, Z)} if encoded else {"prior": (B, Z)}))
    noise["mix"] = rng.uniform(size=(B, 1))
    if encoded:
        mean, logvar = encode(nets["encoder"], x, a)
        z = mean + np.exp(logvar / 2) * noise["reparameterisation"]
    else:
        z = noise["prior"]
    fake = generate(nets["generator"], z, a)

    def expected(nets):
        critic = nets["critic"]
        wasserstein = criticise(critic, x, a).mean() - criticise(critic, fake, a).mean()
        return 2.0 * (3.0 * penalty_of(critic, x, fake, a, noise["mix"]) - wasserstein)

    one = method(semantics, encoded_noise=encoded)
    # Differences of differences: the penalty's gradient has fewer digits than the others.
    step = next(step for steps in program(one, data).passes for step in steps if step.name == "critic")
    assert step.updates == ("critic",)
    gradients, losses = step_function(step)(tensors(nets), batch_of(data), tensors(noise))
    agree(losses.total, expected(nets))
    summed = 0.25 + penalty_of(nets["critic"], x, fake, a, noise["mix"])
    agree(losses.state["penalty_sum"], summed)
    by_hand = critic_gradient(nets["critic"], x, fake, a, noise["mix"])
    for name, gradient in by_hand.items():
        agree(gradients["critic"][name], gradient)


def critic_gradient(critic, x, fake, a, mix):
    """Of 2 (3 penalty − (E D(x) − E D(x̃))) by hand: LeakyReLU' is constant almost everywhere."""
    w1, w2 = critic["hidden.weight"], critic["out.weight"]
    total = {name: np.zeros_like(value) for name, value in critic.items()}
    for inputs, sign in ((x, -1.0), (fake, 1.0)):
        for row in np.hstack([inputs, a]):
            before = w1 @ row + critic["hidden.bias"]
            slope = np.where(before > 0, 1.0, 0.2)
            weight = 2.0 * sign / B
            total["out.weight"] += weight * leaky(before)[None]
            total["out.bias"] += weight
            total["hidden.weight"] += weight * (w2[0] * slope)[:, None] * row
            total["hidden.bias"] += weight * w2[0] * slope
    for row in np.hstack([mix * x + (1 - mix) * fake, a]):
        slope = np.where(w1 @ row + critic["hidden.bias"] > 0, 1.0, 0.2)
        gradient = (w2[0] * slope) @ w1[:, :D]
        length = np.sqrt(sum(gradient**2))
        outer = 6.0 * 2 * (length - 1) / length * gradient / B
        total["out.weight"] += (slope * (w1[:, :D] @ outer))[None]
        total["hidden.weight"][:, :D] += (w2[0] * slope)[:, None] * outer
    return total


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("encoded", [True, False])
def test_generator_step(rng, nets, semantics, data, encoded, frozen):
    x, _, _ = data
    a = unit(data[2])
    shapes = {"reparameterisation": (B, Z), "code": (B, A)} | ({} if encoded else {"prior": (B, Z)})
    noise = noise_of(rng, **shapes)

    def expected(nets):
        mean, logvar = encode(nets["encoder"], x, a)
        x_hat = generate(nets["generator"], mean + np.exp(logvar / 2) * noise["reparameterisation"], a)
        entropy = -(x * np.log(x_hat + 1e-12) + (1 - x) * np.log(1 - x_hat - 1e-12)).sum() / B
        kl = 0.5 * (mean**2 + np.exp(logvar) - 1 - logvar).sum() / B
        fake = x_hat if encoded else generate(nets["generator"], noise["prior"], a)
        adversarial = -criticise(nets["critic"], fake, a).mean()
        code = refine(nets["refiner"], fake, noise["code"])[3]
        return entropy + kl + 2.0 * adversarial + 0.3 * weighted_l1(code, a)

    one = method(semantics, encoded_noise=encoded, freeze_refiner=frozen, reconstruction_norm="weighted")
    updates, losses = check(one, "generator", nets, data, noise, expected)
    assert updates == {"encoder", "generator"} | (set() if frozen else {"refiner"})
    # The mean penalty of the last two critic steps was 0.125, below 1.001: λ shrinks, the sum starts anew.
    agree(losses.state["penalty_weight"], 3.0 / 1.1)
    assert losses.state["penalty_sum"] == 0


# --- what the classifier sees --------------------------------------------------------------------


def test_sample_and_transform(rng, nets, semantics, data):
    one, all_nets = method(semantics), tensors(nets)
    a, prior = semantics[:B], rng.normal(size=(B, Z))
    fake = one.sample(all_nets, torch.tensor(a), {"prior": torch.tensor(prior)})
    agree(fake, generate(nets["generator"], prior, unit(a)))
    for drawn in (None, rng.normal(size=(B, A))):
        _, _, hidden, code = refine(nets["refiner"], data[0], drawn)
        noise = {} if drawn is None else {"code": torch.tensor(drawn)}
        one = method(semantics, code="mean" if drawn is None else "draw")
        seen = one.transform(all_nets, torch.tensor(data[0]), noise)
        agree(seen, np.hstack([data[0], hidden, code]))
