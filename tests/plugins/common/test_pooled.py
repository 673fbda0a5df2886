"""The pooled embedding: the mean over the regions, scaled like the identity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zslbench.plugin.streams import Streams
from zslbench.plugin.views import ClassSpace, TrainView
from zslbench.testing.harness import TinyRegions
from zslbench.training import batches
from zslbench.training.loop import Training, complete
from zslbench_common.embeddings import Pooled
from zslbench_common.settings import IdentitySettings

SPACE = ClassSpace(("a", "b"), torch.ones(2, 3), torch.tensor([0]), torch.tensor([1]))
REGIONS = np.random.default_rng(0).normal(2, 1, size=(11, 4, 5)).astype(np.float32)


def fitted(regions, normalize="minmax"):
    part = Pooled(IdentitySettings(normalize=normalize), SPACE)
    labels = torch.zeros(len(regions), dtype=torch.int64)
    # The global features are not those of the regions, and are not to be read.
    view = TrainView(torch.full((len(regions), 3), 99.0), labels, TinyRegions(torch.from_numpy(regions)))
    nets = complete(part.fit(view), SPACE.semantics, Training(Streams(0))).networks
    return lambda inputs: part.embed(nets, torch.from_numpy(inputs)).numpy()


def test_the_range_is_that_of_the_training_images_means():
    embed = fitted(REGIONS)
    means = REGIONS.astype(np.float64).mean(axis=1)
    low, spread = means.min(axis=0), means.max(axis=0) - means.min(axis=0)
    np.testing.assert_allclose(embed(REGIONS), (means - low) / spread, atol=1e-5)
    others = 10 * np.random.default_rng(1).normal(size=(3, 7, 5)).astype(np.float32)
    np.testing.assert_allclose(embed(others), (others.mean(axis=1) - low) / spread, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_other_scales(normalize):
    means = REGIONS.mean(axis=1)
    expected = means if normalize == "none" else means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(fitted(REGIONS, normalize)(REGIONS), expected, rtol=1e-5)


def test_the_size_of_the_pieces_changes_nothing(monkeypatch):
    whole = fitted(REGIONS)(REGIONS)
    monkeypatch.setattr(batches, "CHUNK_BYTES", 4 * 4 * 5 * 3)  # three images
    np.testing.assert_array_equal(fitted(REGIONS)(REGIONS), whole)
