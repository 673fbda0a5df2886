"""Attention of attributes over regions, image by image and attribute by attribute."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zslbench.errors import ZslbenchError
from zslbench.plugin import ClassSpace
from zslbench_common.attribute_attention import attend, attribute_vectors


def test_attend_by_loops():
    random = np.random.default_rng(0)
    r, q, v, w = (random.normal(size=shape) for shape in ((3, 4, 5), (2, 5), (2, 5), (2, 5)))
    alpha, first, second = (one.numpy() for one in attend(*map(torch.tensor, (r, q, v, w))))
    for b in range(3):
        for i in range(2):
            weights = [math.exp(sum(r[b, k] * q[i])) for k in range(4)]
            weights = [one / sum(weights) for one in weights]
            np.testing.assert_allclose(alpha[b, :, i], weights, rtol=1e-12)
            h = sum(weights[k] * r[b, k] for k in range(4))  # what the attribute attends to
            np.testing.assert_allclose([first[b, i], second[b, i]], [h @ v[i], h @ w[i]], rtol=1e-10)


def test_vectors_are_those_of_the_space_and_a_space_without_them_is_refused():
    space = ClassSpace(("a",), torch.ones(1, 2), torch.tensor([0]), torch.tensor([], dtype=torch.int64))
    with pytest.raises(ZslbenchError, match="embedding dazle"):
        attribute_vectors(space, "dazle")
