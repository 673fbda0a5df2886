"""Diagonal Gaussians against torch's distributions and the distance between any two Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from zslbench_common.gaussians import kl_to_standard, reparameterise, wasserstein


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    return [torch.tensor(rng.normal(size=(4, 3))) for _ in range(4)]


def test_kl(pairs):
    mean, logvar, *_ = pairs
    ours = torch.distributions.Normal(mean, (logvar / 2).exp())
    standard = torch.distributions.Normal(torch.zeros(()).double(), torch.ones(()).double())
    expected = torch.distributions.kl_divergence(ours, standard).sum()
    torch.testing.assert_close(kl_to_standard(mean, logvar), expected, rtol=1e-12, atol=1e-12)


def test_wasserstein_is_that_of_any_two_gaussians(pairs):
    """‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½), for covariances that happen to be diagonal."""
    expected = []
    for mean, logvar, other_mean, other_logvar in zip(*(one.numpy() for one in pairs), strict=True):
        first, second = np.diag(np.exp(logvar)), np.diag(np.exp(other_logvar))
        root = sqrtm(first)
        trace = np.trace(first + second - 2 * sqrtm(root @ second @ root))
        expected.append(np.sqrt(((mean - other_mean) ** 2).sum() + trace))
    np.testing.assert_allclose(wasserstein(*pairs).numpy(), expected, rtol=1e-10)


def test_the_distance_to_itself_has_a_gradient(pairs):
    mean, logvar, *_ = pairs
    mean.requires_grad_()
    distance = wasserstein(mean, logvar, mean.detach(), logvar)
    distance.sum().backward()
    assert float(distance.max()) < 1e-100
    assert torch.equal(mean.grad, torch.zeros_like(mean))


def test_a_draw_has_the_gaussians_spread(pairs):
    mean, logvar, *_ = pairs
    many = torch.randn(20_000, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    drawn = torch.stack([reparameterise(mean, logvar, one.expand(4, 3)) for one in many])
    torch.testing.assert_close(drawn.mean(0), mean, rtol=0, atol=0.1)
    torch.testing.assert_close(drawn.var(0), logvar.exp(), rtol=0.05, atol=0)


def test_one_column_of_noise_is_shared(pairs):
    mean, logvar, *_ = pairs
    shared = torch.full((4, 1), 2.0, dtype=torch.float64)
    expected = mean.numpy() + 2 * np.exp(0.1 * logvar.numpy())
    np.testing.assert_allclose(reparameterise(mean, logvar, shared, 0.1).numpy(), expected, rtol=1e-12)
