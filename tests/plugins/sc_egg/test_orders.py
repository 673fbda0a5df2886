"""Eqs. (1), (2) and (4) and their gradients, in both orders of computation, against loops in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import sc_egg_by_hand as by_hand
import torch
from hypothesis import example, given, settings, strategies as st

from zslbench_sc_egg import orders

EXACT = 1e-10
ORDERS = ("literal", "maps")
COMPOSITIONS = ("mlp", "mean", None)

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

    def local(self, parameters, composition, order):
        w = orders.weights(parameters["v"], parameters["w_alpha"], parameters["w_beta"])
        return orders.local(self.r, w, parameters, composition, order)

    def gradients(self, composition, order):
        def loss(parameters):
            made = self.local(parameters, composition, order)
            total = (made.e * torch.tensor(self.to_e)).sum()
            return total if made.g is None else total + (made.g * torch.tensor(self.to_g)).sum()

        return torch.func.grad(loss)(self.parameters)


def agrees(case: Case, composition, order) -> None:
    e, g, gradients = case.by_hand(composition)
    made = case.local(case.parameters, composition, order)
    assert by_hand.far(made.e, e) < EXACT
    if composition is None:
        assert made.g is None
    else:
        assert by_hand.far(made.g, g) < EXACT
    found = case.gradients(composition, order)
    for name, expected in gradients.items():
        assert by_hand.far(found[name], expected) < EXACT, name
    for name in found.keys() - gradients.keys():
        assert not found[name].any(), name  # SC has no part in a mean


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("composition", COMPOSITIONS)
@settings(max_examples=25, deadline=None)
@given(shape=shapes, seed=st.integers(0, 10_000))
@example(shape=(3, 1, 5, 4, 3), seed=0)  # one region: the attention has no choice
@example(shape=(2, 6, 3, 5, 4), seed=1)  # an odd number of attributes: SC's hidden layer has one
@example(shape=(1, 4, 2, 1, 1), seed=2)
def test_an_order_is_the_equations(composition, order, shape, seed):
    agrees(Case(shape, seed), composition, order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_an_order_is_the_equations_on_a_larger_shape(composition, order):
    agrees(Case((3, 25, 13, 32, 9), 7), composition, order)


@pytest.mark.parametrize("composition", ["mean", None])
@pytest.mark.parametrize("order", ORDERS)
def test_one_attribute_needs_no_mlp(composition, order):
    agrees(Case((2, 3, 1, 4, 2), 3), composition, order)


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


@settings(max_examples=25, deadline=None)
@given(shape=shapes, seed=st.integers(0, 10_000))
def test_attention_is_the_softmax_over_regions_of_each_attribute(shape, seed):
    case = Case(shape, seed)
    given = case.given
    found = orders.attention(
        case.r, orders.weights(*(case.parameters[n] for n in ("v", "w_alpha", "w_beta")))
    )
    assert found.shape == (shape[0], shape[1], shape[2])
    assert by_hand.far(found, by_hand.attention(given["r"], given["v"], given["w_alpha"])) < EXACT
    np.testing.assert_allclose(found.sum(dim=1), np.ones((shape[0], shape[2])), rtol=1e-14)
    assert (found >= 0).all()


def test_attention_with_large_logits_is_finite():
    """Softmax is taken stably: one region wins, whatever the scale."""
    case = Case((2, 4, 3, 5, 2), 0)
    w = orders.weights(case.parameters["v"], 1e6 * case.parameters["w_alpha"], case.parameters["w_beta"])
    found = orders.attention(case.r, w)
    np.testing.assert_allclose(found.sum(dim=1), 1)
    for order in ORDERS:
        made = orders.local(case.r, w, case.parameters, "mlp", order)
        assert made.e.isfinite().all() and made.g.isfinite().all()


def test_weights_are_the_products_of_the_parameters():
    case = Case((1, 2, 4, 6, 3), 5)
    w = orders.weights(case.parameters["v"], case.parameters["w_alpha"], case.parameters["w_beta"])
    v, w_alpha, w_beta = (case.given[name] for name in ("v", "w_alpha", "w_beta"))
    assert by_hand.far(w.queries, np.array([one @ w_alpha for one in v])) < EXACT
    assert by_hand.far(w.values, np.array([w_beta @ one for one in v])) < EXACT


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_the_order_changes_float32_results_by_rounding_only(composition):
    case = Case((4, 49, 21, 64, 16), 1)
    parameters = {name: tensor.float() for name, tensor in case.parameters.items()}
    case.r = case.r.float()
    literal, maps = (case.local(parameters, composition, order) for order in ORDERS)
    torch.testing.assert_close(literal.e, maps.e, rtol=0, atol=2e-6 * float(literal.e.abs().max()))
    if composition is not None:
        torch.testing.assert_close(literal.g, maps.g, rtol=0, atol=2e-6 * float(literal.g.abs().max()))
