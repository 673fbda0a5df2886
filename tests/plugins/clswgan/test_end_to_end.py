"""f-CLSWGAN and LisGAN as methods: their stages, and what LisGAN's second classifier may see."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from small import TF_VAEGAN

import zslbench
from zslbench.errors import ZslbenchError
from zslbench.plugin import ClassSpace, TrainView, Transductive
from zslbench.report import knowledge_of_test
from zslbench_clswgan.classifier import LisGANSoftmax
from zslbench_clswgan.generator import CLSWGAN
from zslbench_clswgan.lisgan import LisGAN, soul_samples
from zslbench_clswgan.settings import CLSWGANSettings, LisGANSettings, LisGANSoftmaxSettings
from zslbench_ocd_cvae.generator import OCDCVAE
from zslbench_ocd_cvae.settings import OCDCVAESettings


@pytest.fixture
def small(tmp_path):
    """A run on the small toy data set, without selection."""

    def run(method, settings=None, **options):
        tiny = {key: value for key, value in TF_VAEGAN.items() if not key.startswith("classifier")}
        tiny |= {"classifier.epochs": 2, "classifier.batch_size": 32, "generator.pretraining.epochs": 2}
        options = {"epochs": 2, "select": "last", "store": tmp_path, "device": "cpu", "threads": 1} | options
        return zslbench.run(method, dataset="toy", settings=tiny | (settings or {}), **options).records[0]

    return run


@pytest.mark.parametrize(
    ("method", "frozen"),
    [("f-clswgan", {"classifier"}), ("f-clswgan:f-wgan", set()), ("lisgan", {"classifier", "souls"})],
)
def test_its_losses_are_logged_and_its_networks_kept(small, method, frozen):
    name, _, variant = method.partition(":")
    record = small(name, variant=variant or None)
    logged = set(record.table("epochs").columns)
    assert {"critic_wasserstein", "critic_penalty", "generator_adversarial"} <= logged
    assert ("generator_classification" in logged) == bool(frozen)
    assert ({"generator_soul_of_sample", "generator_soul_of_mean"} <= logged) == ("souls" in frozen)
    stages = set(record.table("epochs")["stage"])
    assert ("final/generator/classifier" in stages) == ("classifier" in frozen)
    networks = {
        one.split("/")[1] for one in record.table("networks")["tensor"] if one.startswith("generator/")
    }
    assert {"generator", "critic"} <= networks


@pytest.mark.slow
def test_it_learns_on_the_toy_data_set(tmp_path):
    """Five unseen classes: chance is 20 % Acc."""
    result = zslbench.run(
        "f-clswgan", dataset="toy", select="last", epochs=30, store=tmp_path, device="cpu", threads=1,
        settings={"generator.critic_steps": 1, "generator.hidden": 128, "generator.lr": 5e-3},
    )  # fmt: skip
    assert result.records[0].metrics["acc"] > 0.4


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("f-clswgan", partial(CLSWGAN, CLSWGANSettings())),
        ("lisgan", partial(LisGAN, LisGANSettings())),
        ("ocd-cvae", partial(OCDCVAE, OCDCVAESettings())),
    ],
)
def test_negative_features_are_refused_since_a_relu_makes_none(name, made):
    space = ClassSpace(("a", "b"), torch.eye(2), torch.tensor([0]), torch.tensor([1]))
    view = TrainView(torch.tensor([[0.5, -0.25]]), torch.tensor([0]))
    with pytest.raises(ZslbenchError, match=rf"generator {name}: .* -0\.25\b") as caught:
        fit = made(space).fit(view)
        next(fit)
    assert "normalize=minmax" in str(caught.value)


def test_only_the_reading_authors_sees_test_images(small):
    plain, refined = small("lisgan"), small("lisgan", reading="authors")
    assert "final/gzsl/first" in set(refined.table("epochs")["stage"])
    assert "final/gzsl/first" not in set(plain.table("epochs")["stage"])
    assert knowledge_of_test(refined.info) == ("test features",)
    assert not knowledge_of_test(plain.info)
    with pytest.raises(ZslbenchError, match="refine") as caught:
        small("lisgan", {"classifier.refine": True})
    assert "--reading authors" in str(caught.value)


def test_the_second_classifier_learns_from_the_most_confident_rows_with_the_first_ones_labels():
    space = ClassSpace(("a", "b", "c"), torch.eye(3), torch.tensor([0, 1]), torch.tensor([2]))
    classifier = LisGANSoftmax(LisGANSoftmaxSettings(refine=True, ratio=0.5, first_epochs=3, epochs=4), space)
    test = torch.tensor([[9.0, 0, 0], [1, 1, 1], [0, 0, 5], [0, 1, 1], [0, 7, 0]])
    view = TrainView(torch.eye(3), torch.tensor([0, 1, 2]), test=Transductive(features=test))
    programs = classifier.fit(view)
    first = next(programs)
    assert (first.epochs, first.paced, len(first.features)) == (3, False, 3)
    # With these weights the scores are the features themselves: rows 0 and 4 are the surest.
    second = programs.send({"softmax": {"out.weight": torch.eye(3), "out.bias": torch.zeros(3)}})
    assert (second.epochs, second.paced) == (4, True)
    assert torch.equal(second.features[3:], test[[0, 4]])
    assert second.labels.tolist() == [0, 1, 2, 0, 1]
    assert torch.equal(second.initial(None)["softmax"]["out.weight"], torch.eye(3))


def test_soul_samples_of_clear_clusters_are_their_means():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 4)) * 50
    x = np.concatenate([centres[[0] * 5 + [1] * 3 + [2] * 4] + rng.normal(size=(12, 4)), np.ones((2, 4))])
    labels = torch.tensor([2] * 12 + [0] * 2)
    souls = soul_samples(torch.tensor(x), labels, classes=4, clusters=3).numpy()
    means = np.array([x[:5].mean(0), x[5:8].mean(0), x[8:12].mean(0)])
    order = [int(np.abs(souls[2] - mean).sum(axis=1).argmin()) for mean in means]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(souls[2][order], means, rtol=1e-12)
    assert (souls[0] == 1).all()  # two equal images: one soul sample, repeated
    assert not souls[1].any()
    assert not souls[3].any()
