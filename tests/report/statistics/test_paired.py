"""The paired test, against enumerations of all signs."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from zslbench.report.statistics import (
    EXACT,
    compare_seeds,
    least_p,
    seeds_needed,
    sign_flip_p,
    too_few,
)

# Hundredths of points, so that sums are exact in the enumeration and ties do occur.
DIFFERENCES = st.lists(st.integers(-300, 300), min_size=2, max_size=9)


def enumerated(differences: list[int]) -> Fraction:
    """The share of all 2^n sign patterns whose sum is at least as far from zero."""
    seen = abs(sum(differences))
    patterns = list(itertools.product((1, -1), repeat=len(differences)))
    extreme = sum(
        abs(sum(sign * one for sign, one in zip(signs, differences, strict=True))) >= seen
        for signs in patterns
    )
    return Fraction(extreme, len(patterns))


def by_seed(values: list[float], first: int = 0) -> dict[int, float]:
    return dict(enumerate(values, first))


@given(DIFFERENCES)
def test_p_is_the_share_of_sign_patterns(hundredths: list[int]) -> None:
    assert sign_flip_p([one / 100 for one in hundredths]) == pytest.approx(float(enumerated(hundredths)))


def test_a_case_by_hand() -> None:
    """1, 2, 3, 4, 5, −1 have the sum 14. Sums are 16 less twice what is negative: 14 and more for nothing
    and for either one. That makes 3 of 64 patterns, and as many on the other side."""
    differences = [1.0, 2.0, 3.0, 4.0, 5.0, -1.0]
    assert sign_flip_p(differences) == pytest.approx(6 / 64)


def test_ties_that_floats_would_miss() -> None:
    """0.1 + 0.2 − 0.3 is no zero in floats; the mean is zero, so every pattern is as far from it."""
    assert sign_flip_p([0.1, 0.2, -0.3, 0.1, 0.2, -0.3]) == 1.0


@pytest.mark.parametrize("n", [6, 9, EXACT])
def test_one_sided_differences_give_the_least_p(n: int) -> None:
    assert sign_flip_p([1.0 + 0.01 * i for i in range(n)]) == pytest.approx(2 / 2**n) == least_p(n)


def test_beyond_the_exact_test_p_is_near_and_repeatable() -> None:
    differences = [0.9, -0.4, 0.3, 0.8, -0.2, 0.1, 0.6, -0.7, 0.5, 0.2, -0.1, 0.4, 0.3, -0.5, 0.7]
    assert len(differences) > EXACT
    exact = float(enumerated([round(10 * one) for one in differences]))
    found = sign_flip_p(differences)
    assert found == sign_flip_p(differences)
    assert found == pytest.approx(exact, abs=5 * math.sqrt(exact / 99_999))


@given(DIFFERENCES.filter(lambda x: len(x) >= 6), st.integers(2, 9), st.randoms(use_true_random=False))
def test_symmetries(hundredths: list[int], scale: int, random: object) -> None:
    differences = [one / 100 for one in hundredths]
    p = sign_flip_p(differences)
    shuffled = list(differences)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sign_flip_p([-one for one in differences]) == pytest.approx(p)
    assert sign_flip_p(shuffled) == pytest.approx(p)
    assert sign_flip_p([scale * one for one in differences]) == pytest.approx(p)
    assert 0 < p <= 1


A = by_seed([50.1, 51.3, 49.8, 50.7, 52.0, 50.4, 51.1])
B = by_seed([49.0, 50.9, 50.1, 49.2, 50.3, 50.0, 49.6])


def test_compare_and_the_swap_of_labels() -> None:
    found, swapped = compare_seeds(A, B), compare_seeds(B, A)
    hundredths = [round(100 * (A[seed] - B[seed])) for seed in A]
    assert found.p == pytest.approx(float(enumerated(hundredths)))
    assert found.difference == pytest.approx(sum(hundredths) / 700)
    assert (found.seeds, found.refusal) == (tuple(range(7)), "")
    assert found.low < found.difference < found.high
    assert swapped.p == pytest.approx(found.p)
    expected = (-found.difference, -found.high, -found.low)
    assert (swapped.difference, swapped.low, swapped.high) == pytest.approx(expected)


def test_interval_of_the_difference_is_students() -> None:
    """Differences 1, 2, 3, 4, 5, 6: mean 3.5, s = √3.5, t(5) = 2.571."""
    a, b = by_seed([11.0, 22.0, 33.0, 44.0, 55.0, 66.0]), by_seed([10.0, 20.0, 30.0, 40.0, 50.0, 60.0])
    found = compare_seeds(a, b)
    half = 2.571 * math.sqrt(3.5) / math.sqrt(6)
    assert (found.low, found.high) == pytest.approx((3.5 - half, 3.5 + half), abs=1e-3)


def test_only_seeds_that_both_have() -> None:
    found = compare_seeds(A | {10: 99.0}, B | {11: 1.0, 12: 1.0})
    assert found.seeds == tuple(range(7))
    assert found.p == compare_seeds(A, B).p


@pytest.mark.parametrize("n", range(1, 6))
def test_too_few_seeds_are_refused(n: int) -> None:
    a, b = by_seed([60.0 + i for i in range(n)]), by_seed([10.0] * n)
    found = compare_seeds(a, b)
    assert math.isnan(found.p)
    assert found.difference == pytest.approx(50 + (n - 1) / 2)  # the difference is told, not judged
    assert found.refusal.startswith(f"{n} seed{'' if n == 1 else 's'} ")
    assert "5 %" in found.refusal and " 6 " in found.refusal


def test_holm_asks_for_more_seeds() -> None:
    a, b = by_seed([60.0 + i for i in range(6)]), by_seed([10.0] * 6)
    assert compare_seeds(a, b).p == pytest.approx(1 / 32)
    assert all(fact in too_few(6, comparisons=4) for fact in ("6 seeds", "5 %", "4 comparisons", " 8 "))
    assert all(fact in compare_seeds(a, b, alpha=0.01).refusal for fact in ("1 %", " 8 "))


@given(st.floats(0.001, 0.2), st.integers(1, 40))
def test_seeds_needed_is_the_least(alpha: float, comparisons: int) -> None:
    n = seeds_needed(alpha, comparisons)
    assert comparisons * 2 / 2**n <= alpha
    assert n == 1 or comparisons * 2 / 2 ** (n - 1) > alpha


def test_two_closed_forms_are_refused() -> None:
    a, b = dict.fromkeys(range(10), 53.9), dict.fromkeys(range(10), 40.0)
    found = compare_seeds(a, b)
    assert math.isnan(found.p)
    assert math.isnan(found.low)
    assert found.difference == pytest.approx(13.9)
    assert "every seed" in found.refusal


def test_a_closed_form_against_one_that_varies_is_judged() -> None:
    found = compare_seeds(dict.fromkeys(A, 45.0), A)
    assert (found.refusal, found.p) == ("", pytest.approx(2 / 2**7))


def test_two_methods_that_share_all_they_do_are_not_told_apart() -> None:
    found = compare_seeds(A, dict(A))
    assert (found.refusal, found.p, found.difference) == ("", 1.0, 0.0)


def test_a_missing_figure_is_not_left_out() -> None:
    found = compare_seeds(A | {2: math.nan, 5: math.nan}, B)
    assert math.isnan(found.p)
    assert math.isnan(found.difference)
    assert "2, 5" in found.refusal


def test_no_seed_in_common() -> None:
    found = compare_seeds(by_seed([1.0, 2.0]), by_seed([1.0, 2.0], first=7))
    assert found.seeds == () and "common" in found.refusal


@pytest.mark.parametrize("arguments", [(0.0, 1), (1.0, 1), (0.05, 0)])
def test_what_is_no_level(arguments: tuple[float, int]) -> None:
    with pytest.raises(ValueError, match="alpha"):
        seeds_needed(*arguments)
