"""LisGAN's soul samples and losses against plain NumPy, written from their description, in float64."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from by_hand import affine, agree, gradient_of, leaky, random_net, tensors
from complex_step import complex_gradient, relu

from zslbench.plugin import Batch, ClassSpace
from zslbench_clswgan import lisgan
from zslbench_clswgan.settings import LisGANSettings

B, D, A, H, Z, CLASSES, CLUSTERS, FAKES = 4, 4, 3, 5, 2, 4, 3, 6
SEEN, UNSEEN = (0, 2, 3), (1,)
LABELS = np.array([2, 0, 3, 2])


@pytest.fixture(params=range(2))
def rng(request):
    return np.random.default_rng(request.param)


def squared(x, y):
    return sum((p - q) ** 2 for p, q in zip(x, y, strict=True))


def nearest(x, souls):
    return min((squared(x, soul) for soul in souls), key=np.real)


# --- soul samples -------------------------------------------------------------------------------------------


def centres_of(found):
    return sorted(tuple(np.round(one, 9)) for one in found.numpy())


def test_soul_samples_of_separate_groups_are_their_means(rng):
    groups = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = np.concatenate([g + rng.uniform(-1, 1, size=(5, 2)) for g in groups])
    means = [points[5 * k : 5 * k + 5].mean(axis=0) for k in range(3)]
    x = np.concatenate([points, 50 + points])
    labels = np.repeat([3, 1], 15)
    shuffled = rng.permutation(30)
    found = lisgan.soul_samples(torch.tensor(x[shuffled]), torch.tensor(labels[shuffled]), CLASSES, 3)
    assert found.shape == (CLASSES, 3, 2)
    assert centres_of(found[3]) == sorted(tuple(np.round(m, 9)) for m in means)
    assert centres_of(found[1]) == sorted(tuple(np.round(m + 50, 9)) for m in means)
    assert not found[[0, 2]].any()


def test_each_soul_sample_is_the_mean_of_the_images_nearest_to_it(rng):
    x = rng.normal(size=(40, D))
    souls = lisgan.soul_samples(torch.tensor(x), torch.zeros(40, dtype=torch.int64), 1, 3)[0].numpy()
    closest = np.array([np.argmin([squared(one, soul) for soul in souls]) for one in x])
    for k in range(3):
        np.testing.assert_allclose(souls[k], x[closest == k].mean(axis=0), atol=1e-9)


def test_a_class_with_fewer_different_images_than_clusters_repeats_its_centres():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    souls = lisgan.soul_samples(x, torch.zeros(3, dtype=torch.int64), 1, 3)[0]
    assert {tuple(one) for one in souls.tolist()} == {(1.0, 0.0), (3.0, 4.0)}


# --- losses -------------------------------------------------------------------------------------------------


def test_to_nearest_by_hand():
    souls = torch.tensor([[[0.0, 0.0], [3.0, 0.0]], [[1.0, 1.0], [0.0, 9.0]]])
    assert lisgan.to_nearest(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), souls).tolist() == [1.0, 1.0]


def test_to_nearest(rng):
    x, souls = rng.normal(size=(B, D)), rng.normal(size=(B, CLUSTERS, D))
    found = lisgan.to_nearest(torch.tensor(x), torch.tensor(souls))
    agree(found, np.array([nearest(one, its) for one, its in zip(x, souls, strict=True)]))


def sample_loss(fake, souls):
    """The code's loss2: of every fake the nearest soul sample of its class."""
    return np.mean([nearest(x, souls[c]) for x, c in zip(fake, LABELS, strict=True)])


def mean_loss(fakes, souls):
    """The code's loss1: of every class's mean fake the nearest soul sample."""
    return np.mean([nearest(np.mean(one, axis=0), its) for one, its in zip(fakes, souls, strict=True)])


def test_sample_loss(rng):
    nets = {"x": {"x": rng.normal(size=(B, D))}}
    souls = rng.normal(size=(CLASSES, CLUSTERS, D))

    def found(nets):
        return lisgan.sample_loss(nets["x"]["x"], torch.tensor(LABELS), torch.tensor(souls))

    def expected(nets):
        return sample_loss(nets["x"]["x"], souls)

    agree(found(tensors(nets)), expected(nets))
    agree(gradient_of(found, nets, ("x",)), complex_gradient(expected, nets, ("x",)))


def test_mean_loss(rng):
    nets = {"x": {"x": rng.normal(size=(len(SEEN), FAKES, D))}}
    souls = rng.normal(size=(len(SEEN), CLUSTERS, D))

    def found(nets):
        return lisgan.mean_loss(nets["x"]["x"], torch.tensor(souls))

    def expected(nets):
        return mean_loss(nets["x"]["x"], souls)

    agree(found(tensors(nets)), expected(nets))
    agree(gradient_of(found, nets, ("x",)), complex_gradient(expected, nets, ("x",)))


def test_mean_loss_compares_means_not_images():
    """Two fakes around a soul sample: each is far from it, their mean is not."""
    fakes = torch.tensor([[[1.0, 1.0], [-1.0, -1.0]]])
    assert lisgan.mean_loss(fakes, torch.tensor([[[0.0, 0.0], [7.0, 7.0]]])).item() == 0


# --- the generator step -------------------------------------------------------------------------------------


def test_generator_step(rng):
    semantics = rng.normal(size=(CLASSES, A))
    space = ClassSpace(tuple("abcd"), torch.tensor(semantics), torch.tensor(SEEN), torch.tensor(UNSEEN))
    settings = LisGANSettings(
        hidden=H, latent=Z, beta=0.3, lambda_mean=0.7, lambda_sample=1.3, clusters=CLUSTERS, class_fakes=FAKES
    )
    method = lisgan.LisGAN(settings, space)
    nets = {
        "generator": random_net(rng, hidden=(H, Z + A), out=(D, H)),
        "critic": random_net(rng, hidden=(H, D + A), out=(1, H)),
        "classifier": random_net(rng, out=(CLASSES, D)),
        "souls": {"centres": rng.normal(size=(CLASSES, CLUSTERS, D))},
    }
    z, class_z = rng.normal(size=(B, Z)), rng.normal(size=(len(SEEN), FAKES, Z))
    batch = Batch(
        torch.tensor(rng.uniform(size=(B, D))), torch.tensor(LABELS), torch.tensor(semantics[LABELS])
    )

    def generated(net, z, a):
        return relu(affine(net, "out", leaky(affine(net, "hidden", np.hstack([z, a])))))

    def parts(nets):
        a = semantics[LABELS]
        fake = generated(nets["generator"], z, a)
        logits = affine(nets["classifier"], "out", fake)
        classification = np.mean(
            [np.log(sum(np.exp(row[list(SEEN)]))) - row[c] for row, c in zip(logits, LABELS, strict=True)]
        )
        judged = affine(nets["critic"], "out", leaky(affine(nets["critic"], "hidden", np.hstack([fake, a]))))
        fakes = [
            generated(nets["generator"], class_z[k], np.tile(semantics[c], (FAKES, 1)))
            for k, c in enumerate(SEEN)
        ]
        souls = nets["souls"]["centres"]
        of_mean, of_sample = mean_loss(fakes, souls[list(SEEN)]), sample_loss(fake, souls)
        return -judged.mean(), classification, of_mean, of_sample

    def expected(nets):
        return np.dot(parts(nets), [1, 0.3, 0.7, 1.3])

    noise = tensors({"prior": z, "class_prior": class_z})
    run = partial(method.generator_losses, batch=batch, noise=noise)
    losses = run(tensors(nets))
    agree(losses.total, expected(nets))
    agree(losses.log["soul_of_mean"], parts(nets)[2])
    agree(losses.log["soul_of_sample"], parts(nets)[3])
    found = gradient_of(lambda nets: run(nets).total, nets, ("generator",))
    agree(found, complex_gradient(expected, nets, ("generator",)))
