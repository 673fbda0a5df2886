"""Every method against the best, with Holm's correction done by hand."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings, strategies as st

from zslbench.report.statistics import against_best, compare_seeds, family_text, holm, too_few

Values = dict[str, dict[int, float]]


def seeds(mean: float, n: int = 10, spread: float = 1.0, key: int = 0) -> dict[int, float]:
    """Values of n seeds around a mean."""
    draw = random.Random(f"{mean} {key}")
    return {seed: mean + draw.uniform(-spread, spread) for seed in range(n)}


def by_hand(p: list[float], alpha: float) -> tuple[list[bool], list[float]]:
    """Holm (1979): the k-th smallest of m is multiplied by m − k + 1, never less than the one before."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    corrected, running = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = running
    return [one <= alpha for one in corrected], corrected


def test_holm_of_a_textbook() -> None:
    rejected, corrected = holm([0.01, 0.04, 0.03, 0.005], 0.05)
    assert corrected == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert rejected == [True, False, False, True]
    assert holm([]) == ([], [])


@settings(max_examples=30)  # statsmodels collects garbage at every call
@given(st.lists(st.integers(1, 512).map(lambda k: k / 512), min_size=1, max_size=8))
def test_holm_by_hand(p: list[float]) -> None:
    rejected, corrected = holm(p, 0.05)
    assert corrected == pytest.approx(by_hand(p, 0.05)[1])
    assert rejected == [one <= 0.05 + 1e-12 for one in corrected]


def test_best_second_tied_and_worse() -> None:
    values: Values = {
        "low": seeds(40),
        "close": seeds(50, key=1),
        "top": seeds(50.2, key=2),
        "mid": seeds(45),
    }
    found = against_best(values)
    assert (found.best, found.second) == ("top", "close")
    assert found.tied == {"close"}
    states = {name: one.state for name, one in found.verdicts.items()}
    assert states == {"low": "differs", "close": "tied", "top": "best", "mid": "differs"}
    assert list(found.verdicts) == list(values)
    assert (found.comparisons, found.alpha, found.not_judged) == (3, 0.05, {})
    # Corrected values are those of the plain p values, by hand.
    others = [name for name in values if name != "top"]
    plain = [compare_seeds(values[name], values["top"]).p for name in others]
    assert [found.verdicts[name].p for name in others] == pytest.approx(by_hand(plain, 0.05)[1])
    assert found.verdicts["low"].paired is not None
    assert found.verdicts["low"].paired.difference < 0


def test_a_difference_that_does_not_survive_correction_is_tied() -> None:
    """Six wins and one small loss: p = 4/128 alone, but four comparisons ask for 5 % / 4 of the least."""
    best = dict.fromkeys(range(8), 60.0)
    steady = {seed: 59.0 + 0.1 * (seed % 3) for seed in range(8)}
    once = steady | {7: 60.05}  # wins one seed by little: p = 4/256
    values: Values = {"best": best, "once": once}
    assert against_best(values).verdicts["once"].state == "differs"
    crowd = {f"other {i}": {seed: 59.9 + 0.2 * ((seed + i) % 2) for seed in range(8)} for i in range(4)}
    found = against_best(values | crowd)
    assert found.best == "best"
    assert found.verdicts["once"].p == pytest.approx(5 * 4 / 256)
    assert found.verdicts["once"].state == "tied"


@pytest.mark.parametrize("n", [1, 3, 7])
def test_few_seeds_are_neither_tied_nor_worse(n: int) -> None:
    values: Values = {f"m{i}": seeds(50 - 10 * i, n) for i in range(5)}
    found = against_best(values)
    assert (found.best, found.second, found.tied) == ("m0", "m1", frozenset())
    assert set(found.not_judged) == {"m1", "m2", "m3", "m4"}
    for name in found.not_judged:
        one = found.verdicts[name]
        assert one.paired is not None
        assert math.isnan(one.p)
        assert math.isnan(one.paired.p)
        assert one.paired.refusal == one.reason
        assert one.paired.difference < 0  # the difference is told all the same
    reason = found.not_judged["m1"]
    if n < 6:
        assert reason == too_few(n) and "6" in reason
    else:
        assert reason == too_few(7, comparisons=4) and "8" in reason


def test_enough_seeds_for_the_number_of_comparisons() -> None:
    values: Values = {f"m{i}": seeds(50 - 10 * i, 8) for i in range(4)}
    assert {one.state for one in against_best(values).verdicts.values()} == {"best", "differs"}


def test_one_with_few_seeds_costs_the_others_nothing() -> None:
    values: Values = {"a": seeds(50, 7), "b": seeds(40, 7), "c": seeds(30, 7)}
    assert against_best(values).verdicts["b"].p == pytest.approx(2 * 2 / 2**7)
    found = against_best(values | {f"short {i}": seeds(20, 3, key=i) for i in range(5)})
    assert found.comparisons == 2
    assert found.verdicts["b"].state == "differs"
    assert found.verdicts["b"].p == pytest.approx(2 * 2 / 2**7)


def test_fewer_seeds_are_judged_in_holms_second_step() -> None:
    """Six seeds: 2 · 2/64 is too much for the first step, 2/64 is not for the second."""
    found = against_best({"a": seeds(50, 9), "b": seeds(40, 9), "c": seeds(30, 6)})
    assert found.verdicts["c"].state == "differs"
    assert found.verdicts["c"].p == pytest.approx(2 / 64)


def test_closed_forms() -> None:
    form, other = dict.fromkeys(range(10), 53.9), dict.fromkeys(range(10), 50.0)
    found = against_best({"form": form, "other": other, "varies": seeds(45)})
    assert found.best == "form"
    assert found.verdicts["other"].state == "not judged"
    assert found.not_judged["other"]
    assert found.verdicts["varies"].state == "differs"
    assert found.comparisons == 1


def test_a_method_without_a_mean_is_missing() -> None:
    found = against_best({"a": seeds(50), "b": seeds(60) | {3: math.nan}, "none": {}})
    assert (found.best, found.second) == ("a", None)
    assert [found.verdicts[name].state for name in ("b", "none")] == ["missing", "missing"]
    assert found.verdicts["b"].reason


def test_nothing_to_rank() -> None:
    for values in ({}, {"a": {}}, {"a": {0: math.nan}}):
        found = against_best(values)
        assert (found.best, found.second, found.tied, found.comparisons) == (None, None, frozenset(), 0)


def test_equals_the_first_given_is_the_best() -> None:
    same = seeds(50)
    found = against_best({"x": same, "y": dict(same)})
    assert (found.best, found.second, found.tied) == ("x", "y", {"y"})


def test_false_alarms_stay_below_alpha() -> None:
    """Four methods that are alike: rarely does the test say that one differs from the best."""
    draw = random.Random(5)
    alarms = 0
    for _ in range(40):
        values = {name: {seed: draw.gauss(50, 1) for seed in range(8)} for name in "abcd"}
        alarms += any(one.state == "differs" for one in against_best(values).verdicts.values())
    assert alarms <= 6  # 5 % of 40, and three standard deviations


def test_text_names_the_method() -> None:
    assert "Holm" in family_text(0.01)
    assert "1 %" in family_text(0.01)
