"""Attention maps: LEN's of each attribute, and how much each region counts for g."""

from __future__ import annotations

import numpy as np
import pytest
import sc_egg_by_hand as by_hand
import torch

from zslbench_sc_egg import orders
from zslbench_sc_egg.maps import attention_of

B, R, A, D, K = 3, 6, 5, 7, 4


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    given = by_hand.random_len(rng, B, R, A, D, K)
    sc = by_hand.random_sc(rng, A)
    w = orders.weights(*(torch.tensor(given[name]) for name in ("v", "w_alpha", "w_beta")))
    return given, sc, torch.tensor(given["r"]), w, {name: torch.tensor(value) for name, value in sc.items()}


@pytest.mark.parametrize("composition", ["mlp", "mean"])
def test_the_maps_are_lens_attention_and_the_scores_e_l(case, composition):
    given, _, r, w, sc = case
    found = attention_of(r, w, sc, composition)
    weight = by_hand.attention(given["r"], given["v"], given["w_alpha"])
    assert by_hand.far(found.maps, weight.transpose(0, 2, 1)) < 1e-12
    np.testing.assert_allclose(found.maps.sum(dim=2), 1, rtol=1e-12)
    h = by_hand.local_features(given["r"], given["v"], given["w_alpha"])
    assert by_hand.far(found.scores, by_hand.attribute_scores(h, given["v"], given["w_beta"])) < 1e-12
    assert found.overall.shape == (B, R) and (found.overall >= 0).all()


def terms(given, sc):
    """m_i ⊙ r_i of each image and region, with the slopes of SC's LeakyReLU at this image."""
    weight = by_hand.attention(given["r"], given["v"], given["w_alpha"])
    if sc is None:
        return weight.mean(axis=2)[..., None] * given["r"]
    h = by_hand.local_features(given["r"], given["v"], given["w_alpha"])
    found = np.zeros((B, R, D))
    for b in range(B):
        for d in range(D):
            before = sc["first.weight"] @ h[b, :, d] + sc["first.bias"]
            slope = np.where(before > 0, 1, by_hand.SLOPE)
            for i in range(R):
                m = (sc["second.weight"][0] * slope) @ (sc["first.weight"] @ weight[b, i])
                found[b, i, d] = m * given["r"][b, i, d]
    return found


def test_the_terms_add_up_to_g(case):
    """The reference itself: up to what biases add, g is the sum of the regions' terms."""
    given, sc, *_ = case
    h = by_hand.local_features(given["r"], given["v"], given["w_alpha"])
    g = by_hand.compress(h, sc)
    before = np.einsum("jn,bnd->bjd", sc["first.weight"], h) + sc["first.bias"][:, None]
    slope = np.where(before > 0, 1, by_hand.SLOPE)
    bias = np.einsum("j,bjd->bd", sc["second.weight"][0] * sc["first.bias"], slope) + sc["second.bias"][0]
    np.testing.assert_allclose(terms(given, sc).sum(axis=1) + bias, g, rtol=1e-10)


@pytest.mark.parametrize("composition", ["mlp", "mean"])
def test_a_region_counts_by_the_length_of_its_term(case, composition):
    given, numbers, r, w, sc = case
    length = np.sqrt((terms(given, numbers if composition == "mlp" else None) ** 2).sum(axis=2))
    found = attention_of(r, w, sc, composition).overall.numpy()
    np.testing.assert_allclose(
        found / found.sum(axis=1, keepdims=True), length / length.sum(axis=1, keepdims=True), rtol=1e-7
    )


def test_a_fitted_embedding_gives_them(fit_scen):
    for settings in ({}, {"composition": "mean", "stage2": "regressor"}, {"normalize_regions": True}):
        fitted = fit_scen(**settings)
        found = fitted.scen.attention(fitted.networks, fitted.regions)
        images, regions, _ = fitted.regions.shape
        assert found.maps.shape == (images, 5, regions)
        assert found.scores.shape == (images, 5) and found.overall.shape == (images, regions)
        torch.testing.assert_close(found.maps.sum(dim=2), torch.ones(images, 5))
        alone = fitted.scen.attention(fitted.networks, fitted.regions[:1])
        torch.testing.assert_close(alone.maps, found.maps[:1])
