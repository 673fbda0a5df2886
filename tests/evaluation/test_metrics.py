"""Hand cases of the metrics: every expected number is worked out in the test or its comment."""

from __future__ import annotations

import numpy as np
import pytest

from zslbench.evaluation.evaluator import (
    Curve,
    accuracy_per_class,
    best_offset,
    harmonic_mean,
    mean_over_classes,
    seen_unseen_curve,
)
from zslbench.evaluation.leaders import Leaders, Sides

pytestmark = pytest.mark.filterwarnings("error")

INF, NAN = np.inf, np.nan


def ids(*numbers):
    return np.array(numbers, dtype=np.int64)


def curve_of(scores, labels, seen, unseen) -> Curve:
    return curve_by(np.array(scores, dtype=float), ids(*labels), ids(*seen), ids(*unseen))


def curve_by(scores, labels, seen, unseen) -> Curve:
    return seen_unseen_curve(Sides.of(scores, seen, unseen), labels, seen, unseen)


def rightly(scores, labels):
    """Which of the images a classifier with these scores gets right."""
    return Leaders.of(scores, np.arange(scores.shape[1])).right(labels)


def points(curve: Curve) -> list[tuple[float, float]]:
    return list(zip(curve.seen.tolist(), curve.unseen.tolist(), strict=True))


# --- correct -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "label", "right"),
    [
        ([0.1, 0.7, 0.2], 1, True),
        ([0.1, 0.7, 0.2], 2, False),
        ([0.7, 0.7, 0.2], 0, False),  # tie: neither of the two is right, whichever comes first
        ([0.7, 0.7, 0.2], 1, False),
        ([0.2, 0.7, 0.7], 2, False),
        ([0.2, 0.9, 0.2], 1, True),  # a tie below the top does not matter
        ([0.7, 0.2, 0.7], 1, False),  # a tie of others
        ([0.0, -0.0], 0, False),  # the two zeros are equal
        ([5.0], 0, True),  # one class: nothing to tie with
        ([-INF], 0, True),
        ([-INF, -INF], 0, False),
        ([-INF, 0.0], 1, True),
        ([INF, 1e308], 0, True),
        ([INF, INF], 0, False),
        ([NAN, 1.0], 1, False),  # a NaN anywhere
        ([1.0, NAN], 0, False),
        ([INF, NAN], 0, False),
        ([NAN, 0.0], 0, False),
        ([NAN, NAN], 1, False),
        ([NAN], 0, False),
    ],
)
def test_correct_needs_the_true_class_alone_on_top(row, label, right):
    hits = rightly(np.array([row]), ids(label))
    assert hits.dtype == np.bool_
    assert hits.tolist() == [right]


def test_correct_takes_each_row_by_itself():
    scores = np.array([[2.0, 1.0], [1.0, 1.0], [1.0, 2.0], [NAN, 2.0]])
    assert rightly(scores, ids(0, 0, 1, 1)).tolist() == [True, False, True, False]


def test_correct_tells_neighbouring_floats_apart():
    scores = np.array([[1.0, np.nextafter(1.0, 2.0)], [np.nextafter(1.0, 2.0), 1.0]])
    assert rightly(scores, ids(1, 1)).tolist() == [True, False]


def test_correct_of_no_image():
    assert rightly(np.empty((0, 3)), ids()).tolist() == []


# --- per-class averages --------------------------------------------------------------------------


def test_average_is_over_classes_not_images():
    labels = ids(0, 0, 0, 0, 0, 0, 0, 0, 0, 3)
    hits = np.array([True] * 9 + [False])
    per_class = accuracy_per_class(hits, labels, ids(0, 3))
    assert per_class.tolist() == [1.0, 0.0]
    assert mean_over_classes(per_class) == 0.5  # nine images in ten are right


def test_class_without_images_is_nan_and_left_out_of_the_mean():
    per_class = accuracy_per_class(np.array([True, False, True]), ids(2, 2, 9), ids(9, 5, 2))
    np.testing.assert_array_equal(per_class, [1.0, NAN, 0.5])
    assert mean_over_classes(per_class) == 0.75


def test_classes_come_back_in_the_order_asked_for():
    hits, labels = np.array([True, False, False, True, False]), ids(7, 7, 1, 4, 4)
    np.testing.assert_allclose(accuracy_per_class(hits, labels, ids(4, 7, 1)), [0.5, 0.5, 0.0])
    np.testing.assert_allclose(accuracy_per_class(hits, labels, ids(1, 4, 7)), [0.0, 0.5, 0.5])


def test_images_of_classes_not_asked_for_are_ignored():
    assert accuracy_per_class(np.array([True, False, False]), ids(0, 6, 6), ids(0)).tolist() == [1.0]


@pytest.mark.parametrize("labels", [ids(), ids(8, 8)])
def test_no_image_of_any_class_is_nan_not_zero(labels):
    per_class = accuracy_per_class(np.ones(len(labels), dtype=bool), labels, ids(1, 2))
    np.testing.assert_array_equal(per_class, [NAN, NAN])
    assert np.isnan(mean_over_classes(per_class))


def test_mean_weighs_every_class_with_images_alike():
    assert mean_over_classes(np.array([1.0, NAN, 0.0, 0.5, 0.9])) == pytest.approx(0.6)


def test_mean_over_no_class_is_nan():
    assert np.isnan(mean_over_classes(np.empty(0)))


@pytest.mark.parametrize(
    ("unseen", "seen", "h"),
    [
        (0.0, 0.0, 0.0),
        (0.0, 0.8, 0.0),
        (0.8, 0.0, 0.0),
        (0.5, 0.5, 0.5),
        (0.25, 0.75, 0.375),
        (0.75, 0.25, 0.375),
        (1.0, 1.0, 1.0),
        (45.0, 55.0, 49.5),  # works on percentages alike
    ],
)
def test_harmonic_mean(unseen, seen, h):
    assert harmonic_mean(unseen, seen) == pytest.approx(h, abs=1e-12)


@pytest.mark.parametrize(("unseen", "seen"), [(NAN, 0.5), (0.5, NAN), (NAN, NAN), (NAN, 0.0)])
def test_harmonic_mean_of_an_unknown_side_is_unknown(unseen, seen):
    assert np.isnan(harmonic_mean(unseen, seen))


# --- the curve -----------------------------------------------------------------------------------

# Columns 0 (seen) and 1 (unseen); an image of the margin m is [m, 0].


def test_separable_images_reach_the_corner():
    curve = curve_of([[2, 0], [1, 0]], [0, 1], [0], [1])  # seen image at 2, unseen at 1
    assert points(curve) == [(1, 0), (1, 1), (0, 1)]
    assert curve.breaks.tolist() == [1, 2]
    assert curve.area == 1.0
    assert best_offset(curve) == (1.5, 1.0)


def test_images_on_the_wrong_side_of_each_other_never_count_together():
    curve = curve_of([[1, 0], [2, 0]], [0, 1], [0], [1])
    assert points(curve) == [(1, 0), (0, 0), (0, 1)]
    assert curve.area == 0.0
    assert best_offset(curve)[1] == 0.0


def test_equal_margins_change_together_and_make_one_slanted_step():
    curve = curve_of([[3, 0], [3, 0]], [0, 1], [0], [1])
    assert points(curve) == [(1, 0), (0, 1)]
    assert curve.breaks.tolist() == [3]
    assert curve.area == 0.5
    offset, h = best_offset(curve)
    assert h == 0.0
    assert np.isfinite(offset)
    assert offset != 3  # at 3 itself every image would be tied


def test_side_without_images_is_unknown_not_zero():
    curve = curve_by(np.array([[0.25, 0.0]]), ids(0), ids(0), ids(1))  # one image
    assert curve.seen.tolist() == [1.0, 0.0]
    assert np.isnan(curve.unseen).all()
    assert np.isnan(curve.area)


def test_tie_across_sides_at_zero_counts_for_nobody_by_plain_prediction_but_is_a_break_of_the_curve():
    scores, labels = np.array([[1.0, 1.0], [1.0, 1.0]]), ids(0, 1)
    assert rightly(scores, labels).tolist() == [False, False]
    assert points(curve_by(scores, labels, ids(0), ids(1))) == [(1, 0), (0, 1)]


def test_tie_within_a_side_is_wrong_at_every_offset():
    # Seen 0, 1; unseen 2, 3. Image 0 (class 0) ties with class 1; image 1 (class 2) with class 3.
    # Image 2 (class 1) and image 3 (class 3) are right on their side, with margins 2 and -2.
    scores = [[5, 5, 0, 1], [1, 0, 4, 4], [0, 3, 1, 0], [0, 1, 2, 3]]
    curve = curve_of(scores, [0, 2, 1, 3], [0, 1], [2, 3])
    assert max(curve.seen) == 0.5
    assert max(curve.unseen) == 0.5
    assert curve.area == 0.25


def test_tie_of_the_other_side_does_not_matter():
    curve = curve_of([[2, 1, 1], [2, 3, 0]], [0, 1], [0], [1, 2])  # image 0: both unseen tie at 1, m = 1
    assert points(curve) == [(1, 0), (1, 1), (0, 1)]


def test_end_points_are_the_accuracies_restricted_to_one_side():
    # Class 0 has images with margins -9 and 4, the second wrong within its side.
    scores = [[1, 0, 10, 0], [1, 4, 0, 0], [0, 3, 1, 9], [8, 0, 0, 2], [8, 0, 3, 2]]
    curve = curve_of(scores, [0, 0, 1, 3, 3], [0, 1], [2, 3])
    assert (curve.seen[0], curve.unseen[0]) == (0.75, 0.0)  # (1/2 + 1)/2
    assert (curve.seen[-1], curve.unseen[-1]) == (0.0, 0.5)  # class 2 has no image


def test_unbalanced_classes_weigh_alike():
    # Nine seen images of class 0 at margin 1, one of class 1 at margin 3; the unseen image at 2.
    scores = [[1, 0, 0]] * 9 + [[0, 3, 0], [2, 0, 0]]
    curve = curve_of(scores, [0] * 9 + [1, 2], [0, 1], [2])
    assert points(curve) == [(1, 0), (0.5, 0), (0.5, 1), (0, 1)]
    assert curve.area == 0.5
    offset, h = best_offset(curve)
    assert (offset, h) == (2.5, pytest.approx(2 / 3))


def test_class_ids_need_not_be_contiguous_nor_sorted_and_further_columns_do_not_take_part():
    # Seen 6 and 2, unseen 5 and 0; columns 1, 3, 4 belong to no side.
    scores = np.full((3, 7), 50.0)
    scores[:, [6, 2, 5, 0]] = [[2, 1, 0, 0], [0, 3, 1, 0], [1, 0, 0, 4]]
    curve = curve_by(scores, ids(6, 2, 0), ids(6, 2), ids(5, 0))
    assert curve.breaks.tolist() == [-3, 2]  # margins: seen 2 and 2, unseen -3
    assert points(curve) == [(1, 0), (1, 1), (0, 1)]


def test_images_of_further_classes_are_ignored():
    scores, labels = [[2, 0, 0], [1, 0, 0]], [0, 1]
    plain = curve_of(scores, labels, [0], [1])
    more = curve_of([*scores, [9, 0, 0], [-9, 0, 0], [0, 0, 9]], [*labels, 2, 2, 2], [0], [1])
    assert more.area == plain.area == 1.0
    assert (more.seen[0], more.unseen[-1]) == (1.0, 1.0)
    assert best_offset(more)[1] == 1.0


def test_margins_of_float32_scores_are_not_rounded_to_float32():
    scores = np.array([[1.0, 1e-8], [1.0, 2e-8]], dtype=np.float32)  # both margins are 1 in float32
    curve = curve_by(scores, ids(0, 1), ids(0), ids(1))
    assert curve.area == 1.0
    assert best_offset(curve)[1] == 1.0


def test_nan_scores_are_wrong_at_every_offset():
    good = [[2.0, 0.0], [1.0, 0.0]]
    whole = curve_of([*good, [NAN, NAN], [NAN, NAN]], [0, 1, 0, 1], [0], [1])
    assert max(whole.seen) == max(whole.unseen) == 0.5
    assert whole.area == 0.25
    assert best_offset(whole) == (1.5, 0.5)
    half = curve_of([*good, [9.0, NAN], [NAN, 9.0]], [0, 1, 0, 1], [0], [1])
    inside = np.searchsorted(half.breaks, 1.5)
    assert (half.seen[inside], half.unseen[inside]) == (0.5, 0.5)


def test_infinite_scores_win_at_every_finite_offset():
    # Unseen image 1 can never beat +inf; seen image 2 can never beat an unseen +inf.
    curve = curve_of([[2, 0], [INF, 5], [3, INF], [1, 0]], [0, 1, 0, 1], [0], [1])
    for offset, expected in [(0.5, (0.5, 0.0)), (1.5, (0.5, 0.5)), (2.5, (0.0, 0.5)), (1e9, (0.0, 0.5))]:
        i = np.searchsorted(curve.breaks, offset)
        assert (curve.seen[i], curve.unseen[i]) == expected
    assert (curve.seen[0], curve.unseen[0]) == (1.0, 0.0)
    assert (curve.seen[-1], curve.unseen[-1]) == (0.0, 1.0)
    offset, h = best_offset(curve)
    assert (offset, h) == (1.5, 0.5)


def test_probability_zero_in_logarithms():
    # One side ruled out for certain: -inf on every class of the other side.
    curve = curve_of([[0, -INF], [-INF, 0], [-1, -2]], [0, 1, 0], [0], [1])
    i = np.searchsorted(curve.breaks, 0.0)
    assert (curve.seen[i], curve.unseen[i]) == (1.0, 1.0)
    assert best_offset(curve)[1] == 1.0


# --- the best offset -----------------------------------------------------------------------------


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (-3, -2.0), (-9, -2.0), (5, 6.0)])
def test_equally_good_intervals_on_either_side_of_zero(shift, expected):
    # S and U in halves along the offset: 2,0 | 2,1 (0..2) | 1,1 (2..6) | 1,2 (6..8) | 0,2, moved by shift.
    scores = np.full((4, 4), -100.0)
    margins = np.array([2.0, 8.0, 0.0, 6.0]) + shift
    for row, margin in enumerate(margins):
        side, other = (row, 2) if row < 2 else (row, 0)
        scores[row, side], scores[row, other] = (margin, 0) if row < 2 else (0, margin)
    curve = curve_by(scores, np.arange(4), ids(0, 1), ids(2, 3))
    offset, h = best_offset(curve)
    assert (offset, h) == (expected, pytest.approx(2 / 3))


def test_no_offset_helps_when_one_side_is_never_right():
    curve = curve_of([[2, 1, 0], [4, 0, 1]], [0, 1], [0], [1, 2])  # the unseen image is taken for class 2
    offset, h = best_offset(curve)
    assert h == 0.0
    assert np.isfinite(offset)
