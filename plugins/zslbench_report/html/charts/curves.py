"""Seen-unseen curves: U against S as the seen classes' scores are lowered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from zslbench_report.html.charts.frame import FAINT, WIDTH, chart, drawing, thinned
from zslbench_report.html.charts.svg import inline
from zslbench_report.html.theme import Tone, ink


@dataclass(frozen=True)
class Curves:
    """The curves of one method, one per seed; accuracies in percent."""

    label: str
    tone: Tone
    seeds: tuple[tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]], ...]
    """S and U of each seed's points, that of the middle seed first."""
    points: tuple[tuple[float, float], ...]
    """S and U of each seed as they are reported, in the same order."""


def curves(shown: Sequence[Curves], key: str, label: str) -> Markup:
    """One chart with all methods, U to the right; the operating points are marked."""
    with drawing():
        made, axes = chart(WIDTH, WIDTH - 0.2)
        for one in shown:
            for place, (seen, unseen) in reversed(list(enumerate(one.seeds))):
                x, y = thinned(unseen, seen, 0.25)
                axes.plot(
                    x,
                    y,
                    color=one.tone.ink,
                    linewidth=0.8 if place else 1.7,
                    alpha=FAINT if place else 1.0,
                    dashes=one.tone.dash or (None, None),
                    zorder=2 if place else 3,
                )
        for one in shown:
            for place, (seen_point, unseen_point) in reversed(list(enumerate(one.points))):
                axes.plot(
                    [unseen_point],
                    [seen_point],
                    marker=one.tone.marker,
                    markersize=4.0 if place else 8.0,
                    color=one.tone.ink,
                    alpha=FAINT if place else 1.0,
                    markeredgecolor=ink("surface"),
                    markeredgewidth=0.0 if place else 1.1,
                    zorder=4 if place else 5,
                )
        axes.set_xlim(left=0.0)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("U, accuracy of unseen classes (%)")
        axes.set_ylabel("S, accuracy of seen classes (%)")
        return inline(made, key, label)
