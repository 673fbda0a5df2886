"""Where a published figure lies against our seeds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from zslbench.report.published import verdict
from zslbench.report.statistics import Interval, interval

OURS = interval([44.1, 44.5, 44.9])  # 43.506 to 45.494


@pytest.mark.parametrize(
    ("published", "place"),
    [(44.3, "inside"), (43.6, "inside"), (45.6, "above"), (43.4, "below"), (99.0, "above")],
)
def test_places(published: float, place: str) -> None:
    found = verdict(OURS, published)
    assert found.place == place
    assert found.difference == pytest.approx(44.5 - published)
    assert found.text == f"published {place} the interval"


def test_rounding_of_the_published_figure() -> None:
    """45.5 printed to one decimal may have been 45.46, which is inside."""
    assert verdict(OURS, 45.5).place == "above"
    assert verdict(OURS, 45.5, 0.05).place == "inside"
    assert verdict(OURS, 45.6, 0.05).place == "above"
    assert verdict(OURS, 43.5, 0.05).place == "inside"
    assert verdict(OURS, 43.4, 0.05).place == "below"


@pytest.mark.parametrize(
    ("ours", "reason"),
    [
        (interval([44.3]), "one seed: no interval"),
        (interval([44.3, 44.3, 44.3]), "the same for every seed: no interval"),
        (interval([44.3, math.nan]), "a seed has no figure"),
        (interval([]), "no seed: no interval"),
    ],
)
def test_no_interval(ours: Interval, reason: str) -> None:
    found = verdict(ours, 44.0)
    assert (found.place, found.reason, found.text) == ("unknown", reason, reason)
    if ours.n == 1:
        assert found.difference == pytest.approx(0.3)


def test_nothing_published() -> None:
    found = verdict(OURS, math.nan)
    assert (found.place, found.text) == ("unknown", "not published")
    assert math.isnan(found.difference)


@given(st.lists(st.floats(1, 99), min_size=2, max_size=6), st.floats(0, 100))
def test_mirrored_at_50(values: list[float], published: float) -> None:
    ours, mirrored = interval(values), interval([100 - one for one in values])
    if not math.isnan(ours.low) and min(abs(published - ours.low), abs(published - ours.high)) > 1e-6:
        here, there = verdict(ours, published).place, verdict(mirrored, 100 - published).place
        assert there == {"above": "below", "below": "above"}.get(here, here)
