"""The metrics on published models' scores: the figures that other people's code gave for them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from zslbench.evaluation.evaluator import (
    accuracy_per_class,
    best_offset,
    harmonic_mean,
    mean_over_classes,
    seen_unseen_curve,
)
from zslbench.evaluation.leaders import Leaders, Sides

POINT = 0.0005  # 0.05 of a percentage point


def rightly(scores, labels):
    """Which of the images a classifier with these scores gets right."""
    return Leaders.of(scores, np.arange(scores.shape[1])).right(labels)


class Published(NamedTuple):
    scores: np.ndarray
    labels: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray
    figures: dict[str, float]
    printed: tuple[float, float, float, float]
    """CZSL, U, S, H as printed, in percent to one decimal."""

    @property
    def curve(self):
        sides = Sides.of(self.scores, self.seen, self.unseen)
        return seen_unseen_curve(sides, self.labels, self.seen, self.unseen)

    def predict(self, offset: float) -> tuple[float, float]:
        """(S, U) with ``offset`` taken from the seen scores, by argmax and counting."""
        shifted = self.scores.astype(np.float64)
        shifted[:, self.seen] -= offset
        guess = shifted.argmax(axis=1)
        guess[(shifted == shifted.max(axis=1, keepdims=True)).sum(axis=1) > 1] = -1  # a tie is wrong
        return tuple(
            float(np.mean([np.mean(guess[self.labels == c] == c) for c in side]))
            for side in (self.seen, self.unseen)
        )


@pytest.fixture(
    scope="module",
    params=[("CUB_fclswgan", (56.1, 45.1, 55.5, 49.8)), ("AWA1_fclswgan", (65.6, 53.6, 67.0, 59.6))],
    ids=lambda param: param[0],
)
def published(request: pytest.FixtureRequest, real_data: Path) -> Published:
    name, printed = request.param
    figures = json.loads((real_data / "checks.json").read_text())[f"{name}.npz"]
    with np.load(real_data / "gzsl_predictions" / f"{name}.npz") as file:
        ids = (file[key].astype(np.int64) for key in ("labels", "seen_classes", "unseen_classes"))
        return Published(file["scores"], *ids, figures, printed)


def test_czsl_accuracy(published: Published):
    x = published
    rows = np.isin(x.labels, x.unseen)
    positions = np.searchsorted(x.unseen, x.labels[rows])
    hits = rightly(x.scores[rows][:, x.unseen], positions)
    acc = mean_over_classes(accuracy_per_class(hits, positions, np.arange(len(x.unseen))))
    assert acc == pytest.approx(x.figures["CZSL"], abs=POINT)
    assert round(100 * acc, 1) == pytest.approx(x.printed[0], abs=0.05)
    assert acc == pytest.approx(x.curve.unseen[-1], abs=1e-12)


def test_u_s_and_h(published: Published):
    x = published
    hits = rightly(x.scores, x.labels)
    u, s = (mean_over_classes(accuracy_per_class(hits, x.labels, side)) for side in (x.unseen, x.seen))
    h = harmonic_mean(u, s)
    for name, value, printed in zip("USH", (u, s, h), x.printed[1:], strict=True):
        assert value == pytest.approx(x.figures[name], abs=POINT)
        assert 100 * value == pytest.approx(printed, abs=0.1)  # printed to one decimal
    i = np.searchsorted(x.curve.breaks, 0.0)
    if 0.0 not in x.curve.breaks:
        assert (x.curve.seen[i], x.curve.unseen[i]) == pytest.approx((s, u), abs=1e-12)


def test_curve_between_sampled_breaks_is_plain_prediction(published: Published):
    curve = published.curve
    inside = np.linspace(0, len(curve.breaks) - 2, 25).astype(int)
    offsets = [(curve.breaks[i] + curve.breaks[i + 1]) / 2 for i in inside]
    for offset in (curve.breaks[0] - 1, *offsets, curve.breaks[-1] + 1):
        i = int(np.searchsorted(curve.breaks, offset))
        assert (curve.seen[i], curve.unseen[i]) == pytest.approx(published.predict(offset), abs=1e-12)


def test_area(published: Published):
    """The quoted area is a trapezoid over 401 offsets at quantiles of the margins.

    S falls and U rises, so on each step of a grid the true area lies between the two rectangles, and the
    trapezoid, their mean, is off by at most half the sum of ΔU·ΔS. A step of 1/400 of the images
    moves S and U by some 0.003 each, whence about 400 · 0.003² / 2 = 0.002 at worst and, as the errors
    of the steps have both signs, far less in practice: 0.001 is allowed.
    """
    curve = published.curve
    assert curve.area == pytest.approx(published.figures["AUSUC"], abs=1e-3)
    # Rectangles under and over the curve, from predictions made anew on a grid of our own.
    grid = np.unique(np.quantile(curve.breaks, np.linspace(0, 1, 61)))
    offsets = [grid[0] - 1, *((a + b) / 2 for a, b in pairwise(grid)), grid[-1] + 1]
    s, u = np.transpose([published.predict(offset) for offset in offsets])
    assert np.sum(np.diff(u) * s[1:]) <= curve.area <= np.sum(np.diff(u) * s[:-1])


def test_best_offset(published: Published):
    """Every offset of the quoted grid is one of ours, so its best H cannot beat the exact one."""
    offset, h = best_offset(published.curve)
    s, u = published.predict(offset)
    assert harmonic_mean(u, s) == pytest.approx(h, abs=1e-12)
    quoted = published.figures["best_H_over_offsets"]
    assert quoted - 1e-6 <= h <= quoted + 5e-3  # a grid of 401 misses the peak by a few images at most
    assert h >= published.figures["H"] - 1e-12


def test_order_of_images_and_classes_does_not_matter(published: Published):
    rng = np.random.default_rng(3)
    rows = rng.permutation(len(published.labels))
    shuffled = published._replace(
        scores=published.scores[rows],
        labels=published.labels[rows],
        seen=rng.permutation(published.seen),
        unseen=rng.permutation(published.unseen),
    )
    assert shuffled.curve.area == pytest.approx(published.curve.area, abs=1e-12)
    assert best_offset(shuffled.curve) == pytest.approx(best_offset(published.curve), abs=1e-12)
