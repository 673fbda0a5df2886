"""The identity embedding: scaled by what the training images say, and by nothing else."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from zslbench.plugin.views import ClassSpace, TrainView
from zslbench_common.embeddings import Identity
from zslbench_common.settings import IdentitySettings

SPACE = ClassSpace(("a", "b"), torch.ones(2, 3), torch.tensor([0]), torch.tensor([1]))


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(3, 2, size=(20, 5)).astype(np.float32)


def fitted(features, normalize):
    part = Identity(IdentitySettings(normalize=normalize), SPACE)
    view = TrainView(torch.from_numpy(features), torch.zeros(len(features), dtype=torch.int64))
    nets = part.fit(view)
    return lambda inputs: part.embed(nets, torch.from_numpy(inputs)).numpy()


def test_minmax_takes_its_range_from_training_images_and_clips_no_others(features):
    embed = fitted(features, "minmax")
    low, high = features.min(axis=0), features.max(axis=0)
    own = embed(features)
    np.testing.assert_allclose(own, (features - low) / (high - low), atol=1e-6)
    assert own.min() == 0
    assert own.max() == 1
    test = np.stack([high + (high - low), low - (high - low) / 2])
    np.testing.assert_allclose(embed(test), [[2.0] * 5, [-0.5] * 5], atol=1e-5)


def test_minmax_of_a_constant_dimension_is_zero_and_is_told(features, caplog):
    features[:, 2] = 7.25
    with caplog.at_level(logging.WARNING, "zslbench"):
        embed = fitted(features, "minmax")
    assert [record.getMessage() for record in caplog.records] == [
        "identity: 1 feature dimensions are constant over the training images; they become 0"
    ]
    other = features.copy()
    other[:, 2] = [7.25, 0, -100, 1e6] * 5
    found = embed(other)
    assert not found[:, 2].any()
    np.testing.assert_array_equal(np.delete(found, 2, 1), np.delete(embed(features), 2, 1))


@pytest.mark.parametrize("normalize", ["l2", "none"])
def test_a_constant_dimension_matters_to_minmax_alone(features, normalize, caplog):
    features[:, 2] = 7.25
    fitted(features, normalize)(features)
    assert not caplog.records


def test_l2_makes_every_row_one_long(features):
    embed = fitted(features, "l2")
    np.testing.assert_allclose(
        embed(features), features / np.linalg.norm(features, axis=1)[:, None], rtol=1e-6
    )
    assert not embed(np.zeros((1, 5), dtype=np.float32)).any()


def test_none_leaves_features_as_they_are(features):
    np.testing.assert_array_equal(fitted(features, "none")(features), features)


@pytest.mark.parametrize("normalize", ["minmax", "l2", "none"])
def test_a_row_depends_on_that_row_only(features, normalize):
    embed = fitted(features[:10], normalize)
    whole = embed(features)
    for number in range(20):
        np.testing.assert_array_equal(embed(features[number : number + 1])[0], whole[number])


def test_standard_scales_by_the_training_images_mean_and_spread(features, caplog):
    features[:, 2] = 7.25
    with caplog.at_level(logging.WARNING, "zslbench"):
        embed = fitted(features, "standard")
    assert len(caplog.records) == 1
    test = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    spread = features.std(axis=0)
    expected = (test - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    expected[:, 2] = 0
    np.testing.assert_allclose(embed(test), expected, atol=1e-5)
