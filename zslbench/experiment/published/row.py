"""One line of somebody's table: what is printed of a method on a data set, and how comparable it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from zslbench.experiment.published import numbers

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
    """What a reader should know of the row, with what is disputed."""
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

    def unlike(self, semantics: str = "att", features: str = "res101") -> tuple[str, ...]:
        """What sets it apart from a run: a reason each, for a mark.

        Args:
            semantics: what the run used, as run records call it: ``att``, ``original_att`` or ``sentence``.
            features: the features that the run used, as run records call them: ``res101``, the survey's.
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


def row(
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
        ValueError: a figure is no number or no percentage.
    """
    figures = {name: numbers.value(printed[name]) for name in numbers.FIGURES}
    dispute = numbers.dispute(printed)
    return PublishedRow(
        method=method,
        group=group,
        citation=citation,
        dataset=dataset,
        figures=figures,
        source=source,
        semantics=semantics,
        finetuned=finetuned,
        h_recomputed=numbers.recomputed(printed),
        note="; ".join(text for text in (dispute, note) if text),
        disputed=bool(dispute),
        features=features,
        origin=origin,
        variant=variant,
        rounding={name: numbers.rounding(printed[name]) for name in numbers.FIGURES},
    )
