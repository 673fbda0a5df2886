"""Eqs. (1), (2) and (4) with their gradients, and attention maps, against loops in NumPy that form h."""

from __future__ import annotations

import numpy as np
import pytest
import sc_egg_by_hand as by_hand
import torch
from hypothesis import example, given, settings, strategies as st

from zslbench.plugin import ClassSpace
from zslbench_sc_egg.scen import SCEN
from zslbench_sc_egg.settings import SCENSettings

EXACT = 1e-10
COMPOSITIONS = ("mlp", "mean", None)
"""How g is composed; None: e_l alone."""

shapes = st.tuples(
    st.integers(1, 4), st.integers(1, 7), st.integers(2, 7), st.integers(1, 6), st.integers(1, 5)
)  # images, regions, attributes, channels, words


class Case:
    """Random inputs of one shape; as NumPy arrays and as tensors."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        rng = np.random.default_rng(seed)
        images, regions, attributes, channels, words = shape
        self.given = by_hand.random_len(rng, images, regions, attributes, channels, words)
        self.sc = by_hand.random_sc(rng, attributes)
        # The loss of the gradients: sums of e_l and g weighted by these.
        self.to_e, self.to_g = rng.normal(size=(images, attributes)), rng.normal(size=(images, channels))
        self.r = torch.tensor(self.given["r"])
        self.parameters = {name: torch.tensor(self.given[name]) for name in ("v", "w_alpha", "w_beta")}
        self.parameters |= {name: torch.tensor(value) for name, value in self.sc.items()}

    def by_hand(self, composition):
        """e_l, g and the gradients."""
        sc = self.sc if composition == "mlp" else None
        h = by_hand.local_features(self.given["r"], self.given["v"], self.given["w_alpha"])
        e = by_hand.attribute_scores(h, self.given["v"], self.given["w_beta"])
        g = None if composition is None else by_hand.compress(h, sc)
        to_g = None if composition is None else self.to_g
        return e, g, by_hand.backward(self.given, sc, self.to_e, to_g)

    def nets(self, parameters):
        return {
            "vectors": {"v": parameters["v"]},
            "attention": {"w_alpha": parameters["w_alpha"]},
            "projection": {"w_beta": parameters["w_beta"]},
            "sc": parameters,
        }

    def local(self, parameters, composition):
        """The softmax, e_l and g."""
        count = len(parameters["v"])
        chosen = SCENSettings(composition=composition or "mlp")
        part = SCEN(chosen, ClassSpace(("a",), torch.ones(1, count), *NO_CLASSES))
        nets = self.nets(parameters)
        alpha, e = part.attend(nets, self.r)
        return alpha, e, None if composition is None else part.compose(nets, self.r, alpha)

    def gradients(self, composition):
        def loss(parameters):
            _, e, g = self.local(parameters, composition)
            total = (e * torch.tensor(self.to_e)).sum()
            return total if g is None else total + (g * torch.tensor(self.to_g)).sum()

        return torch.func.grad(loss)(self.parameters)


NO_CLASSES = torch.tensor([0]), torch.arange(0)


def agrees(case: Case, composition) -> None:
    e, g, gradients = case.by_hand(composition)
    _, made_e, made_g = case.local(case.parameters, composition)
    assert by_hand.far(made_e, e) < EXACT
    if composition is not None:
        assert by_hand.far(made_g, g) < EXACT
    found = case.gradients(composition)
    for name, expected in gradients.items():
        assert by_hand.far(found[name], expected) < EXACT, name
    for name in found.keys() - gradients.keys():
        assert not found[name].any(), name  # SC has no part in a mean


@pytest.mark.parametrize("composition", COMPOSITIONS)
@settings(max_examples=25)
@given(shape=shapes, seed=st.integers(0, 10_000))
@example(shape=(3, 1, 5, 4, 3), seed=0)  # one region: the attention has no choice
@example(shape=(2, 6, 3, 5, 4), seed=1)  # an odd number of attributes: SC's hidden layer has one
@example(shape=(1, 4, 2, 1, 1), seed=2)
def test_without_h_the_equations_are_the_same(composition, shape, seed):
    agrees(Case(shape, seed), composition)


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_they_are_the_same_on_a_larger_shape(composition):
    agrees(Case((3, 25, 13, 32, 9), 7), composition)


@pytest.mark.parametrize("composition", ["mean", None])
def test_one_attribute_needs_no_mlp(composition):
    agrees(Case((2, 3, 1, 4, 2), 3), composition)


def test_the_gradients_by_hand_are_central_differences():
    """The reference itself, in every parameter."""
    case = Case((2, 4, 5, 3, 3), 11)
    _, _, gradients = case.by_hand("mlp")

    def loss(changed):
        h = by_hand.local_features(case.given["r"], changed["v"], changed["w_alpha"])
        e = by_hand.attribute_scores(h, changed["v"], changed["w_beta"])
        return (e * case.to_e).sum() + (by_hand.compress(h, changed) * case.to_g).sum()

    everything = {**case.given, **case.sc}
    for name, expected in gradients.items():
        for place in np.ndindex(expected.shape):
            ends = []
            for by in (1e-6, -1e-6):
                moved = everything[name].copy()
                moved[place] += by
                ends.append(loss({**everything, name: moved}))
            assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(expected[place], rel=1e-6, abs=1e-7)


@settings(max_examples=25)
@given(shape=shapes, seed=st.integers(0, 10_000))
def test_attention_is_the_softmax_over_regions_of_each_attribute(shape, seed):
    case = Case(shape, seed)
    given = case.given
    found = case.local(case.parameters, None)[0]
    assert found.shape == (shape[0], shape[1], shape[2])
    assert by_hand.far(found, by_hand.attention(given["r"], given["v"], given["w_alpha"])) < EXACT
    np.testing.assert_allclose(found.sum(dim=1), np.ones((shape[0], shape[2])), rtol=1e-14)
    assert (found >= 0).all()


def test_attention_with_large_logits_is_finite():
    """Softmax is taken stably: one region wins, whatever the scale."""
    case = Case((2, 4, 3, 5, 2), 0)
    alpha, e, g = case.local(case.parameters | {"w_alpha": 1e6 * case.parameters["w_alpha"]}, "mlp")
    np.testing.assert_allclose(alpha.sum(dim=1), 1)
    assert e.isfinite().all() and g.isfinite().all()


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_float32_changes_results_by_rounding_only(composition):
    case = Case((4, 49, 21, 64, 16), 1)
    e, g, _ = case.by_hand(composition)
    case.r = case.r.float()
    _, found_e, found_g = case.local(
        {name: tensor.float() for name, tensor in case.parameters.items()}, composition
    )
    np.testing.assert_allclose(found_e, e, rtol=0, atol=4e-6 * np.abs(e).max())
    if composition is not None:
        np.testing.assert_allclose(found_g, g, rtol=0, atol=4e-6 * np.abs(g).max())


# --- attention maps, Figure 3 ----------------------------------------------------------------------


def terms(given, sc):
    """m_i ⊙ r_i of each image and region, with the slopes of SC's LeakyReLU at this image."""
    weight = by_hand.attention(given["r"], given["v"], given["w_alpha"])
    if sc is None:
        return weight.mean(axis=2)[..., None] * given["r"]
    h = by_hand.local_features(given["r"], given["v"], given["w_alpha"])
    found = np.zeros_like(given["r"])
    for b, i, d in np.ndindex(found.shape):
        before = sc["first.weight"] @ h[b, :, d] + sc["first.bias"]
        m = (sc["second.weight"][0] * np.where(before > 0, 1, by_hand.SLOPE)) @ sc["first.weight"]
        found[b, i, d] = m @ weight[b, i] * given["r"][b, i, d]
    return found


def test_the_terms_add_up_to_g():
    """The reference itself: up to what biases add, g is the sum of the regions' terms."""
    case = Case((3, 6, 5, 7, 4), 0)
    given, sc = case.given, case.sc
    h = by_hand.local_features(given["r"], given["v"], given["w_alpha"])
    before = np.einsum("jn,bnd->bjd", sc["first.weight"], h) + sc["first.bias"][:, None]
    slope = np.where(before > 0, 1, by_hand.SLOPE)
    bias = np.einsum("j,bjd->bd", sc["second.weight"][0] * sc["first.bias"], slope) + sc["second.bias"][0]
    np.testing.assert_allclose(terms(given, sc).sum(axis=1) + bias, by_hand.compress(h, sc), rtol=1e-10)


@pytest.mark.parametrize("composition", ["mlp", "mean"])
def test_maps_are_lens_attention_and_a_region_counts_by_the_length_of_its_term(composition):
    case = Case((3, 6, 5, 7, 4), 0)
    part = SCEN(SCENSettings(composition=composition), ClassSpace(("a",), torch.ones(1, 5), *NO_CLASSES))
    found = part.attention(case.nets(case.parameters), case.r)
    weight = by_hand.attention(case.given["r"], case.given["v"], case.given["w_alpha"])
    assert by_hand.far(found.maps, weight.transpose(0, 2, 1)) < 1e-12
    assert by_hand.far(found.scores, case.by_hand(None)[0]) < 1e-12
    assert found.overall.shape == (3, 6)
    length = np.sqrt((terms(case.given, case.sc if composition == "mlp" else None) ** 2).sum(axis=2))
    np.testing.assert_allclose(found.overall, length, rtol=1e-7)


@pytest.mark.parametrize("reading", ["paper", "authors"])
def test_a_fitted_embedding_gives_them(fit_scen, reading):
    fitted = fit_scen(reading=reading)
    found = fitted.scen.attention(fitted.networks, fitted.regions)
    images, regions, _ = fitted.regions.shape
    assert found.maps.shape == (images, 5, regions)
    assert found.scores.shape == (images, 5) and found.overall.shape == (images, regions)
    torch.testing.assert_close(found.maps.sum(dim=2), torch.ones(images, 5))
    alone = fitted.scen.attention(fitted.networks, fitted.regions[:1])
    torch.testing.assert_close(alone.maps, found.maps[:1])
