"""GCM-CF's networks, losses, gradients and decision against plain NumPy, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import affine, agree, leaky, random_net, tensors
from complex_step import complex_gradient, held, length, log_sum_exp, magnitude, sigmoid

from zslbench.plugin import Batch, Progress
from zslbench.plugin.views import ClassSpace, TrainView
from zslbench.training.step import step_function
from zslbench_gcm_cf import decision, generator
from zslbench_gcm_cf.settings import GCMCFSettings

B, D, A, H, Z, K = 3, 4, 3, 4, 2, 2
SEEN, UNSEEN = (0, 2, 3, 5), (1, 4)  # the seen classes are not the first ids


def unit(a):
    return a / length(a)[..., None]


def encode(net, x):
    middle = leaky(affine(net, "middle", leaky(affine(net, "hidden", x))))
    return affine(net, "mean", middle), affine(net, "logvar", middle)


def decode(net, x):
    hidden = leaky(affine(net, "hidden", x))
    return unit(affine(net, "out", hidden)), hidden


def generate(net, z, a, feedback=0.0):
    return sigmoid(affine(net, "out", leaky(affine(net, "hidden", np.hstack([z, a]))) + feedback))


def feed_back(nets, z, a):
    """F of the decoder's hidden layer, which is detached."""
    hidden = held(decode(nets["decoder"], generate(nets["generator"], z, a))[1])
    return leaky(affine(nets["feedback"], "second", leaky(affine(nets["feedback"], "first", hidden))))


def criticise(net, x, a):
    return affine(net, "out", leaky(affine(net, "hidden", np.hstack([x, a]))))[:, 0]


def weighted_l1(decoded, a):
    d = decoded - a
    return (magnitude(d) ** 3 / length(d)[:, None]).sum() / len(d)


def beta_vae(target, reconstruction, mean, logvar, beta):
    p = reconstruction + 1e-12
    entropy = -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum()
    kl = 0.5 * (mean**2 + np.exp(logvar) - 1 - logvar).sum()
    return (entropy + beta * kl) / len(target)


def contrast(x, counterfactuals, temperature):
    total = 0.0
    for row, made in zip(x, counterfactuals, strict=True):
        logits = np.array([-temperature * ((row - one) ** 2).mean() for one in made])
        total += log_sum_exp(logits) - logits[0]
    return total / len(x)


@pytest.fixture(params=range(2))
def rng(request):
    return np.random.default_rng(request.param)


@pytest.fixture
def nets(rng):
    return {
        "encoder": random_net(rng, hidden=(H, D), middle=(2 * Z, H), mean=(Z, 2 * Z), logvar=(Z, 2 * Z)),
        "generator": random_net(rng, hidden=(H, Z + A), out=(D, H)),
        "critic": random_net(rng, hidden=(H, D + A), out=(1, H)),
        "decoder": random_net(rng, hidden=(H, D), out=(A, H)),
        "feedback": random_net(rng, first=(H, H), second=(H, H)),
        "state": {"penalty_weight": np.array(3.0), "penalty_sum": np.array(0.25)},
    }


@pytest.fixture
def semantics(rng):
    return rng.uniform(0.1, 2.0, size=(len(SEEN) + len(UNSEEN), A))  # not of unit length


@pytest.fixture
def data(rng, semantics):
    labels = np.array([SEEN[k] for k in rng.integers(len(SEEN), size=B)])
    return rng.uniform(0.2, 0.8, size=(B, D)), labels, semantics[labels]


def method(semantics, **settings):
    small = {"hidden": H, "latent": Z, "epochs": 9, "batch_size": B, "critic_steps": 2, "negatives": K}
    small |= {"beta": 6.0, "warm_up": 8, "contrastive_weight": 0.7, "temperature": 5.0, "target_noise": 0.2}
    small |= {"lambda_w": 2.0, "lambda_r": 0.3, "a1": 0.6, "a2": 0.4, "reconstruction_norm": "weighted"}
    space = ClassSpace(
        tuple(f"c{k}" for k in range(len(semantics))),
        torch.tensor(semantics),
        torch.tensor(SEEN),
        torch.tensor(UNSEEN),
    )
    return generator.GCMCF(GCMCFSettings(**(small | settings)), space)


# --- parts ---------------------------------------------------------------------------------------


def test_the_encoder_does_not_see_the_semantics(rng, nets, semantics):
    x, one = rng.uniform(size=(B, D)), method(semantics)
    found = one.posterior(tensors(nets), torch.tensor(x), torch.tensor(semantics[:B]))
    for ours, theirs in zip(found, encode(nets["encoder"], x), strict=True):
        agree(ours, theirs)


def test_contrastive_loss_by_hand():
    """One image (0, 0); its own counterfactual at mean squared distance ½, the wrong one at 2; temperature 2.

    Logits −1 and −4, so −log softmax = log(1 + e⁻³).
    """
    x = torch.zeros(1, 2, dtype=torch.float64)
    made = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]], dtype=torch.float64)
    assert float(generator.contrastive_loss(x, made, 2.0)) == pytest.approx(np.log(1 + np.exp(-3)), rel=1e-12)


def test_contrastive_loss_and_gradient(rng):
    x, made = rng.normal(size=(B, D)), rng.normal(size=(B, K + 1, D))
    leaf = torch.tensor(made, requires_grad=True)
    loss = generator.contrastive_loss(torch.tensor(x), leaf, 5.0)
    loss.backward()
    agree(loss, contrast(x, made, 5.0))
    # d/dx_k = (p_k − [k = 0]) · temperature · 2 (x − x_k) / d / b
    p = np.exp(-5.0 * ((x[:, None] - made) ** 2).mean(-1))
    p /= p.sum(1, keepdims=True)
    p[:, 0] -= 1
    expected = p[..., None] * 5.0 * 2 * (x[:, None] - made) / D / B
    agree(leaf.grad, expected)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_wrong_classes_are_those_of_the_largest_numbers(rng, count):
    labels = np.array([0, 5, 2, 3, 5])
    u = rng.uniform(size=(len(labels), len(SEEN)))
    found = generator.wrong_classes(torch.tensor(labels), torch.tensor(u), torch.tensor(SEEN), count)
    assert found.shape == (len(labels), count)
    for row, label, numbers in zip(found.tolist(), labels, u, strict=True):
        others = sorted((n, c) for n, c in zip(numbers, SEEN, strict=True) if c != label)
        assert set(row) == {c for _, c in others[-count:]}


def test_beta_vae_loss(rng):
    """Its target may lie outside [0, 1], since noise is added to it."""
    target, made = rng.normal(0.5, 0.6, size=(B, D)), rng.uniform(0.1, 0.9, size=(B, D))
    mean, logvar = rng.normal(size=(B, Z)), rng.normal(size=(B, Z))
    arguments = [torch.tensor(x, requires_grad=True) for x in (target, made, mean, logvar)]
    loss = generator.beta_vae_loss(*arguments, 2.5)
    agree(loss, beta_vae(target, made, mean, logvar, 2.5))
    loss.backward()
    gradients = [argument.grad for argument in arguments[1:]]
    agree(gradients[0], (made - target) / (made * (1 - made)) / B)
    agree(gradients[1], 2.5 * mean / B)
    agree(gradients[2], 2.5 * 0.5 * (np.exp(logvar) - 1) / B)


# --- the generator's step ------------------------------------------------------------------------


@pytest.mark.parametrize(("epoch", "beta", "feedback"), [(2, 1.5, True), (8, 6.0, False), (30, 6.0, True)])
def test_generator_step(rng, nets, semantics, data, epoch, beta, feedback):
    x, labels, _ = data
    a = unit(data[2])
    noise = {
        "reparameterisation": rng.normal(size=(B, Z)),
        "target": rng.normal(size=(B, D)),
        "counterfactual": rng.normal(size=(B, K + 1, Z)),
        "wrong": rng.uniform(size=(B, len(SEEN))),
    }
    classes = []
    for label, numbers in zip(labels, noise["wrong"], strict=True):
        others = sorted((n, c) for n, c in zip(numbers, SEEN, strict=True) if c != label)
        classes.append([label, *(c for _, c in others[::-1][:K])])
    a_k = unit(semantics[np.array(classes)])

    def synthesise(nets, z, a, strength):
        return generate(nets["generator"], z, a, strength * feed_back(nets, z, a) if feedback else 0.0)

    def terms(nets):
        mean, logvar = encode(nets["encoder"], x)
        std = np.exp(logvar / 2)
        x_hat = synthesise(nets, mean + std * noise["reparameterisation"], a, 0.6)
        z_k = mean[:, None] + std[:, None] * noise["counterfactual"]
        made = synthesise(nets, z_k.reshape(-1, Z), a_k.reshape(-1, A), 0.4).reshape(B, K + 1, D)
        return {
            "vae": beta_vae(x + 0.2 * noise["target"], x_hat, mean, logvar, beta),
            "adversarial": -criticise(nets["critic"], x_hat, a).mean(),
            "semantic_reconstruction": weighted_l1(decode(nets["decoder"], x_hat)[0], a),
            "contrastive": contrast(x, made, 5.0),
        }

    def expected(nets):
        found = terms(nets)
        return (
            found["vae"]
            + 2.0 * found["adversarial"]
            + 0.3 * found["semantic_reconstruction"]
            + 0.7 * found["contrastive"]
        )

    one = method(semantics)
    view = TrainView(torch.tensor(x, dtype=torch.float32), torch.tensor(labels))
    passes = one.fit(view).passes
    step = passes[int(feedback)][-1]
    assert step.name == "generator"
    zero = torch.zeros(())
    batch = Batch(*(torch.tensor(part) for part in data), progress=Progress(zero + epoch, zero, zero))
    gradients, losses = step_function(step)(tensors(nets), batch, tensors(noise))
    for name, value in (terms(nets) | {"beta": beta}).items():
        assert float(losses.log[name]) == pytest.approx(value, rel=1e-8), name
    agree(losses.total, expected(nets))
    assert set(step.updates) == {"encoder", "generator", "decoder"} | ({"feedback"} if feedback else set())
    agree(gradients, complex_gradient(expected, nets, step.updates))


def test_the_decoders_own_loss_has_no_weight(rng, nets, semantics, data):
    """On real features the released code does not scale it by recons_weight, unlike TF-VAEGAN's."""
    one, a = method(semantics, lambda_r=0.01), unit(data[2])
    step = one.fit(TrainView(torch.tensor(data[0], dtype=torch.float32), torch.tensor(data[1]))).passes[0][0]
    assert step.updates == ("decoder",)
    gradients, losses = step_function(step)(tensors(nets), Batch(*(torch.tensor(part) for part in data)), {})

    def expected(nets):
        return weighted_l1(decode(nets["decoder"], data[0])[0], a)

    agree(losses.total, expected(nets))
    agree(gradients, complex_gradient(expected, nets, ("decoder",)))


def test_encoding_gives_back_what_sample_takes(rng, nets, semantics, data):
    one, all_nets = method(semantics), tensors(nets)
    g, a = torch.tensor(data[0]), torch.tensor(semantics[:B])
    mean, logvar = encode(nets["encoder"], data[0])
    prior = rng.normal(size=(B, Z))
    found = one.encode(all_nets, g, a, {})
    agree(found["prior"], mean)
    found = one.encode(all_nets, g, a, {"prior": torch.tensor(prior)})
    agree(found["prior"], mean + np.exp(logvar / 2) * prior)
    fake = one.sample(all_nets, a, found)
    z, a = found["prior"].numpy(), unit(semantics[:B])
    agree(fake, generate(nets["generator"], z, a, 0.4 * feed_back(nets, z, a)))


# --- the decision --------------------------------------------------------------------------------


def adam(weight, bias, inputs, labels, order, lr, beta1):
    """Softmax regression by Adam, one step after the other, for one image."""
    parameters = [weight.copy(), bias.copy()]
    first, second = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    for t, rows in enumerate(order, start=1):
        x, y = inputs[rows], labels[rows]
        logits = x @ parameters[0].T + parameters[1]
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(y)), y] -= 1
        gradients = [p.T @ x / len(y), p.mean(0)]
        for k, gradient in enumerate(gradients):
            first[k] = beta1 * first[k] + (1 - beta1) * gradient
            second[k] = 0.999 * second[k] + 0.001 * gradient**2
            corrected = second[k] / (1 - 0.999**t)
            parameters[k] -= lr * first[k] / (1 - beta1**t) / (np.sqrt(corrected) + 1e-8)
    return parameters


def test_every_image_has_a_classifier_of_its_own(rng):
    images, n, classes = 3, 8, 4
    inputs, labels = rng.normal(size=(images, n, D)), rng.integers(classes, size=n)
    order = np.array([rng.permutation(n)[:5] for _ in range(6)])
    weight, bias = rng.normal(size=(classes, D)), rng.normal(size=classes)
    arguments = (torch.tensor(part) for part in (inputs, labels, order, weight, bias))
    weights, biases = decision.fit_softmax(*arguments, 0.05, 0.5)
    for k in range(images):
        expected = adam(weight, bias, inputs[k], labels, order, 0.05, 0.5)
        agree(weights[k], expected[0])
        agree(biases[k], expected[1])


def log_softmax(rng, *shape):
    x = rng.normal(size=shape) * 3
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_the_decision_chooses_the_group_and_stage_two_the_class(rng):
    n = 200
    of_image = log_softmax(rng, n, len(SEEN) + len(UNSEEN))
    seen, unseen = log_softmax(rng, n, len(SEEN)), log_softmax(rng, n, len(UNSEEN))
    ids = [torch.tensor(SEEN), torch.tensor(UNSEEN)]

    def winners(decision_, scores):
        found, groups = [], [SEEN, UNSEEN]
        for row in range(n):
            group = 0 if decision_[row].argmax() in SEEN else 1
            found.append(groups[group][(seen, unseen)[group][row].argmax()])
        return found, scores.argmax(1).tolist()

    def scores_of(decision_):
        return decision.two_stage(*(torch.tensor(x) for x in (decision_, seen, unseen)), *ids).numpy()

    plain = scores_of(of_image)
    expected, found = winners(of_image, plain)
    assert found == expected
    assert len(set(found)) > 3
    for gamma in (-1.0, 0.5, 2.0):
        shifted, moved = of_image.copy(), plain.copy()
        shifted[:, UNSEEN] += gamma
        moved[:, UNSEEN] += gamma
        expected, found = winners(shifted, moved)
        assert found == expected
