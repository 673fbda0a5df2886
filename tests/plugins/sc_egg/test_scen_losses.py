"""SCEN's stage losses, eqs. (16) and (17), and their gradients on tiny networks, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sc_egg_by_hand as by_hand
import torch
from scen_for import scen_for

from zslbench.plugin.programs import Batch
from zslbench.plugin.views import ClassSpace

B, R, A, D, K, C = 4, 3, 5, 6, 4, 5
SEEN, UNSEEN = [0, 2, 4], [1, 3]
LABELS = np.array([2, 0, 4, 2])
EXACT = 1e-10


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
        self.scen = scen_for(space, **settings)
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

    def scale_to_unit_length(self) -> None:
        """Rows 11 and 12, for what is computed by hand."""
        self.given["r"], self.a = by_hand.unit(self.given["r"]), by_hand.unit(self.a)

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


@pytest.mark.parametrize("classes", ["all", "seen"])
@pytest.mark.parametrize(("lambda_l", "lambda_g"), [(1, 1), (1, 0.3), (0, 0.7), (1, 0)])
def test_stage_1(classes, lambda_l, lambda_g):
    case = Case(0, classes=classes, lambda_l=lambda_l, lambda_g=lambda_g)
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
    case = Case(1, reading="authors")
    found = case.scen.stage1_losses(case.nets, case.batch, {}).total
    case.scale_to_unit_length()
    assert by_hand.far(found, stage_1_total(case)) < EXACT


def test_stage_2():
    """L_SCR against LEN's scores; LEN is frozen, so the gradients that reach it do not matter."""
    case = Case(2)
    p_l, _, p_g = case.forward()
    losses = case.scen.stage2_losses
    assert by_hand.far(losses(case.nets, case.batch, {}).total, by_hand.scr(p_l, p_g, "sum")) < EXACT
    found = case.gradients(losses)
    expected = case.to_parameters(np.zeros_like(p_l), 2 * (p_g - p_l) / B)
    for name in ("first.weight", "first.bias", "second.weight", "second.bias", "out.weight", "out.bias"):
        assert by_hand.far(found[name], expected[name]) < EXACT, name


@pytest.mark.parametrize("scr", [True, False])
@pytest.mark.parametrize("classes", ["all", "seen"])
def test_stage_2_of_the_authors(scr, classes):
    """The authors' second classifier, on scaled g: regresses p_l, or without L_SCR learns the labels."""
    case = Case(4, reading="authors", scr=scr, classes=classes)
    among = None if classes == "all" else SEEN
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
        total = by_hand.scr(p_l, scores, "mean")  # row 7
        to_scores = 2 * (scores - p_l) / (B * C)
    else:
        total, to_scores = (
            by_hand.cross_entropy(scores, LABELS, among),
            by_hand.to_scores(scores, LABELS, among),
        )
    to_hidden = to_scores @ net["second.weight"] * np.where(hidden > 0, 1, by_hand.SLOPE)
    expected = {
        "first.weight": to_hidden.T @ g,
        "first.bias": to_hidden.sum(axis=0),
        "second.weight": to_scores.T @ by_hand.leaky(hidden),
        "second.bias": to_scores.sum(axis=0),
    }
    case.batch = case.batch._replace(features=torch.tensor(np.hstack([g, p_l])))
    nets = {"regressor": {name: torch.tensor(value) for name, value in net.items()}}
    losses = case.scen.stage2_losses
    assert by_hand.far(losses(nets, case.batch, {}).total, total) < EXACT
    found = case.gradients(losses, nets)
    for name, value in expected.items():
        assert by_hand.far(found[name], value) < EXACT, name


# --- what is scaled to unit length, rows 11 to 13 -------------------------------------------------


def stage_1_total(case: Case) -> float:
    p_l, _, p_g = case.forward()
    return by_hand.cross_entropy(p_l, LABELS) + by_hand.cross_entropy(p_g, LABELS)


def test_regions_and_class_semantics_of_unit_length():
    """Rows 11 and 12: attention and h both see the scaled r; a is scaled in p_l, nowhere else."""
    case = Case(6, reading="authors")
    found = case.scen.stage1_losses(case.nets, case.batch, {}).total
    raw = stage_1_total(case)
    case.scale_to_unit_length()
    assert by_hand.far(found, stage_1_total(case)) < EXACT
    assert abs(float(found) - raw) > 1e-3


def test_the_paper_scales_neither():
    case = Case(6)
    assert by_hand.far(case.scen.stage1_losses(case.nets, case.batch, {}).total, stage_1_total(case)) < EXACT


def test_attribute_vectors_are_scaled_once_and_not_while_they_train():
    """Row 13: "initialised from L2-normalised word vectors, then trainable, not re-normalised"."""
    case = Case(8, normalize_vectors=True, reading="authors")
    found = case.scen.stage1_losses(case.nets, case.batch, {}).total
    case.scale_to_unit_length()
    assert by_hand.far(found, stage_1_total(case)) < EXACT  # of the networks' v as it is
