"""Intervals over seeds, against tables of Student's t and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from zslbench.report.statistics import interval

VALUES = st.lists(st.floats(1, 99), min_size=2, max_size=12).filter(lambda x: max(x) - min(x) > 0.01)

# Two-sided 95 % quantiles of Student's t, as printed in textbooks, by degrees of freedom.
T95 = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262}


@pytest.mark.parametrize("freedom", T95)
def test_textbook_quantiles(freedom: int) -> None:
    values = [50.0 + (-1) ** i * (i + 1) / 7 for i in range(freedom + 1)]
    found = interval(values)
    n = freedom + 1
    assert (found.n, found.mean, found.std) == pytest.approx((n, np.mean(values), np.std(values, ddof=1)))
    assert found.half == pytest.approx(T95[freedom] * found.std / math.sqrt(n), rel=2e-4)
    assert (found.low + found.high) / 2 == pytest.approx(found.mean)


def test_a_case_by_hand() -> None:
    """44.1, 44.5, 44.9: mean 44.5, s = 0.4, t(2) = 4.303, half = 4.303 · 0.4 / √3 = 0.9937."""
    found = interval([44.1, 44.5, 44.9])
    assert (found.low, found.high) == pytest.approx((43.5063, 45.4937), abs=2e-4)
    assert 44.3 in found
    assert 45.6 not in found


def test_one_seed_has_no_interval() -> None:
    found = interval([44.3])
    assert (found.n, found.mean) == (1, 44.3)
    assert all(math.isnan(one) for one in (found.std, found.low, found.high))
    assert "one seed" in found.reason
    assert 44.3 not in found


def test_no_seed() -> None:
    assert math.isnan(interval([]).mean)
    assert interval([]).n == 0


@pytest.mark.parametrize("values", [[50.0, math.nan, 51.0], [math.nan], [50.0, math.inf]])
def test_a_seed_without_its_figure_is_not_averaged_away(values: list[float]) -> None:
    found = interval(values)
    assert found.n == len(values)
    assert all(math.isnan(one) for one in (found.mean, found.std, found.low, found.high))
    assert found.reason


def test_a_closed_form_repeated_is_no_sample() -> None:
    found = interval([100 * 0.123456789] * 5)
    assert (found.mean, found.std) == (pytest.approx(12.3456789), 0.0)
    assert math.isnan(found.low)
    assert "every seed" in found.reason
    # One image of SUN's test set weighs 100 / (72 · 20) points and is no rounding.
    assert not interval([50.0, 50.0 + 100 / 1440]).reason


@given(VALUES, st.randoms(use_true_random=False))
def test_order_of_seeds_does_not_matter(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert interval(shuffled) == interval(values)


@given(VALUES, st.floats(0.1, 10), st.floats(-50, 50))
def test_shift_and_scale(values: list[float], scale: float, shift: float) -> None:
    before, after = interval(values), interval([shift + scale * one for one in values])
    assert after.std == pytest.approx(scale * before.std, abs=1e-9)
    expected = (shift + scale * before.low, shift + scale * before.high)
    assert (after.low, after.high) == pytest.approx(expected, abs=1e-6)


@given(VALUES)
def test_the_mean_is_in_the_middle(values: list[float]) -> None:
    found = interval(values)
    assert found.low < found.mean < found.high
    assert found.mean in found


def test_coverage_of_normal_seeds() -> None:
    """Of 95 % intervals of five normal values 95 % hold the true mean (1000 of them: ± 2 points)."""
    draws = np.random.default_rng(3).normal(60, 1.5, size=(1000, 5))
    held = np.mean([60.0 in interval(row.tolist()) for row in draws])
    assert 0.93 < held < 0.97
