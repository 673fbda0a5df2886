"""Rows of other people's tables: what is printed of a method on a data set, and how comparable it is.

A number printed as ``60.3`` stands for anything from 60.25 to 60.35. H = 2US/(U+S) rises with U and with S,
so the printed U and S allow a range of H; a printed H whose own range does not meet it cannot be right. All
of this is exact arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal

from zslbench.evaluation.metrics import METRICS

Origin = Literal[
    "own paper", "own release", "survey", "quoted in a paper", "quoted in a release", "reproduction"
]
"""Who prints the figures, the nearest to the method's authors first. A release is a repository: its README,
its notebooks, its released models."""

DISPUTED_MARK = "‡"
DISPUTED_NOTE = (
    f"{DISPUTED_MARK} the printed H does not follow from the printed U and S, whatever their rounding"
)

LIKE_PRINTED = ("res101", "mean")
"""Features of runs, as run records call them, that are like those of published rows: the survey's, and means
over regions, which stand in for them where a data set has none."""

SENTENCES = "sent1024"
"""Class semantics of 1024-d sentence embeddings, as the published rows call them."""

FIGURES = tuple(one.name for one in METRICS.values() if one.published)
"""What published results have, by the names of the metrics."""


@dataclass(frozen=True)
class PublishedRow:
    """What one source prints of one method on one data set."""

    method: str
    """As it is printed, ``"SC-EGG"``."""
    group: str
    """``embedding`` or ``generative``."""
    citation: str
    dataset: str
    """As zslbench calls it: ``cub``, ``sun``, ``awa2``, ``awa1``, ``apy``, ``flo``."""
    figures: Mapping[str, float]
    """Acc, U, S and H in percent, as printed; NaN where none is printed."""
    source: str
    semantics: str
    """``att`` or ``sent1024``."""
    finetuned: bool
    """Whether the backbone was trained on the seen classes."""
    h_recomputed: float
    """2US/(U+S) of the printed U and S, in percent; NaN where one is not printed."""
    note: str = ""
    """What a reader should know of the row, disputes included."""
    disputed: bool = False
    """Whether the printed H cannot follow from the printed U and S, whatever their rounding."""
    features: str = ""
    """Where the source names its visual features; empty: it does not."""
    origin: Origin = "quoted in a paper"
    variant: str | None = None
    """Of a method's own ablation; None: the method itself."""
    rounding: Mapping[str, float] = field(default_factory=dict)
    """Half a unit of each figure's last printed digit."""

    def text(self, figure: str) -> str | None:
        """A figure as it is printed, ``"60.3"``; None: it is not."""
        value = self.figures[figure]
        if math.isnan(value):
            return None
        half = self.rounding.get(figure)
        return f"{value:.{round(-math.log10(2 * half))}f}" if half else f"{value:.1f}"

    @property
    def empty(self) -> bool:
        """Whether the source lists the method without a single figure."""
        return all(math.isnan(value) for value in self.figures.values())

    @property
    def complete(self) -> bool:
        """Whether U, S and H are printed, so that H can be checked."""
        return not any(math.isnan(self.figures[name]) for name in ("U", "S", "H"))

    def differences(self, semantics: str = "att", features: str = "res101") -> tuple[str, ...]:
        """How its conditions differ from those of a run, a reason each.

        Args:
            semantics: the run's, as run records name it: ``att``, ``original_att`` or ``sentence``.
            features: the run's, as run records name them: ``res101`` is the survey's.
        """
        reasons = []
        if self.semantics != printed_semantics(semantics, self.dataset):
            names = {"att": "class attributes", SENTENCES: "1024-d sentence embeddings"}
            reasons.append(names.get(self.semantics, self.semantics))
        if self.finetuned:
            reasons.append("fine-tuned backbone")
        if self.features and not self.features.startswith("GBU"):  # the survey's are what data sets come with
            reasons.append(self.features)
        if features not in LIKE_PRINTED:
            reasons.append(f"other features than {features}")
        return tuple(reasons)


def printed_semantics(semantics: str, dataset: str) -> str:
    """The name in published rows of the semantics that a run record names.

    The ``att`` of FLO holds text embeddings: the data set has no attributes.
    """
    return SENTENCES if semantics == "sentence" or dataset.lower() == "flo" else "att"


def published_row(
    printed: Mapping[str, str],
    *,
    method: str,
    group: str,
    citation: str,
    dataset: str,
    source: str,
    note: str = "",
    semantics: str = "att",
    finetuned: bool = False,
    features: str = "",
    origin: Origin = "quoted in a paper",
    variant: str | None = None,
) -> PublishedRow:
    """A row from its figures as they are printed (``"60.3"``; empty: not printed), checked for H.

    Raises:
        ValueError: a figure is not a number or not a percentage.
    """
    figures = {name: printed_value(printed[name]) for name in FIGURES}
    fault = dispute(printed)
    return PublishedRow(
        method=method,
        group=group,
        citation=citation,
        dataset=dataset,
        figures=figures,
        source=source,
        semantics=semantics,
        finetuned=finetuned,
        h_recomputed=recomputed(printed),
        note="; ".join(text for text in (fault, note) if text),
        disputed=bool(fault),
        features=features,
        origin=origin,
        variant=variant,
        rounding={name: printed_rounding(printed[name]) for name in FIGURES},
    )


def printed_value(text: str) -> float:
    """A printed percentage; NaN for an empty text: none is printed.

    Raises:
        ValueError: it is not a number or not a percentage.
    """
    if not text:
        return math.nan
    number = float(text)
    if not 0 <= number <= 100:
        raise ValueError("a figure is not a percentage")
    return number


def printed_rounding(text: str) -> float:
    """Half a unit of the last printed digit: what rounding may have taken or added; NaN: nothing is printed.

    >>> printed_rounding("60.3"), printed_rounding("60"), printed_rounding("60.30")
    (0.05, 0.5, 0.005)
    """
    return float(_half(text)) if text else math.nan


def recomputed(printed: Mapping[str, str]) -> float:
    """2US/(U+S) of the printed U and S, by the names of ``FIGURES``; NaN where one is not printed."""
    if not (printed["U"] and printed["S"]):
        return math.nan
    return float(_harmonic(Fraction(printed["U"]), Fraction(printed["S"])))


def dispute(printed: Mapping[str, str]) -> str:
    """Why the printed H cannot follow from the printed U and S; empty: it can, or one is missing."""
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
