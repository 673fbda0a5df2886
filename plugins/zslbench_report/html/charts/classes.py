"""How the accuracies of classes are spread: each class a dot, unseen and seen apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from zslbench_report.html.charts.frame import WIDTH, chart, drawing, rows
from zslbench_report.html.charts.svg import inline
from zslbench_report.html.theme import Tone, ink

_STEP = 0.52
_SIDES = (("unseen", 0.60), ("seen", 0.86))


@dataclass(frozen=True)
class ClassSpread:
    """Accuracies of one method's classes in percent, by side."""

    label: str
    tone: Tone
    sides: dict[str, Float[np.ndarray, " n"]]


def classes(shown: Sequence[ClassSpread], key: str, label: str) -> Markup:
    """The chart: full dots are unseen classes, rings are seen ones, the bar is their mean."""
    height = _STEP * len(shown)
    with drawing():
        made, axes = chart(WIDTH, height + 0.45, left=0.12, top=0.05, bottom=0.4)
        axes.set_xlim(-2, 102)
        rows(axes, [one.label for one in shown], height, _STEP)
        for place, one in enumerate(shown):
            for side, offset in _SIDES:
                values = one.sides.get(side, np.empty(0))
                # Equal values would hide each other: they are drawn once, the larger the more there are.
                where, count = np.unique(values.round(1), return_counts=True)
                face: dict[str, Any] = {"color": one.tone.ink, "linewidths": 0.0}
                ring: dict[str, Any] = {"facecolors": "none", "edgecolors": one.tone.ink, "linewidths": 0.9}
                axes.scatter(
                    where,
                    np.full(len(where), place + offset),
                    s=13.0 + 5.0 * np.minimum(count, 9),
                    alpha=0.6,
                    **(face if side == "unseen" else ring),
                )
                if len(values):
                    ends = [place + offset - 0.10, place + offset + 0.10]
                    axes.plot([values.mean()] * 2, ends, color=ink("fg"), linewidth=1.6)
        axes.set_xlabel("accuracy of a class (%)")
        return inline(made, key, label)
