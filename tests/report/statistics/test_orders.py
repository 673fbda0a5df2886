"""Ranks with intervals, and the agreement of two orders."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from zslbench.report import order_agreement, ranks

figures = st.floats(0, 100, allow_nan=False).map(lambda one: round(one, 3))
rows = st.lists(st.lists(figures, min_size=3, max_size=3), min_size=1, max_size=7)


def table(*values: list[float]) -> dict[str, dict[int, float]]:
    return {f"m{place}": dict(enumerate(seeds)) for place, seeds in enumerate(values)}


# --- ranks ---------------------------------------------------------------------------------------


def test_by_hand() -> None:
    """Two groups, far apart; within a group nothing is certain."""
    found = ranks(table([50, 51, 52], [50.2, 51.2, 52.2], [10, 11, 12], [9.9, 10.9, 11.9]))
    assert [(one.rank, one.low, one.high) for one in found.values()] == [
        (2, 1, 2),
        (1, 1, 2),
        (3, 3, 4),
        (4, 3, 4),
    ]


def test_constants_differ_if_their_values_do() -> None:
    found = ranks(table([30, 30, 30], [20, 20, 20], [20, 20, 20], [5, 25, 45]))
    assert [(one.rank, one.low, one.high) for one in found.values()] == [
        (1, 1, 2),
        (3, 2, 4),
        (3, 2, 4),
        (2, 1, 4),
    ]


def test_what_varies_unknown_is_left_out() -> None:
    values = {"one seed": {0: 99.0}, "hole": {0: 1.0, 1: math.nan}, "none": {}, "a": {0: 1.0, 1: 2.0}}
    found = ranks(values)
    assert {name: (one.rank, one.low, one.high) for name, one in found.items()} == {"a": (1, 1, 1)}
    assert ranks({}) == {}


@pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")  # of a sample that is constant
@settings(max_examples=25)
@given(rows)
def test_against_scipy_s_own_test(values: list[list[float]]) -> None:
    """The definition, pair by pair, from single values."""
    found = ranks(table(*values))
    for name, (place, own) in zip(found, enumerate(values), strict=True):
        better = worse = surely_better = surely_worse = 0
        for other in values[:place] + values[place + 1 :]:
            gap = float(np.mean(other) - np.mean(own))
            if abs(gap) <= 1e-9:
                continue
            varies = np.ptp(own) > 1e-9 or np.ptp(other) > 1e-9
            p = stats.ttest_ind(own, other, equal_var=False).pvalue if varies else 0.0
            certain = bool(p <= 0.05 / (len(values) - 1))
            better, worse = better + (gap > 0), worse + (gap < 0)
            surely_better, surely_worse = (
                surely_better + (certain and gap > 0),
                surely_worse + (certain and gap < 0),
            )
        one = found[name]
        assert (one.rank, one.low, one.high) == (1 + better, 1 + surely_better, len(values) - surely_worse)


@settings(max_examples=25)
@given(rows, st.floats(-50, 50), st.randoms(use_true_random=False))
def test_shifts_order_and_direction_change_nothing_that_matters(
    values: list[list[float]], shift: float, random: object
) -> None:
    found = ranks(table(*values))
    n = len(values)
    assert all(1 <= one.low <= one.rank <= one.high <= n for one in found.values())
    backwards = ranks({name: dict(of) for name, of in reversed(table(*values).items())})
    assert backwards == found
    worst_first = ranks(table(*values), higher=False)
    assert all(
        (n + 1 - one.high, n + 1 - one.low) == (worst_first[k].low, worst_first[k].high)
        for k, one in found.items()
    )
    strict = ranks(table(*values), alpha=0.001)
    assert all(strict[k].low <= one.low and one.high <= strict[k].high for k, one in found.items())


def test_coverage() -> None:
    """Of methods whose true means are equal or close, at least 95 % of the intervals hold the true rank."""
    rng = np.random.default_rng(4)
    truth, spread = np.array([10, 10, 10.3, 12, 20]), np.array([0.2, 3, 1, 1, 5])
    best, worst = [1 + (truth > one).sum() for one in truth], [(truth >= one).sum() for one in truth]
    inside = []
    for _ in range(150):
        found = ranks(table(*(rng.normal(truth, spread, (3, 5)).T.tolist())))
        # With ties every rank between the best and the worst of the tied is true.
        inside += [
            one.low <= b and w <= one.high for one, b, w in zip(found.values(), best, worst, strict=True)
        ]
    assert np.mean(inside) >= 0.95


# --- agreement -----------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=9))
def test_tau_is_scipy_s_and_knows_order_only(pairs: list[tuple[int, int]]) -> None:
    x, y = ({f"m{k}": float(one) for k, one in enumerate(of)} for of in zip(*pairs, strict=True))
    found = order_agreement(x, y)
    expected = stats.kendalltau(list(x.values()), list(y.values())).statistic
    assert found.mean == pytest.approx(expected, nan_ok=True)
    assert found.n == len(pairs)
    assert order_agreement(y, {k: math.exp(one) for k, one in x.items()}).mean == pytest.approx(
        found.mean, nan_ok=True
    )
    if found.low == found.low:
        assert -1 <= found.low <= found.high <= 1


def test_the_interval_is_that_of_a_bootstrap_over_methods() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=15)
    y = x + rng.normal(size=15)
    found = order_agreement(dict(enumerate(x)), dict(enumerate(y)))  # type: ignore[arg-type]
    ours = stats.bootstrap(
        (x, y), lambda a, b: stats.kendalltau(a, b).statistic, paired=True, vectorized=False,
        n_resamples=500, method="percentile", rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == pytest.approx((ours.low, ours.high), abs=0.05)
    assert found.low < found.mean < found.high


def test_equal_orders_few_methods_and_none() -> None:
    x = {name: float(place) for place, name in enumerate("abcdef")}
    same = order_agreement(x, {**x, "further": 3.0})
    assert (same.n, same.mean, same.low, same.high) == (6, 1, 1, 1)
    assert order_agreement(x, {name: -one for name, one in x.items()}).mean == -1
    few = order_agreement(dict(itertools.islice(x.items(), 4)), x)
    assert (few.n, few.mean) == (4, 1)
    assert math.isnan(few.low) and "4 methods" in few.reason
    for other in ({}, {"a": 1.0}, {"a": 1.0, "b": math.nan}):
        none = order_agreement(x, other)
        assert math.isnan(none.mean) and none.reason
