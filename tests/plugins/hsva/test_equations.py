"""HSVA's steps and their gradients against plain NumPy in float64, written from the paper's and the released
code's description."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import affine, agree, gradient_of, leaky, numerical_gradient, random_net, tensors

from zslbench.plugin import Batch, ClassSpace, Progress
from zslbench_hsva import losses, networks as hsva_networks
from zslbench_hsva.generator import HSVA
from zslbench_hsva.settings import HSVASettings

B, D, A, Z, H, S, C, K = 5, 4, 3, 2, 4, 3, 5, 6
"""Rows, features, attributes, latent, hidden, structure-aligned, the classifiers' hidden, directions."""
SEEN, UNSEEN = [0, 2, 3], [1, 4]
LABELS = [2, 0, 3, 3, 2]
ENCODERS, CLASSIFIERS = ("visual_encoder", "semantic_encoder"), ("classifier1", "classifier2")
SEMANTICS = np.random.default_rng(7).normal(size=(5, A))


def hsva(**settings):
    space = ClassSpace(tuple("abcde"), torch.tensor(SEMANTICS), torch.tensor(SEEN), torch.tensor(UNSEEN))
    sizes = {"latent": Z, "structure": S, "hidden": H, "classifier_hidden": C, "directions": K}
    return HSVA(HSVASettings(**sizes, **settings), space)


def networks(rng):
    nets = {
        "visual_encoder": random_net(rng, hidden=(H, D), out=(S, H)),
        "semantic_encoder": random_net(rng, hidden=(H, A), out=(S, H)),
        "common_encoder": random_net(rng, hidden=(S, S), mean=(Z, S), logvar=(Z, S)),
        "visual_decoder": random_net(rng, hidden=(H, Z), out=(D, H)),
        "semantic_decoder": random_net(rng, hidden=(H, Z), out=(A, H)),
        "classifier1": random_net(rng, hidden=(C, S), out=(len(SEEN), C)),
        "classifier2": random_net(rng, hidden=(C, S), out=(len(SEEN), C)),
    }
    for name in CLASSIFIERS:
        nets[name] |= {"norm.weight": rng.normal(size=C), "norm.bias": rng.normal(size=C)}
    return {name: {key: 0.5 * value for key, value in net.items()} for name, net in nets.items()}


def encoded(net, x):
    return affine(net, "out", leaky(affine(net, "hidden", x)))


def logits(net, h):
    """Linear, batch norm with this batch's own statistics, ReLU, linear."""
    x = affine(net, "hidden", h)
    mean = sum(x) / len(x)
    variance = sum((row - mean) ** 2 for row in x) / len(x)
    normal = (x - mean) / np.sqrt(variance + 1e-5) * net["norm.weight"] + net["norm.bias"]
    return affine(net, "out", np.maximum(normal, 0))


def softmax(x):
    return np.array([np.exp(row) / np.exp(row).sum() for row in x])


def supervised(nets, x, a):
    """The cross-entropies of both classifiers on both modalities; columns follow the seen classes."""
    columns = [SEEN.index(label) for label in LABELS]
    total = 0.0
    for of, rows in zip(ENCODERS, (x, a), strict=True):
        for name in CLASSIFIERS:
            p = softmax(logits(nets[name], encoded(nets[of], rows)))
            total += -np.mean([np.log(p[i, column]) for i, column in enumerate(columns)])
    return total


def sliced(p, q, directions):
    total = 0.0
    for one in directions.T:
        one = one / np.sqrt((one**2).sum())
        total += np.mean((np.sort(p @ one) - np.sort(q @ one)) ** 2)
    return total / directions.shape[1]


def discrepancy(nets, x, a, directions):
    total = 0.0
    for of, rows, axes in zip(ENCODERS, (x, a), directions, strict=True):
        h = encoded(nets[of], rows)
        total += sliced(*(softmax(logits(nets[name], h)) for name in CLASSIFIERS), axes)
    return total


def ramp(epoch, start, end):
    return min(max((epoch - start) / (end - start), 0), 1)


def delta(epoch):
    return 8.0 * ramp(epoch, 0, 25)


def posterior(net, h):
    hidden = leaky(affine(net, "hidden", h))
    return affine(net, "mean", hidden), affine(net, "logvar", hidden)


def coral(x, y):
    covariance = lambda z: np.cov(z.T, ddof=1).reshape(z.shape[1], z.shape[1])  # noqa: E731
    return np.mean((covariance(x) - covariance(y)) ** 2)


def distribution(nets, x, a, noise, epoch):
    gaussians, codes = {}, {}
    unseen = SEMANTICS[noise["unseen"]]
    for name, of, rows in (
        ("visual", "visual_encoder", x), ("semantic", "semantic_encoder", a),
        ("unseen_semantic", "semantic_encoder", unseen),
    ):  # fmt: skip
        mean, logvar = posterior(nets["common_encoder"], encoded(nets[of], rows))
        gaussians[name] = mean, logvar
        codes[name] = mean + np.exp(0.1 * logvar) * noise[name]

    def apart(to_x, to_a):
        return (
            np.abs(encoded(nets["visual_decoder"], to_x) - x).sum()
            + np.abs(encoded(nets["semantic_decoder"], to_a) - a).sum()
        )

    (mean_x, log_x), (mean_a, log_a) = gaussians["visual"], gaussians["semantic"]
    parts = {
        "reconstruction": apart(codes["visual"], codes["semantic"]),
        "cross": apart(codes["semantic"], codes["visual"]),
        "kl": sum(
            -0.5 * (1 + log - mean**2 - np.exp(log)).sum()
            for mean, log in (gaussians["visual"], gaussians["semantic"])
        ),
        "distance": sum(
            np.sqrt(
                ((mean_x[i] - mean_a[i]) ** 2).sum()
                + ((np.exp(log_x[i] / 2) - np.exp(log_a[i] / 2)) ** 2).sum()
            )
            for i in range(len(x))
        ),
        "coral": coral(codes["visual"], codes["unseen_semantic"]),
    }
    total = (
        parts["reconstruction"]
        + 2.37 * ramp(epoch, 21, 75) * parts["cross"]
        + 0.25 * ramp(epoch, 0, 90) * parts["kl"]
        + delta(epoch) * (parts["distance"] - parts["coral"])
    )
    return total, parts


def batch_of(x, a, epoch):
    zero = torch.tensor(0.0).double()
    progress = Progress(torch.tensor(float(epoch)).double(), zero, zero)
    return Batch(torch.tensor(x), torch.tensor(LABELS), torch.tensor(a), progress)


@pytest.fixture
def rng():
    """Of numbers at which no kink (of a maximum, an order or a modulus) is within a step of differences."""
    return np.random.default_rng(0)


@pytest.fixture
def case(rng):
    """Networks, features, semantics and directions."""
    return (
        networks(rng),
        rng.uniform(size=(B, D)),
        rng.normal(size=(B, A)),
        rng.normal(size=(2, len(SEEN), K)),
    )


def drawn(directions):
    return dict(zip(("visual_directions", "semantic_directions"), map(torch.tensor, directions), strict=True))


def test_the_supervised_step(case):
    nets, x, a, _ = case
    batch, model = batch_of(x, a, 10), hsva()
    agree(model.supervised_losses(tensors(nets), batch, {}).total, supervised(nets, x, a))
    of = (*ENCODERS, *CLASSIFIERS)
    found = gradient_of(lambda given: model.supervised_losses(given, batch, {}).total, nets, of)
    agree(found, numerical_gradient(lambda given: supervised(given, x, a), nets, of), 1e-7)


@pytest.mark.parametrize("epoch", [0, 10, 40])
def test_the_step_that_maximises_the_discrepancy(case, epoch):
    nets, x, a, directions = case
    batch, model, noise = batch_of(x, a, epoch), hsva(), drawn(directions)

    def loss(given):
        return supervised(given, x, a) - delta(epoch) * discrepancy(given, x, a, directions)

    done = model.maximise_losses(tensors(nets), batch, noise)
    agree(done.total, loss(nets))
    agree(
        dict(done.log),
        {"supervised": supervised(nets, x, a), "discrepancy": discrepancy(nets, x, a, directions)},
    )
    if epoch == 10:
        found = gradient_of(lambda given: model.maximise_losses(given, batch, noise).total, nets, CLASSIFIERS)
        agree(found, numerical_gradient(loss, nets, CLASSIFIERS), 1e-7)


@pytest.mark.parametrize("epoch", [10])
def test_the_step_that_minimises_the_discrepancy(case, epoch):
    nets, x, a, directions = case
    batch, model, noise = batch_of(x, a, epoch), hsva(), drawn(directions)

    def loss(given):
        return delta(epoch) * discrepancy(given, x, a, directions)

    done = model.minimise_losses(tensors(nets), batch, noise)
    agree(done.total, loss(nets))
    agree(done.log["discrepancy"], discrepancy(nets, x, a, directions))
    found = gradient_of(lambda given: model.minimise_losses(given, batch, noise).total, nets, ENCODERS)
    agree(found, numerical_gradient(loss, nets, ENCODERS), 1e-7)


@pytest.mark.parametrize("epoch", [0, 12, 50, 200])
def test_the_distribution_step(rng, case, epoch):
    nets, x, a, _ = case
    noise = {name: rng.normal(size=(B, 1)) for name in ("visual", "semantic", "unseen_semantic")}
    noise["unseen"] = rng.choice(UNSEEN, size=B)
    batch, model, given = batch_of(x, a, epoch), hsva(), tensors(noise)
    done = model.distribution_losses(tensors(nets), batch, given)
    total, parts = distribution(nets, x, a, noise, epoch)
    agree(done.total, total)
    agree(dict(done.log), parts)
    if epoch == 50:
        of = (*ENCODERS, "common_encoder", "visual_decoder", "semantic_decoder")
        found = gradient_of(lambda some: model.distribution_losses(some, batch, given).total, nets, of)
        agree(
            found, numerical_gradient(lambda some: distribution(some, x, a, noise, epoch)[0], nets, of), 1e-7
        )


def test_samples_are_codes_of_semantics_and_inputs_codes_of_features(rng, case):
    nets, x, a, _ = case
    model, eps = hsva(), rng.normal(size=(B, 1))
    for name, of, code in (("semantic", a, model.sample), ("visual", x, model.transform)):
        mean, logvar = posterior(nets["common_encoder"], encoded(nets[f"{name}_encoder"], of))
        agree(
            code(tensors(nets), torch.tensor(of), {name: torch.tensor(eps)}),
            mean + np.exp(0.1 * logvar) * eps,
        )
        if name == "visual":
            agree(code(tensors(nets), torch.tensor(of), {}), mean)


# --- parts, and cases by hand ---------------------------------------------------------------------------


def test_networks(case):
    nets, x, _, _ = case
    given = tensors(nets)
    h = encoded(nets["visual_encoder"], x)
    agree(hsva_networks.encode(given["visual_encoder"], torch.tensor(x)), h)
    agree(hsva_networks.classify(given["classifier1"], torch.tensor(h)), logits(nets["classifier1"], h))
    for found, expected in zip(
        hsva_networks.posterior(given["common_encoder"], torch.tensor(h)),
        posterior(nets["common_encoder"], h),
        strict=True,
    ):
        agree(found, expected)


def test_sliced_wasserstein_by_hand():
    """Along the first axis (of any length) the masses lie at 1 and 0, and both at ½: (½² + ½²) / 2."""
    p, q = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double(), torch.full((2, 2), 0.5).double()
    agree(losses.sliced_wasserstein(p, q, torch.tensor([[2.0], [0.0]]).double()), 0.25)
    agree(losses.sliced_wasserstein(p, p.flip(0), torch.tensor([[2.0, 1.0], [0.0, 3.0]]).double()), 0.0)


def test_sliced_wasserstein_and_its_gradient(rng):
    p, q, directions = (
        softmax(rng.normal(size=(B, 3))),
        softmax(rng.normal(size=(B, 3))),
        rng.normal(size=(3, K)),
    )
    axes = torch.tensor(directions)
    agree(losses.sliced_wasserstein(torch.tensor(p), torch.tensor(q), axes), sliced(p, q, directions))
    nets = {"of": {"p": p, "q": q}}
    found = gradient_of(
        lambda of: losses.sliced_wasserstein(of["of"]["p"], of["of"]["q"], axes), nets, ("of",)
    )
    expected = numerical_gradient(lambda of: sliced(of["of"]["p"], of["of"]["q"], directions), nets, ("of",))
    agree(found, expected)


def test_coral_by_hand():
    """Covariances (with b − 1) of [[2, 0], [0, 0]] and 0: the mean of 4, 0, 0 and 0."""
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double()
    agree(losses.coral(x, torch.ones(2, 2).double()), 1.0)


def test_coral_and_its_gradient(rng):
    x, y = rng.normal(size=(2, B, Z))
    agree(losses.coral(torch.tensor(x), torch.tensor(y)), coral(x, y))
    nets = {"of": {"x": x, "y": y}}
    found = gradient_of(lambda of: losses.coral(of["of"]["x"], of["of"]["y"]), nets, ("of",))
    agree(found, numerical_gradient(lambda of: coral(of["of"]["x"], of["of"]["y"]), nets, ("of",)))
