"""Bootstrap over classes: against NumPy's own resampling, known cases and its coverage."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from zslbench.errors import DataError
from zslbench.report.bootstrap import (
    LEAST_CLASSES,
    class_names,
    difference_over_classes,
    over_classes,
)


def run(czsl: np.ndarray, unseen: np.ndarray, seen: np.ndarray) -> pd.DataFrame:
    """A run's table of classes with these accuracies in percent."""
    names = [f"u{i}" for i in range(len(unseen))] + [f"s{i}" for i in range(len(seen))]
    return pd.DataFrame(
        {
            "class_id": range(len(names)),
            "name": names,
            "side": ["unseen"] * len(unseen) + ["seen"] * len(seen),
            "gzsl_accuracy": np.concatenate([unseen, seen]) / 100,
            "czsl_accuracy": np.concatenate([czsl, np.full(len(seen), math.nan)]) / 100,
        }
    )


def accuracies(seed: int, unseen: int = 30, seen: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random CZSL accuracies, and GZSL ones of unseen and seen classes."""
    rng = np.random.default_rng(seed)
    return rng.uniform(20, 100, unseen), rng.uniform(0, 90, unseen), rng.uniform(30, 100, seen)


def drawn(seed: int, unseen: int = 30, seen: int = 50) -> pd.DataFrame:
    return run(*accuracies(seed, unseen, seen))


def harmonic(u: float, s: float) -> float:
    return 2 * u * s / (u + s)


def test_values_are_the_figures() -> None:
    pairs = zip(accuracies(1), accuracies(2), strict=True)
    figures = {
        name: (one.mean(), other.mean()) for name, (one, other) in zip(("Acc", "U", "S"), pairs, strict=True)
    }
    figures["H"] = tuple(harmonic(figures["U"][i], figures["S"][i]) for i in (0, 1))
    found, apart = over_classes(drawn(1)), difference_over_classes(drawn(1), drawn(2))
    for name, (mine, theirs) in figures.items():
        assert found[name].mean == pytest.approx(mine)
        assert found[name].low < mine < found[name].high
        assert apart[name].mean == pytest.approx(mine - theirs)
    assert [found[name].n for name in ("Acc", "U", "S", "H")] == [30, 30, 50, 80]


def test_near_plain_resampling() -> None:
    """Many symmetric values: the percentiles of resampled figures, drawn by a loop of our own, are as far."""
    _, of_unseen, of_seen = accuracies(3, 200, 300)
    _, other_unseen, other_seen = accuracies(4, 200, 300)
    rng = np.random.default_rng(11)
    resampled: dict[str, list[float]] = {"U": [], "H": [], "diff U": [], "diff H": []}
    for _ in range(4000):
        i, j = rng.integers(0, 200, 200), rng.integers(0, 300, 300)
        u, s = of_unseen[i].mean(), of_seen[j].mean()
        v, t = other_unseen[i].mean(), other_seen[j].mean()
        for name, value in {
            "U": u, "H": harmonic(u, s), "diff U": u - v, "diff H": harmonic(u, s) - harmonic(v, t)
        }.items():  # fmt: skip
            resampled[name].append(value)
    one, other = drawn(3, 200, 300), drawn(4, 200, 300)
    found, apart = over_classes(one), difference_over_classes(one, other)
    for name, interval in {
        "U": found["U"],
        "H": found["H"],
        "diff U": apart["U"],
        "diff H": apart["H"],
    }.items():
        low, high = np.percentile(resampled[name], [2.5, 97.5])
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_the_same_classes_are_drawn_for_both_runs() -> None:
    """Runs that differ by a constant in every class: the difference of means does not vary at all."""
    one, other = drawn(5), run(*(values - 3 for values in accuracies(5)))
    for name in ("Acc", "U", "S"):
        found = difference_over_classes(one, other)[name]
        assert found.mean == pytest.approx(3)
        assert found.high - found.low < 1e-9 or math.isnan(found.low)


def test_swapped_runs_mirror_the_interval() -> None:
    one, other = drawn(6), drawn(7)
    here, there = difference_over_classes(one, other), difference_over_classes(other, one)
    for name in here:
        assert here[name].mean == pytest.approx(-there[name].mean)
        width = here[name].high - here[name].low
        assert (here[name].low, here[name].high) == pytest.approx(
            (-there[name].high, -there[name].low), abs=0.02 * width
        )


def test_it_is_repeatable() -> None:
    assert over_classes(drawn(8)) == over_classes(drawn(8))


def test_coverage_of_a_known_case() -> None:
    """20 classes of a known distribution: 95 % intervals hold its mean about as often as they should."""
    rng = np.random.default_rng(9)
    held = 0
    for _ in range(100):
        values = 100 * rng.beta(2, 1, 20)  # mean 2/3, skewed as accuracies are
        found = over_classes(run(values, values, values), resamples=499)["Acc"]
        held += found.low <= 200 / 3 <= found.high
    assert 0.86 <= held / 100 <= 0.99


def test_few_classes_have_no_interval() -> None:
    found = over_classes(drawn(10, unseen=LEAST_CLASSES - 1))
    for name in ("Acc", "U", "H"):
        assert math.isfinite(found[name].mean)
        assert math.isnan(found[name].low)
        assert "4 classes" in found[name].reason and "5" in found[name].reason
    assert found["S"].reason == ""


def test_a_class_without_test_images_is_left_out_as_the_figures_do() -> None:
    czsl, unseen, seen = accuracies(11)
    gap = unseen.copy()
    gap[[2, 5]] = math.nan
    found = over_classes(run(czsl, gap, seen))["U"]
    assert found.mean == pytest.approx(np.nanmean(gap))
    assert found.n == 28
    less = over_classes(run(np.delete(czsl, [2, 5]), np.delete(unseen, [2, 5]), seen))["U"]
    assert (found.low, found.high) == (less.low, less.high)


def test_a_method_that_does_czsl_only() -> None:
    czsl, *_ = accuracies(12)
    nothing = np.full(30, math.nan), np.full(50, math.nan)
    found = over_classes(run(czsl, *nothing))
    assert not found["Acc"].reason
    for name in ("U", "S", "H"):
        assert math.isnan(found[name].mean)
        assert found[name].reason


def test_nothing_varies() -> None:
    flat = run(np.full(9, 100.0), np.zeros(9), np.zeros(9))
    found = over_classes(flat)
    assert (found["Acc"].mean, found["H"].mean) == (100.0, 0.0)
    assert all("all classes" in one.reason for one in found.values())


def test_runs_of_other_classes() -> None:
    with pytest.raises(DataError, match="classes"):
        difference_over_classes(drawn(1), drawn(1, unseen=29))


def test_from_a_runs_table() -> None:
    """The table that the evaluator writes has fractions, in any order of classes."""
    table = pd.DataFrame(
        {
            "class_id": [3, 0, 2, 1],
            "name": ["d", "a", "c", "b"],
            "side": ["unseen", "seen", "unseen", "seen"],
            "images": [5, 5, 5, 0],
            "gzsl_accuracy": [0.2, 0.5, 0.1, math.nan],
            "czsl_accuracy": [0.4, math.nan, 0.3, math.nan],
        }
    )
    found = over_classes(table)
    assert {name: (one.mean, one.n) for name, one in found.items()} == {
        "Acc": (pytest.approx(35.0), 2),
        "U": (pytest.approx(15.0), 2),
        "S": (pytest.approx(50.0), 1),
        "H": (pytest.approx(harmonic(15, 50)), 3),
    }
    assert class_names(table) == [("unseen", "c"), ("unseen", "d"), ("seen", "a"), ("seen", "b")]
    # Runs are compared class by class, whatever the order of their rows.
    assert difference_over_classes(table, table[::-1])["Acc"].mean == 0
