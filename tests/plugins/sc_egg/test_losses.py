"""Eqs. (3) and (5)-(8) on given scores and features, against loops and closed-form gradients."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import sc_egg_by_hand as by_hand
import torch
from hypothesis import given, settings, strategies as st

from zslbench.plugin import ClassSpace, Streams
from zslbench.training import cross_entropy, unit
from zslbench_sc_egg import eggn, networks, scen as scen_module
from zslbench_sc_egg.scen import SCEN
from zslbench_sc_egg.settings import SCENSettings
from zslbench_tf_vaegan import f_vaegan

EXACT = 1e-12
sizes = st.tuples(st.integers(1, 5), st.integers(2, 7), st.integers(0, 1000))


def scen(reading: str = "paper", semantics: torch.Tensor | None = None) -> SCEN:
    a = torch.ones(1, 2) if semantics is None else semantics
    return SCEN(SCENSettings(reading=reading), ClassSpace(("x",), a, torch.tensor([0]), torch.arange(0)))


@pytest.mark.parametrize(
    ("module", "numbers"), [(scen_module, [*range(1, 9), 16, 17]), (eggn, [*range(9, 16), 18])]
)
def test_every_equation_is_named_on_the_first_screen(module, numbers) -> None:
    """And each method or function that the table names exists."""
    screen = Path(module.__file__).read_text("utf-8").splitlines()[:20]
    assert [number for number in numbers if not any(f"({number})" in line for line in screen)] == []
    for name in re.findall(r":(?:meth|func):`(?:[\w.]*\.)?(\w+)`", "\n".join(screen)):
        assert hasattr(SCEN, name) or hasattr(eggn.EGGN, name) or hasattr(f_vaegan, name), name


def scores_and_labels(images: int, classes: int, seed: int, scale: float = 2.0):
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=(images, classes)), rng.integers(classes, size=images)


def test_class_scores_are_products_with_the_class_semantics():
    rng = np.random.default_rng(0)
    e, a = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    expected = [[sum(e[b, n] * a[c, n] for n in range(4)) for c in range(5)] for b in range(3)]
    assert by_hand.far(scen(semantics=torch.tensor(a)).local_scores(torch.tensor(e)), expected) < EXACT


@settings(max_examples=40)
@given(sizes)
def test_cross_entropy_over_all_classes(size):
    scores, labels = scores_and_labels(*size)

    def loss(p):
        return cross_entropy(p, torch.tensor(labels))

    found = loss(torch.tensor(scores))
    assert found.shape == ()
    assert by_hand.far(found, by_hand.cross_entropy(scores, labels)) < EXACT
    assert by_hand.far(torch.func.grad(loss)(torch.tensor(scores)), by_hand.to_scores(scores, labels)) < EXACT


@settings(max_examples=40)
@given(sizes, st.data())
def test_cross_entropy_among_some_classes(size, data):
    """The classes left out are in neither the sum nor the gradient."""
    scores, labels = scores_and_labels(*size)
    others = data.draw(st.sets(st.integers(0, size[1] - 1)))
    among = np.array(sorted(others | set(labels.tolist())))

    def loss(p):
        return cross_entropy(p, torch.tensor(labels), torch.tensor(among))

    assert by_hand.far(loss(torch.tensor(scores)), by_hand.cross_entropy(scores, labels, among)) < EXACT
    gradient = torch.func.grad(loss)(torch.tensor(scores))
    assert by_hand.far(gradient, by_hand.to_scores(scores, labels, among)) < EXACT
    everything = cross_entropy(torch.tensor(scores), torch.tensor(labels))
    assert loss(torch.tensor(scores)) <= everything + 1e-12


def test_cross_entropy_of_a_case_by_hand():
    """Scores log 1, log 2, log 5: the classes have 1/8, 2/8 and 5/8; without the last 1/3 and 2/3."""
    p = torch.tensor([[0.0, math.log(2), math.log(5)]], dtype=torch.float64)
    label = torch.tensor([1])
    assert cross_entropy(p, label).item() == pytest.approx(math.log(4))
    assert cross_entropy(p, label, torch.tensor([0, 1])).item() == pytest.approx(math.log(1.5))


def test_cross_entropy_of_huge_scores_is_finite():
    p = torch.tensor([[3000.0, -3000.0], [0.0, 1e4]])
    assert cross_entropy(p, torch.tensor([1, 1])).item() == pytest.approx(3000)


@settings(max_examples=30)
@given(sizes, st.sampled_from(["paper", "authors"]))
def test_consistency(size, reading):
    images, classes, seed = size
    reduction = "sum" if reading == "paper" else "mean"  # row 7
    p_l, _ = scores_and_labels(images, classes, seed)
    p_g, _ = scores_and_labels(images, classes, seed + 1)

    def loss(local, found):
        return scen(reading).consistency(local, found)

    arguments = torch.tensor(p_l), torch.tensor(p_g)
    assert by_hand.far(loss(*arguments), by_hand.scr(p_l, p_g, reduction)) < EXACT
    share = images * (classes if reduction == "mean" else 1)
    to_local, to_found = torch.func.grad(loss, argnums=(0, 1))(*arguments)
    assert by_hand.far(to_found, 2 * (p_g - p_l) / share) < EXACT
    assert by_hand.far(to_local, 2 * (p_l - p_g) / share) < EXACT


def test_consistency_of_a_case_by_hand():
    """Squared differences 1 and 4 of one image, 9 and 0 of the other."""
    p_l = torch.tensor([[0.0, 0.0], [3.0, 1.0]])
    p_g = torch.tensor([[1.0, -2.0], [0.0, 1.0]])
    assert scen().consistency(p_l, p_g).item() == 7.0
    assert scen("authors").consistency(p_l, p_g).item() == 3.5


def test_losses_lift_over_replicas():
    p, q = (torch.tensor(np.random.default_rng(seed).normal(size=(3, 4, 5))) for seed in (0, 1))
    labels = torch.tensor([[0, 1, 2, 4], [3, 1, 1, 0], [2, 2, 0, 1]])
    among = torch.tensor([0, 1, 2, 3, 4])
    lifted = torch.func.vmap(lambda p, y: cross_entropy(p, y, among))(p, labels)
    plain = [cross_entropy(*one, among) for one in zip(p, labels, strict=True)]
    torch.testing.assert_close(lifted, torch.stack(plain))
    lifted = torch.func.vmap(scen().consistency)(p, q)
    plain = [scen().consistency(*one) for one in zip(p, q, strict=True)]
    torch.testing.assert_close(lifted, torch.stack(plain))


# --- classifiers of g ----------------------------------------------------------------------------


def test_cls_g_is_one_linear_layer():
    rng = np.random.default_rng(3)
    net = {"out.weight": rng.normal(size=(4, 6)), "out.bias": rng.normal(size=4)}
    g = rng.normal(size=(3, 6))
    nets = {"cls_g": {name: torch.tensor(value) for name, value in net.items()}}
    found = scen().global_scores(nets, torch.tensor(g))
    assert by_hand.far(found, by_hand.affine(net, "out", g)) < EXACT


def test_the_regressor_has_two_layers_of_slope_001():
    rng = np.random.default_rng(4)
    made = networks.initial_regressor(Streams(0), 6, 5, 4)["regressor"]
    net = {name: rng.normal(size=tensor.shape) for name, tensor in made.items()}
    assert net["first.weight"].shape == (5, 6) and net["second.weight"].shape == (4, 5)
    g = rng.normal(size=(3, 6))
    expected = by_hand.affine(net, "second", by_hand.leaky(by_hand.affine(net, "first", g), 0.01))
    found = networks.regress({name: torch.tensor(value) for name, value in net.items()}, torch.tensor(g))
    assert by_hand.far(found, expected) < EXACT


def test_rows_of_unit_length_and_a_zero_row_stays_zero():
    rows = np.random.default_rng(5).normal(size=(2, 3, 4))
    rows[1, 2] = 0
    found = unit(torch.tensor(rows))
    expected = by_hand.unit(np.where(rows == 0, 1, rows))
    expected[1, 2] = 0
    assert by_hand.far(found, expected) < EXACT
    slope = torch.func.grad(lambda x: unit(x).sum())(torch.tensor(rows))
    assert slope.isfinite().all()
