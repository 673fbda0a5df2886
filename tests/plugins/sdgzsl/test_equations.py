"""SDGZSL's networks and losses against plain NumPy, from the released code's description, in float64.

Gradients are checked by the complex step. The code is uqzhichen/SDGZSL at dc6cda5.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from by_hand import affine, agree, leaky, random_net, tensors
from complex_step import complex_gradient, held, log_sum_exp, relu, sigmoid

from zslbench.plugin import Batch, ClassSpace, Step
from zslbench.training.step import step_function
from zslbench_sdgzsl import generator, networks
from zslbench_sdgzsl.settings import SDGZSLSettings

B, D, A, H, C, Z, S = 6, 5, 3, 4, 3, 2, 2
CLASSES = 5
LABELS = np.array([3, 0, 3, 1, 0, 3])
EPS = 0.8
"""The released code gives BatchNorm1d 0.8 as its second argument, which is ε."""
SHAPES = {
    "encoder": {"first": (H, D + A), "second": (H, H), "code": (C, H), "mean": (Z, C), "variance": (Z, C)},
    "decoder": {"first": (H, Z + A), "second": (H, H), "third": (H, H), "out": (D, H)},
    "autoencoder": {"encoder": (2 * S, D), "hidden": (H, 2 * S), "out": (D, H)},
    "relation": {"hidden": (H, S + A), "out": (1, H)},
    "discriminator": {"out": (2, 2 * S)},
}


@pytest.fixture(params=range(2))
def rng(request):
    return np.random.default_rng(request.param)


@pytest.fixture
def nets(rng):
    """Weights, biases and norms of order one, so that every term shows."""
    made = {net: random_net(rng, **layers) for net, layers in SHAPES.items()}
    for layer in ("second", "third"):
        made["decoder"][f"{layer}.norm.weight"] = rng.normal(size=H)
        made["decoder"][f"{layer}.norm.bias"] = rng.normal(size=H)
    return made


@pytest.fixture
def state(rng):
    return {
        f"{layer}.{moment}": rng.uniform(0.5, 2, size=H)
        for layer in ("second", "third")
        for moment in ("mean", "variance")
    }


@pytest.fixture
def semantics(rng):
    return rng.normal(size=(CLASSES, A))


def drop(keep, layer, x):
    return x * keep[layer] if layer in keep else x


# --- networks, in NumPy ------------------------------------------------------------------------------


def encode(net, x, a, keep):
    hidden = leaky(affine(net, "first", np.concatenate([x, a], axis=1)))
    hidden = leaky(drop(keep, "second", affine(net, "second", hidden)))
    code = affine(net, "code", hidden)
    variance = np.log(1 + np.exp(drop(keep, "variance", affine(net, "variance", code))))
    return affine(net, "mean", code), variance


def batch_norm(net, layer, x, running, moments):
    if running is None:
        mean, variance = x.mean(axis=0), ((x - x.mean(axis=0)) ** 2).mean(axis=0)
        moments[f"{layer}.mean"], moments[f"{layer}.variance"] = mean, variance * len(x) / (len(x) - 1)
    else:
        mean, variance = running[f"{layer}.mean"], running[f"{layer}.variance"]
    return (x - mean) / np.sqrt(variance + EPS) * net[f"{layer}.norm.weight"] + net[f"{layer}.norm.bias"]


def decode(net, z, a, keep, running=None):
    """There is no activation between the second and the third layer."""
    moments = {}
    x = leaky(drop(keep, "first", affine(net, "first", np.concatenate([z, a], axis=1))))
    x = drop(keep, "second", batch_norm(net, "second", affine(net, "second", x), running, moments))
    x = leaky(drop(keep, "third", batch_norm(net, "third", affine(net, "third", x), running, moments)))
    return leaky(affine(net, "out", x)), moments


def disentangle(net, x, keep):
    return drop(keep, "encoder", leaky(affine(net, "encoder", x)))


def reconstruct(net, h, keep):
    hidden = drop(keep, "hidden", leaky(affine(net, "hidden", h)))
    return drop(keep, "out", leaky(affine(net, "out", hidden)))


def relate(net, s, a):
    pairs = [
        [sigmoid(affine(net, "out", relu(affine(net, "hidden", np.concatenate([one, other])[None]))))[0, 0]
         for other in a]
        for one in s
    ]  # fmt: skip
    return np.array(pairs)


def discriminate(net, h):
    return sigmoid(affine(net, "out", h))


# --- losses, in NumPy --------------------------------------------------------------------------------


def cvae_loss(x, reconstruction, mean, variance, kl_weight):
    kl = -0.5 * (1 + np.log(variance) - mean**2 - variance).sum()
    return (((reconstruction - x) ** 2).sum() + kl_weight * kl) / len(x)


def relation_loss(net, s, semantics, labels):
    """MSE to one-hot labels over the classes of the batch, in any order."""
    present = sorted(set(labels.tolist()))
    one_hot = np.array([[float(label == one) for one in present] for label in labels])
    return ((relate(net, s, semantics[present]) - one_hot) ** 2).mean()


def tc_loss(scores):
    return (scores[:, 0] - scores[:, 1]).mean()


def discrimination_loss(joint, permuted):
    """Cross-entropies of softmax over the two sigmoid outputs."""
    return (log_sum_exp(joint) - joint[:, 0]).mean() + (log_sum_exp(permuted) - permuted[:, 1]).mean()


# --- networks ----------------------------------------------------------------------------------------


def masks(rng, shapes, rate=0.4):
    return {name: (rng.uniform(size=shape) >= rate) / (1 - rate) for name, shape in shapes.items()}


@pytest.mark.parametrize("dropping", [False, True])
def test_encoder(rng, nets, dropping):
    x, a = rng.uniform(size=(B, D)), rng.normal(size=(B, A))
    keep = masks(rng, {"second": (B, H), "variance": (B, Z)}) if dropping else {}
    actual = networks.encode(*tensors_of(nets["encoder"], x, a), tensors(keep))
    for one, expected in zip(actual, encode(nets["encoder"], x, a, keep), strict=True):
        agree(one, expected)


@pytest.mark.parametrize("dropping", [False, True])
@pytest.mark.parametrize("running", [False, True])
def test_decoder(rng, nets, state, dropping, running):
    z, a = rng.normal(size=(B, Z)), rng.normal(size=(B, A))
    keep = masks(rng, dict.fromkeys(("first", "second", "third"), (B, H))) if dropping else {}
    known = state if running else None
    made, moments = networks.decode(
        *tensors_of(nets["decoder"], z, a), tensors(keep), tensors(state) if running else None
    )
    expected, statistics = decode(nets["decoder"], z, a, keep, known)
    agree(made, expected)
    assert moments.keys() == state.keys()
    for name, moment in (known or statistics).items():
        agree(moments[name], moment)


@pytest.mark.parametrize("dropping", [False, True])
def test_autoencoder(rng, nets, dropping):
    x = rng.uniform(size=(B, D))
    net, keep = nets["autoencoder"], {}
    if dropping:
        keep = masks(rng, {"encoder": (B, 2 * S), "hidden": (B, H), "out": (B, D)})
    h = networks.disentangle(tensors(net), torch.tensor(x), tensors(keep))
    agree(h, disentangle(net, x, keep))
    agree(networks.reconstruct(tensors(net), h, tensors(keep)), reconstruct(net, h.numpy(), keep))


def test_relation(rng, nets):
    s, a = rng.normal(size=(B, S)), rng.normal(size=(4, A))
    agree(networks.relate(*tensors_of(nets["relation"], s, a)), relate(nets["relation"], s, a))


def test_discriminator(rng, nets):
    h = rng.normal(size=(B, 2 * S))
    actual = networks.discriminate(tensors(nets["discriminator"]), torch.tensor(h))
    agree(actual, discriminate(nets["discriminator"], h))


def tensors_of(net, *arrays):
    return tensors(net), *(torch.tensor(one) for one in arrays)


# --- single losses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
def test_cvae_loss(rng, kl_weight):
    x, made, mean = rng.uniform(size=(B, D)), rng.normal(size=(B, D)), rng.normal(size=(B, Z))
    variance = rng.uniform(0.2, 3, size=(B, Z))
    arrays = (torch.tensor(one) for one in (x, made, mean, variance))
    agree(generator.cvae_loss(*arrays, kl_weight), cvae_loss(x, made, mean, variance, kl_weight))


def test_a_standard_posterior_costs_only_the_reconstruction():
    """By hand: (1² + 2²) / 1, whatever the weight of a divergence that is zero."""
    loss = generator.cvae_loss(
        torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2), torch.ones(1, 2), 7.0
    )
    assert float(loss) == 5.0


def test_relation_loss_counts_each_class_of_the_batch_once(rng, nets, semantics):
    s = rng.normal(size=(B, S))
    relations = torch.tensor(relate(nets["relation"], s, semantics[LABELS]))
    actual = generator.relation_loss(relations, torch.tensor(LABELS))
    agree(actual, relation_loss(nets["relation"], s, semantics, LABELS))


def test_relation_loss_by_hand():
    """Labels 7, 7, 2: so relations to two classes, with targets (1, 0), (1, 0), (0, 1)."""
    to_seven, to_two = [0.9, 0.5, 0.25], [0.5, 0.0, 0.75]
    relations = torch.tensor([to_seven, to_seven, to_two]).T.double()
    expected = (0.1**2 + 0.5**2 + 0.25**2 + 0.5**2 + 0.0 + 0.25**2) / 6
    assert float(generator.relation_loss(relations, torch.tensor([7, 7, 2]))) == pytest.approx(
        expected, rel=1e-7
    )


def test_total_correlation_losses(rng):
    joint, permuted = rng.uniform(size=(B, 2)), rng.uniform(size=(B, 2))
    agree(generator.tc_loss(torch.tensor(joint)), tc_loss(joint))
    actual = generator.discrimination_loss(torch.tensor(joint), torch.tensor(permuted))
    agree(actual, discrimination_loss(joint, permuted))


def test_an_undecided_discriminator_costs_twice_log_2():
    undecided = torch.full((3, 2), 0.4)
    assert float(generator.discrimination_loss(undecided, undecided)) == pytest.approx(2 * math.log(2))
    assert float(generator.tc_loss(undecided)) == 0


def test_permuted_by_hand():
    h = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    swapped = generator.permuted(h, torch.tensor([1, 0]), torch.tensor([0, 1]))
    assert swapped.tolist() == [[5.0, 6.0, 3.0, 4.0], [1.0, 2.0, 7.0, 8.0]]


# --- the whole iteration ------------------------------------------------------------------------------

RATES = {"encoder": 0.4, "variance": 0.2, "decoder": 0.5, "autoencoder": 0.3}
SETTINGS = SDGZSLSettings(
    hidden=H,
    code=C,
    latent=Z,
    factor=S,
    kl_warmup=0.02,
    tc_warmup=0.01,
    relation_weight=3.0,
    tc_weight=0.7,
    discriminator_weight=0.6,
    encoder_dropout=RATES["encoder"],
    variance_dropout=RATES["variance"],
    decoder_dropout=RATES["decoder"],
    autoencoder_dropout=RATES["autoencoder"],
)
EPOCH = 30  # weights 0.6 and 0.3
DROPS = {
    "encoder.second": (H, "encoder"),
    "encoder.variance": (Z, "variance"),
    **{f"decoder.{layer}": (H, "decoder") for layer in ("first", "second", "third")},
    **{
        f"{which}.{layer}": (width, "autoencoder")
        for which in ("synthetic", "real")
        for layer, width in (("encoder", 2 * S), ("hidden", H), ("out", D))
    },
}


def keep_of(noise, part):
    return {
        name.partition(".")[2]: (noise[name] >= RATES[rate]) / (1 - RATES[rate])
        for name, (_, rate) in DROPS.items()
        if name.partition(".")[0] == part
    }


def iteration(nets, x, labels, semantics, noise, tc, kl_weight=0.6, tc_weight=0.3 * 0.7):
    """The losses of one iteration of train.py (L150-L200), all networks' in one sum."""
    a = semantics[labels]
    mean, variance = encode(nets["encoder"], x, a, keep_of(noise, "encoder"))
    z = mean + np.sqrt(variance) * noise["reparameterisation"]
    made, _ = decode(nets["decoder"], z, a, keep_of(noise, "decoder"))
    total = cvae_loss(x, made, mean, variance, kl_weight)
    for which, features in (("synthetic", made), ("real", x)):
        keep = keep_of(noise, which)
        h = disentangle(nets["autoencoder"], features, keep)
        total = total + 3.0 * relation_loss(nets["relation"], h[:, :S], semantics, labels)
        total = total + ((reconstruct(nets["autoencoder"], h, keep) - x) ** 2).mean()
        if tc:
            constant = {name: held(one) for name, one in nets["discriminator"].items()}
            total = total + tc_weight * tc_loss(discriminate(constant, h))
        else:
            mixed = np.concatenate(
                [h[noise[f"{which}.semantic"], :S], h[noise[f"{which}.unrelated"], S:]], axis=1
            )
            joint, permuted = (discriminate(nets["discriminator"], held(one)) for one in (h, mixed))
            total = total + 0.6 * discrimination_loss(joint, permuted)
    return total


@pytest.fixture
def drawn(rng):
    noise = {name: rng.uniform(size=(B, width)) for name, (width, _) in DROPS.items()}
    noise["reparameterisation"] = rng.normal(size=(B, Z))
    for which in ("synthetic", "real"):
        for part in ("semantic", "unrelated"):
            noise[f"{which}.{part}"] = rng.permutation(B)
    return noise


@pytest.fixture
def component(semantics):
    space = ClassSpace(
        names=tuple("abcde"),
        semantics=torch.tensor(semantics),
        seen=torch.tensor([0, 1, 3]),
        unseen=torch.tensor([2, 4]),
    )
    return generator.SDGZSL(SETTINGS, space)


def batch_of(x, semantics):
    plain = Batch(torch.tensor(x), torch.tensor(LABELS), torch.tensor(semantics[LABELS]))
    progress = plain.progress._replace(epoch=torch.tensor(float(EPOCH)))
    return plain._replace(progress=progress)


@pytest.mark.parametrize("tc", [True, False])
def test_an_iteration_and_its_gradients(rng, nets, state, semantics, drawn, component, tc):
    x = rng.uniform(size=(B, D))
    trained = tuple(name for name in SHAPES if not (tc and name == "discriminator"))
    step = Step("all", lambda *given: component.losses(*given, tc=tc), updates=trained)
    found, losses = step_function(step)(
        {**tensors(nets), "state": tensors(state)}, batch_of(x, semantics), tensors(drawn)
    )

    def total(moved):
        return iteration(moved, x, LABELS, semantics, drawn, tc)

    agree(losses.total, total(nets))
    agree(found, complex_gradient(total, nets, trained))


def test_running_statistics_follow_the_batches(rng, nets, state, semantics, drawn, component):
    x = rng.uniform(size=(B, D))
    known = {**tensors(nets), "state": tensors(state)}
    after = component.losses(known, batch_of(x, semantics), tensors(drawn), tc=True).state
    a = semantics[LABELS]
    mean, variance = encode(nets["encoder"], x, a, keep_of(drawn, "encoder"))
    z = mean + np.sqrt(variance) * drawn["reparameterisation"]
    _, moments = decode(nets["decoder"], z, a, keep_of(drawn, "decoder"))
    for name, moment in moments.items():
        agree(after[name], 0.9 * state[name] + 0.1 * moment)


def test_sampling_drops_nothing_and_has_running_statistics(rng, nets, state, semantics, component):
    prior = rng.normal(size=(CLASSES, Z))
    known = {**tensors(nets), "state": tensors(state)}
    made = component.sample(known, torch.tensor(semantics), {"prior": torch.tensor(prior)})
    agree(made, decode(nets["decoder"], prior, semantics, {}, state)[0])


def test_the_classifier_sees_the_semantic_factor(rng, nets, component):
    x = rng.uniform(size=(B, D))
    actual = component.transform(tensors(nets), torch.tensor(x), {})
    agree(actual, disentangle(nets["autoencoder"], x, {})[:, :S])
