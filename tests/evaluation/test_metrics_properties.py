"""Properties of the metrics on generated scores, checked against loops over exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from zslbench.evaluation.evaluator import (
    Curve,
    accuracy_per_class,
    best_offset,
    harmonic_mean,
    mean_over_classes,
    seen_unseen_curve,
)
from zslbench.evaluation.leaders import Leaders, Sides

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # of NumPy: nothing is undefined

EXACT = 1e-12  # counts over counts, summed in floating point
few = settings(max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

# Multiples of 1/8 and sums of two of them are exact in every float type; small ranges give many ties.
integers = st.integers(-2, 2).map(float)
eighths = st.integers(-400, 400).map(lambda k: k / 8)
infinite = st.one_of(integers, st.sampled_from([np.inf, -np.inf]))
with_nan = st.one_of(infinite, st.just(np.nan))


class Images(NamedTuple):
    scores: np.ndarray
    labels: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray

    @property
    def curve(self) -> Curve:
        sides = Sides.of(self.scores, self.seen, self.unseen)
        return seen_unseen_curve(sides, self.labels, self.seen, self.unseen)

    def plain(self, classes: np.ndarray) -> float:
        return mean_over_classes(
            accuracy_per_class(rightly(self.scores, self.labels), self.labels, np.sort(classes))
        )


def rightly(scores, labels):
    """Which of the images a classifier with these scores gets right."""
    return Leaders.of(scores, np.arange(scores.shape[1])).right(labels)


@st.composite
def images(draw, values=None):
    """2 to 10 images of 2 to 6 classes in any order, some on each side; a class may have none."""
    count = draw(st.integers(2, 6))
    order = draw(st.permutations(range(count)))
    cut = draw(st.integers(1, count - 1))
    seen, unseen = order[:cut], order[cut:]
    labels = [draw(st.sampled_from(seen)), draw(st.sampled_from(unseen))]
    labels += draw(st.lists(st.integers(0, count - 1), max_size=8))
    labels = draw(st.permutations(labels))
    value = draw(st.sampled_from([integers, eighths])) if values is None else values
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    scores = draw(arrays(np.float64, (len(labels), count), elements=value)).astype(dtype)
    return Images(scores, *(np.array(x, np.int64) for x in (labels, seen, unseen)))


def at(curve: Curve, offset: Fraction) -> tuple[float, float]:
    """(S, U) that the curve gives for an offset that is no break of it."""
    i = sum(Fraction(float(b)) < offset if np.isfinite(b) else b < 0 for b in curve.breaks)
    return float(curve.seen[i]), float(curve.unseen[i])


def close(value, expected) -> bool:
    return value == pytest.approx(tuple(map(float, expected)), abs=EXACT)


@few
@given(images(with_nan))
def test_correct_and_averages_are_those_of_the_loops(brute, x):
    task = brute.of(*x)
    everyone = range(x.scores.shape[1])
    hits = rightly(x.scores, x.labels)
    assert hits.tolist() == [
        task.winner(row, everyone) == y for row, y in zip(task.rows, task.labels, strict=True)
    ]
    for classes in (x.seen, x.unseen, np.concatenate([x.unseen, x.seen])):
        mean = mean_over_classes(accuracy_per_class(hits, x.labels, classes))
        assert mean == pytest.approx(float(task.accuracy(task.rows, everyone, classes)), abs=EXACT)


@few
@given(images())
def test_curve_is_what_predicting_anew_gives_in_every_interval(brute, x):
    task, curve = brute.of(*x), x.curve
    assert len(curve.seen) == len(curve.unseen) == len(curve.breaks) + 1
    assert (np.diff(curve.breaks) > 0).all()
    # Breaks are margins, so between margins there is an offset for every point of the curve.
    assert {Fraction(float(b)) for b in curve.breaks} <= set(task.margins())
    for offset in task.offsets():
        assert close(at(curve, offset), task.at(offset))


@few
@given(images())
def test_ends_and_area(brute, x):
    task, curve = brute.of(*x), x.curve
    s_max, u_max = task.ends()
    assert close((curve.seen[0], curve.unseen[-1]), (s_max, u_max))
    assert (curve.unseen[0], curve.seen[-1]) == (0.0, 0.0)
    assert curve.area == pytest.approx(float(task.area()), abs=EXACT)
    assert -EXACT <= curve.area <= s_max * u_max + EXACT


@few
@given(images(infinite))
def test_curve_with_infinite_scores(brute, x):
    task, curve = brute.of(*x), x.curve
    for offset in task.offsets():
        assert close(at(curve, offset), task.at(offset))
    s_max, u_max = task.ends()
    assert close((curve.seen[0], curve.unseen[-1]), (s_max, u_max))
    assert curve.area == pytest.approx(float(task.area()), abs=EXACT)


@few
@given(images(with_nan))
def test_curve_with_nan_scores_inside(brute, x):
    task, curve = brute.of(*x), x.curve
    finite = [Fraction(float(b)) for b in curve.breaks if np.isfinite(b)]
    for offset in [a + Fraction(1, 2) for a in finite] + [Fraction(-1000), Fraction(1000)]:
        if curve.breaks.size and -1000 < offset < 1000:  # the two ends are the restricted accuracies
            assert close(at(curve, offset), task.at(offset))


@few
@given(images())
def test_seen_falls_and_unseen_rises_between_zero_and_one(x):
    curve = x.curve
    assert (np.diff(curve.seen) <= 0).all()
    assert (np.diff(curve.unseen) >= 0).all()
    for side in (curve.seen, curve.unseen):
        assert side.min() >= 0.0
        assert side.max() <= 1.0


@few
@given(images())
def test_best_offset_is_the_best_and_holds_when_predicting_anew(brute, x):
    task = brute.of(*x)
    offset, h = best_offset(x.curve)
    assert h == pytest.approx(float(task.best_h()), abs=EXACT)
    assert float(task.harmonic(*task.at(Fraction(offset)))) == pytest.approx(h, abs=EXACT)
    s, u = at(x.curve, Fraction(offset))
    assert harmonic_mean(u, s) == pytest.approx(h, abs=EXACT)


@few
@given(images(infinite))
def test_best_offset_with_infinite_scores(brute, x):
    task = brute.of(*x)
    offset, h = best_offset(x.curve)
    assert np.isfinite(offset)
    assert h == pytest.approx(float(task.best_h()), abs=EXACT)
    assert float(task.harmonic(*task.at(Fraction(offset)))) == pytest.approx(h, abs=EXACT)


@few
@given(images())
def test_best_offset_is_the_middle_nearest_to_zero_among_equals(brute, x):
    task, curve = brute.of(*x), x.curve
    breaks = [Fraction(float(b)) for b in curve.breaks]
    inner = list(pairwise(breaks))
    quality = [task.harmonic(*task.at((a + b) / 2)) for a, b in inner]
    if not inner or max(quality) == 0:  # then an outer interval is as good
        return
    best = [(a, b) for (a, b), h in zip(inner, quality, strict=True) if h == max(quality)]
    by_middle = min(abs(a + b) / 2 for a, b in best)
    by_edge = min(max(a, -b, Fraction(0)) for a, b in best)  # distance from 0 to the interval
    # "Nearest" may be read either way; where the readings part, either will do.
    allowed = [
        (a + b) / 2 for a, b in best if abs(a + b) / 2 == by_middle or max(a, -b, Fraction(0)) == by_edge
    ]
    assert Fraction(best_offset(curve)[0]) in allowed


@few
@given(images())
def test_at_offset_zero_the_curve_is_plain_prediction_unless_tied_across_sides(brute, x):
    if 0 not in brute.of(*x).margins():
        s, u = at(x.curve, Fraction(0))
        assert s == pytest.approx(x.plain(x.seen), abs=EXACT)
        assert u == pytest.approx(x.plain(x.unseen), abs=EXACT)


def same(one: Images, other: Images, *, scale: float = 1.0) -> None:
    """Both give the same accuracies, curve and area; breaks and offset differ by ``scale``."""
    for mine, theirs in ((one.seen, other.seen), (one.unseen, other.unseen)):
        assert one.plain(mine) == pytest.approx(other.plain(theirs), abs=EXACT)
    a, b = one.curve, other.curve
    np.testing.assert_array_equal(a.breaks * scale, b.breaks)
    np.testing.assert_allclose(a.seen, b.seen, atol=EXACT)
    np.testing.assert_allclose(a.unseen, b.unseen, atol=EXACT)
    assert a.area == pytest.approx(b.area, abs=EXACT)
    assert best_offset(a)[1] == pytest.approx(best_offset(b)[1], abs=EXACT)


@few
@given(images(), st.data())
def test_naming_and_order_do_not_matter(x, data):
    rows = np.array(data.draw(st.permutations(range(len(x.labels)))))
    new_id = np.array(data.draw(st.permutations(range(x.scores.shape[1]))))  # class c becomes new_id[c]
    columns = np.empty_like(x.scores)
    columns[:, new_id] = x.scores
    same(x, Images(columns[rows], new_id[x.labels[rows]], new_id[x.seen][::-1], new_id[x.unseen]))


@few
@given(images(), st.integers(-50, 50).map(float), st.integers(-3, 3))
def test_adding_a_constant_or_scaling_by_a_power_of_two_changes_no_accuracy(x, constant, power):
    same(x, x._replace(scores=x.scores + x.scores.dtype.type(constant)))
    same(x, x._replace(scores=x.scores * x.scores.dtype.type(2.0**power)), scale=2.0**power)


@few
@given(images())
def test_memory_layout_and_integer_width_do_not_matter(x):
    wide = np.zeros((len(x.labels), 2 * x.scores.shape[1]), x.scores.dtype)
    wide[:, ::2] = x.scores
    for scores in (np.asfortranarray(x.scores), wide[:, ::2]):
        same(x, Images(scores, *(ids.astype(np.int32) for ids in x[1:])))


@few
@given(images())
def test_inputs_are_left_as_they_were(x):
    before = [array.copy() for array in x]
    for array in x:
        array.flags.writeable = False  # writing would raise
    hits = rightly(x.scores, x.labels)
    accuracy_per_class(hits, x.labels, x.seen)
    curve = x.curve
    kept = curve.breaks.copy(), curve.seen.copy(), curve.unseen.copy()
    assert curve.area == x.curve.area
    best_offset(curve)
    for array, old in zip([*x, curve.breaks, curve.seen, curve.unseen], [*before, *kept], strict=True):
        np.testing.assert_array_equal(array, old)


@few
@given(st.fractions(0, 1, max_denominator=50), st.fractions(0, 1, max_denominator=50))
def test_harmonic_mean_is_the_formula_symmetric_and_between_its_sides(u, s):
    h = harmonic_mean(float(u), float(s))
    assert h == pytest.approx(float(2 * u * s / (u + s)) if u + s else 0.0, abs=1e-15)
    assert h == harmonic_mean(float(s), float(u))
    assert min(u, s) - EXACT <= h <= max(u, s) + EXACT
