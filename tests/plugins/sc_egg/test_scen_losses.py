"""SCEN's stage losses, eqs. (16) and (17), and their gradients on tiny networks, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sc_egg_by_hand as by_hand
import torch

from zslbench.plugin.interfaces import Batch, ClassSpace
from zslbench_sc_egg.scen import SCEN
from zslbench_sc_egg.settings import SCENSettings

B, R, A, D, K, C = 4, 3, 5, 6, 4, 5
SEEN, UNSEEN = [0, 2, 4], [1, 3]
LABELS = np.array([2, 0, 4, 2])
EXACT = 1e-10
ORDERS = ("literal", "maps", "auto")


class Case:
    """A SCEN with these settings, and networks and a batch of random numbers."""

    def __init__(self, seed: int, **settings: Any) -> None:
        rng = np.random.default_rng(seed)
        self.given = by_hand.random_len(rng, B, R, A, D, K)
        self.sc = by_hand.random_sc(rng, A)
        self.a = rng.normal(size=(C, A))  # not of unit length
        self.cls_g = {"out.weight": rng.normal(size=(C, D)) / 2, "out.bias": rng.normal(size=C)}
        space = ClassSpace(
            names=tuple("abcde"),
            semantics=torch.tensor(self.a),
            seen=torch.tensor(SEEN),
            unseen=torch.tensor(UNSEEN),
            attribute_names=tuple("vwxyz"),
            attribute_vectors=torch.tensor(self.given["v"]),
        )
        self.scen = SCEN(SCENSettings(**settings), space)
        named = {
            "vectors": {"v": self.given["v"]},
            "attention": {"w_alpha": self.given["w_alpha"]},
            "projection": {"w_beta": self.given["w_beta"]},
            "sc": self.sc,
            "cls_g": self.cls_g,
        }
        self.nets = {net: {k: torch.tensor(v) for k, v in tensors.items()} for net, tensors in named.items()}
        labels = torch.tensor(LABELS)
        self.batch = Batch(torch.tensor(self.given["r"]), labels, space.semantics[labels])

    def forward(self, mean: bool = False):
        """p_l, g, p_g."""
        h = by_hand.local_features(self.given["r"], self.given["v"], self.given["w_alpha"])
        e = by_hand.attribute_scores(h, self.given["v"], self.given["w_beta"])
        g = by_hand.compress(h, None if mean else self.sc)
        return e @ self.a.T, g, by_hand.affine(self.cls_g, "out", g)

    def to_parameters(self, to_p_l, to_p_g, mean: bool = False) -> dict[str, Any]:
        """Gradients of everything, given those of the scores."""
        _, g, _ = self.forward(mean)
        to_g = to_p_g @ self.cls_g["out.weight"]
        flat = by_hand.backward(self.given, None if mean else self.sc, to_p_l @ self.a, to_g)
        return flat | {"out.weight": to_p_g.T @ g, "out.bias": to_p_g.sum(axis=0)}

    def gradients(self, losses, nets=None) -> dict[str, Any]:
        found = torch.func.grad(lambda n: losses(n, self.batch, {}).total)(nets or self.nets)
        return {name: value for tensors in found.values() for name, value in tensors.items()}

    def check(self, losses, total, to_p_l, to_p_g) -> None:
        assert by_hand.far(losses(self.nets, self.batch, {}).total, total) < EXACT
        found = self.gradients(losses)
        for name, expected in self.to_parameters(to_p_l, to_p_g).items():
            assert by_hand.far(found[name], expected) < EXACT, name


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("classes", ["all", "seen"])
@pytest.mark.parametrize(("lambda_l", "lambda_g"), [(1, 1), (1, 0.3), (0, 0.7), (1, 0)])
def test_stage_1(classes, order, lambda_l, lambda_g):
    case = Case(0, classes=classes, order=order, lambda_l=lambda_l, lambda_g=lambda_g)
    among = None if classes == "all" else SEEN
    p_l, _, p_g = case.forward()
    local, found = (by_hand.cross_entropy(p, LABELS, among) for p in (p_l, p_g))
    case.check(
        case.scen.stage1_losses,
        lambda_l * local + lambda_g * found,
        lambda_l * by_hand.to_scores(p_l, LABELS, among),
        lambda_g * by_hand.to_scores(p_g, LABELS, among),
    )
    log = case.scen.stage1_losses(case.nets, case.batch, {}).log
    shown = [value.item() for value in log.values()]
    if lambda_l:
        assert any(value == pytest.approx(local) for value in shown)
    if lambda_g:
        assert any(value == pytest.approx(found) for value in shown)


def test_the_classes_make_a_difference():
    everything, seen = (Case(0, classes=one) for one in ("all", "seen"))
    one, other = (case.scen.stage1_losses(case.nets, case.batch, {}).total for case in (everything, seen))
    assert one > other + 0.1


def test_stage_1_trains_the_mlp_even_where_g_becomes_a_mean():
    """Row 4: the code's p_g of stage 1 comes from the MLP, whatever composes g afterwards."""
    for composition in ("mlp", "mean"):
        case = Case(1, composition=composition)
        p_l, _, p_g = case.forward()
        total = by_hand.cross_entropy(p_l, LABELS) + by_hand.cross_entropy(p_g, LABELS)
        assert by_hand.far(case.scen.stage1_losses(case.nets, case.batch, {}).total, total) < EXACT


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_stage_2_finetuning(reduction, order):
    """L_SCR against LEN's scores; LEN is frozen, so what flows into it is nobody's concern."""
    case = Case(2, scr_reduction=reduction, order=order)
    p_l, _, p_g = case.forward()
    share = B * (C if reduction == "mean" else 1)
    losses = case.scen.finetuning_losses
    assert by_hand.far(losses(case.nets, case.batch, {}).total, by_hand.scr(p_l, p_g, reduction)) < EXACT
    found = case.gradients(losses)
    expected = case.to_parameters(np.zeros_like(p_l), 2 * (p_g - p_l) / share)
    for name in ("first.weight", "first.bias", "second.weight", "second.bias", "out.weight", "out.bias"):
        assert by_hand.far(found[name], expected[name]) < EXACT, name


def test_stage_2_finetuning_of_a_mean():
    """Where g is a mean, CLS_g is tuned on the mean."""
    case = Case(3, composition="mean")
    p_l, g, p_g = case.forward(mean=True)
    losses = case.scen.finetuning_losses
    assert by_hand.far(losses(case.nets, case.batch, {}).total, by_hand.scr(p_l, p_g, "sum")) < EXACT
    found = case.gradients(losses)
    assert by_hand.far(found["out.weight"], (2 * (p_g - p_l) / B).T @ g) < EXACT
    assert not any(found[name].any() for name in case.sc)


@pytest.mark.parametrize("scr", [True, False])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_stage_2_regression(scr, reduction):
    """The authors' second classifier, on scaled g: regresses p_l, or without L_SCR learns the labels."""
    case = Case(4, stage2="regressor", scr=scr, scr_reduction=reduction)
    rng = np.random.default_rng(5)
    g, p_l = rng.uniform(size=(B, D)), rng.normal(size=(B, C))
    net = {
        "first.weight": rng.normal(size=(7, D)),
        "first.bias": rng.normal(size=7),
        "second.weight": rng.normal(size=(C, 7)),
        "second.bias": rng.normal(size=C),
    }
    hidden = by_hand.affine(net, "first", g)
    scores = by_hand.affine(net, "second", by_hand.leaky(hidden))
    if scr:
        total = by_hand.scr(p_l, scores, reduction)
        to_scores = 2 * (scores - p_l) / (B * (C if reduction == "mean" else 1))
    else:
        total, to_scores = by_hand.cross_entropy(scores, LABELS), by_hand.to_scores(scores, LABELS)
    to_hidden = to_scores @ net["second.weight"] * np.where(hidden > 0, 1, by_hand.SLOPE)
    expected = {
        "first.weight": to_hidden.T @ g,
        "first.bias": to_hidden.sum(axis=0),
        "second.weight": to_scores.T @ by_hand.leaky(hidden),
        "second.bias": to_scores.sum(axis=0),
    }
    case.batch = case.batch._replace(features=torch.tensor(np.hstack([g, p_l])))
    nets = {"regressor": {name: torch.tensor(value) for name, value in net.items()}}
    losses = case.scen.regression_losses
    assert by_hand.far(losses(nets, case.batch, {}).total, total) < EXACT
    found = case.gradients(losses, nets)
    for name, value in expected.items():
        assert by_hand.far(found[name], value) < EXACT, name


# --- what is scaled to unit length, rows 11 to 13 -------------------------------------------------


def stage_1_total(case: Case) -> float:
    p_l, _, p_g = case.forward()
    return by_hand.cross_entropy(p_l, LABELS) + by_hand.cross_entropy(p_g, LABELS)


@pytest.mark.parametrize("order", ORDERS)
def test_regions_of_unit_length(order):
    """Row 11: attention and h both see the scaled r."""
    case = Case(6, normalize_regions=True, order=order)
    found = case.scen.stage1_losses(case.nets, case.batch, {}).total
    raw = stage_1_total(case)
    case.given["r"] = by_hand.unit(case.given["r"])
    assert by_hand.far(found, stage_1_total(case)) < EXACT
    assert abs(float(found) - raw) > 1e-3


def test_class_semantics_of_unit_length():
    """Row 12: in p_l, nowhere else."""
    case = Case(7, normalize_semantics=True)
    found = case.scen.stage1_losses(case.nets, case.batch, {}).total
    raw = stage_1_total(case)
    case.a = by_hand.unit(case.a)
    assert by_hand.far(found, stage_1_total(case)) < EXACT
    assert abs(float(found) - raw) > 1e-3


def test_semantics_of_unit_length_change_nothing_where_they_have_it():
    case = Case(7, normalize_semantics=True)
    plain = Case(7)
    for one in (case, plain):
        one.scen.space.semantics.copy_(torch.tensor(by_hand.unit(one.a)))
    one, other = (c.scen.stage1_losses(c.nets, c.batch, {}).total for c in (case, plain))
    assert by_hand.far(one, other.numpy()) < 1e-14


def test_attribute_vectors_are_scaled_once_and_not_while_they_train():
    """Row 13: "initialised from L2-normalised word vectors, then trainable, not re-normalised"."""
    case = Case(8, normalize_vectors=True, train_vectors=True)
    found = case.scen.stage1_losses(case.nets, case.batch, {}).total
    assert by_hand.far(found, stage_1_total(case)) < EXACT  # of the networks' v as it is
