"""Numbers as they are printed: their value, what rounding hides, and whether H can follow from U and S.

A number printed as ``60.3`` stands for anything from 60.25 to 60.35. H = 2US/(U+S) rises with U and with S,
so the printed U and S allow a range of H from their lower to their upper ends; a printed H whose own range
does not meet it cannot be right. All of this is exact arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from zslbench.evaluation.metrics import METRICS

FIGURES = tuple(one.name for one in METRICS.values() if one.published)
"""What published results have, by the names of the metrics."""


def value(text: str) -> float:
    """A printed percentage; NaN for an empty text: none is printed.

    Raises:
        ValueError: it is no number, or no percentage.
    """
    if not text:
        return math.nan
    number = float(text)
    if not 0 <= number <= 100:
        raise ValueError("a figure is no percentage")
    return number


def rounding(text: str) -> float:
    """Half a unit of the last printed digit: what rounding may have taken or added; NaN: nothing is printed.

    >>> rounding("60.3"), rounding("60"), rounding("60.30")
    (0.05, 0.5, 0.005)
    """
    return float(_half(text)) if text else math.nan


def recomputed(printed: Mapping[str, str]) -> float:
    """2US/(U+S) of the printed U and S, by the names of ``FIGURES``; NaN where one is not printed."""
    if not (printed["U"] and printed["S"]):
        return math.nan
    return float(_harmonic(Fraction(printed["U"]), Fraction(printed["S"])))


def dispute(printed: Mapping[str, str]) -> str:
    """Why the printed H cannot follow from the printed U and S, one line; empty: it can, or one is not
    there."""
    if not all(printed[name] for name in ("U", "S", "H")):
        return ""
    lows, highs = zip(*(_range(printed[name]) for name in ("U", "S")), strict=True)
    low, high = _harmonic(*lows), _harmonic(*highs)
    printed_low, printed_high = _range(printed["H"])
    if printed_low <= high and low <= printed_high:
        return ""
    digits = max(_decimals(printed[name]) for name in ("U", "S", "H")) + 1
    return (
        f"printed H {printed['H']}, but 2US/(U+S) of the printed U and S is {recomputed(printed):.{digits}f} "
        f"({float(low):.{digits}f} to {float(high):.{digits}f} within their rounding)"
    )


def _harmonic(u: Fraction, s: Fraction) -> Fraction:
    return 2 * u * s / (u + s) if u + s else Fraction(0)


def _range(text: str) -> tuple[Fraction, Fraction]:
    """What a printed percentage can stand for; its ends included, as either may be rounded to it."""
    exact, half = Fraction(text), _half(text)
    return max(Fraction(0), exact - half), min(Fraction(100), exact + half)


def _half(text: str) -> Fraction:
    return Fraction(1, 2) / Fraction(10) ** _decimals(text)


def _decimals(text: str) -> int:
    """Digits behind the point."""
    try:
        exponent = Decimal(text).as_tuple().exponent
    except InvalidOperation:
        raise ValueError(f"could not convert string to a number: {text!r}") from None
    return -int(exponent)
