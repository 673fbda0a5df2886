"""LisGAN's second classifier: which test images it trusts, and what it is trained on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zslbench.errors import SettingsError
from zslbench.plugin import ClassSpace, TrainView, Transductive
from zslbench_clswgan.classifier import LisGANSoftmax, entropy
from zslbench_clswgan.settings import LisGANSoftmaxSettings

CLASSES, WIDTH, TRAINING, TESTS = 4, 3, 12, 11


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def space():
    return ClassSpace(tuple("abcd"), torch.eye(CLASSES), torch.tensor([0, 1]), torch.tensor([2, 3]))


def classifier(space, **settings):
    return LisGANSoftmax(LisGANSoftmaxSettings(**settings), space)


def test_entropy(rng):
    logits = rng.normal(size=(5, CLASSES))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = [-sum(one * math.log(one) for one in row) for row in p]
    np.testing.assert_allclose(entropy(torch.tensor(np.log(p))), expected, rtol=1e-12)


def test_entropy_by_hand():
    certain, even = [0.0, -math.inf, -math.inf, -math.inf], [math.log(0.25)] * 4
    found = entropy(torch.tensor([certain, even]))
    assert found.tolist() == pytest.approx([0, math.log(4)])


@pytest.mark.parametrize("ratio", [0.2, 0.6, 1.0])
def test_the_most_certain_test_images_are_trusted_with_their_predicted_classes(rng, space, ratio):
    weight, bias = rng.normal(size=(CLASSES, WIDTH)), rng.normal(size=CLASSES)
    test = rng.normal(size=(TESTS, WIDTH))
    nets = {"softmax": {"out.weight": torch.tensor(weight), "out.bias": torch.tensor(bias)}}
    rows, labels = classifier(space, refine=True, ratio=ratio).confident(nets, torch.tensor(test))
    p = np.exp(test @ weight.T + bias)
    p /= p.sum(axis=1, keepdims=True)
    uncertainty = -(p * np.log(p)).sum(axis=1)
    count = math.floor(ratio * TESTS)
    assert sorted(rows.tolist()) == sorted(np.argsort(uncertainty)[:count].tolist())
    assert labels.tolist() == p.argmax(axis=1)[rows.numpy()].tolist()


def view(rng, test=None):
    x = torch.tensor(rng.normal(size=(TRAINING, WIDTH)), dtype=torch.float32)
    return TrainView(x, torch.arange(TRAINING) % CLASSES, test=test)


def test_refining_trains_a_second_classifier_on_trusted_test_images_too(rng, space):
    features = torch.tensor(rng.normal(size=(TESTS, WIDTH)), dtype=torch.float32)
    made, given = classifier(space, refine=True, ratio=0.5), view(rng, Transductive(features=features))
    fit = made.fit(given)
    first = next(fit)
    assert first.name == "first"
    assert not first.paced
    assert torch.equal(first.features, given.features)
    nets = {"softmax": {"out.weight": torch.randn(CLASSES, WIDTH), "out.bias": torch.zeros(CLASSES)}}
    second = fit.send(nets)
    rows, labels = made.confident(nets, features)
    assert second.paced
    assert torch.equal(second.features, torch.cat([given.features, features[rows]]))
    assert torch.equal(second.labels, torch.cat([given.labels, labels]))


def test_refining_needs_a_reading_that_tells_of_test_images_and_the_default_needs_none(rng, space):
    with pytest.raises(SettingsError):
        next(classifier(space, refine=True).fit(view(rng)))
    program = classifier(space).fit(view(rng))
    assert len(program.labels) == TRAINING
