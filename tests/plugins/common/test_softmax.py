"""The softmax classifier."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zslbench.plugin.programs import Batch
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import ClassSpace, TrainView
from zslbench.training.loop import Training, complete
from zslbench_common.settings import SoftmaxSettings
from zslbench_common.softmax import Softmax

CLASSES, D = 4, 6
SPACE = ClassSpace(tuple("abcd"), torch.rand(CLASSES, 3), torch.tensor([0, 1]), torch.tensor([2, 3]))


def clouds(seed, per_class=40):
    random = np.random.default_rng(seed)
    centres = 3 * np.random.default_rng(1).normal(size=(CLASSES, D))
    labels = random.permutation(np.repeat(np.arange(CLASSES), per_class))
    features = centres[labels] + 0.3 * random.normal(size=(len(labels), D))
    return torch.tensor(features, dtype=torch.float32), torch.from_numpy(labels)


def trained(settings, features, labels, seed=0):
    part = Softmax(settings, SPACE)
    done = complete(part.fit(TrainView(features, labels)), SPACE.semantics, Training(Streams(seed)))
    return part, done


def test_separable_classes_are_recovered():
    part, done = trained(SoftmaxSettings(epochs=30, batch_size=40, lr=0.02), *clouds(0))
    features, labels = clouds(2)
    scores = part.scores(done.networks, features)
    assert (scores.argmax(dim=1) == labels).all()
    losses = [row["softmax_loss"] for row in done.epochs]
    assert losses[0] > 5 * losses[-1]


def test_scores_are_log_probabilities():
    part, done = trained(SoftmaxSettings(epochs=1), *clouds(0))
    scores = part.scores(done.networks, clouds(3)[0])
    assert scores.shape == (160, CLASSES)
    torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(160))
    assert (scores < 0).all()


def test_the_loss_is_the_mean_negative_log_likelihood():
    random = np.random.default_rng(5)
    weight, bias = random.normal(size=(CLASSES, D)), random.normal(size=CLASSES)
    features, labels = random.normal(size=(7, D)), random.integers(0, CLASSES, size=7)
    expected = 0.0
    for x, y in zip(features, labels, strict=True):
        logits = weight @ x + bias
        expected -= (logits[y] - math.log(sum(math.exp(one) for one in logits))) / 7
    nets = {"softmax": {"out.weight": torch.tensor(weight), "out.bias": torch.tensor(bias)}}
    batch = Batch(torch.tensor(features), torch.tensor(labels), torch.zeros(7, 3))
    loss = Softmax(SoftmaxSettings(), SPACE).losses(nets, batch, {})
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)


def test_the_program_is_that_of_the_family():
    """Adam (0.5, 0.999), one step per batch, every example once per epoch."""
    part = Softmax(SoftmaxSettings(epochs=25, batch_size=30, lr=5e-4), SPACE)
    program = part.fit(TrainView(*clouds(0)))
    rule = program.optimizers["softmax"]
    assert (rule.kind, rule.lr, rule.betas, rule.weight_decay) == ("adam", 5e-4, (0.5, 0.999), 0.0)
    assert (program.epochs, program.batch_size, program.sampler) == (25, 30, "shuffled")
    assert [[step.updates for step in steps] for steps in program.passes] == [[("softmax",)]]
    nets = program.initial(Streams(0))["softmax"]
    assert nets["out.weight"].shape == (CLASSES, D)
    assert not nets["out.bias"].any()


def test_the_same_seed_gives_the_same_classifier():
    settings, data = SoftmaxSettings(epochs=2), clouds(0)
    one, same, other = (trained(settings, *data, seed=seed)[1].networks["softmax"] for seed in (1, 1, 2))
    assert torch.equal(one["out.weight"], same["out.weight"])
    assert not torch.equal(one["out.weight"], other["out.weight"])


def test_the_czsl_classifier_may_have_a_schedule_of_its_own():
    own = {"czsl_epochs": 3, "czsl_batch_size": 20, "czsl_lr": 0.1}
    usual = SoftmaxSettings(epochs=9, batch_size=30, lr=5e-4)
    given = SoftmaxSettings(epochs=9, batch_size=30, lr=5e-4, **own)

    def facts(settings):
        program = Softmax(settings, SPACE).fit(TrainView(*clouds(0)))
        return program.epochs, program.batch_size, program.optimizers["softmax"].lr

    assert facts(given.for_task("czsl")) == (3, 20, 0.1)
    for settings in (given.for_task("gzsl"), usual.for_task("gzsl"), usual.for_task("czsl")):
        assert facts(settings) == (9, 30, 5e-4)
