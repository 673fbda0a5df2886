"""Figures and losses along the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from zslbench_report.html.charts.frame import FAINT, WIDTH, chart, cut, drawing
from zslbench_report.html.charts.svg import inline
from zslbench_report.html.theme import ink
from zslbench_report.plots.canvas import Axes


@dataclass(frozen=True)
class Track:
    """One line: a value at each epoch."""

    epochs: Float[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]
    colour: str
    """A stand-in (:func:`zslbench_report.html.theme.ink`)."""
    dash: tuple[float, ...] = ()
    faint: bool = False
    chosen: int | None = None
    """The epoch that is marked."""
    marker: str = "o"


def figures(shown: Sequence[Track], what: str, key: str, label: str) -> Markup:
    """Validation (or test) figures in percent, the chosen epochs marked."""
    with drawing():
        made, axes = chart(WIDTH, 2.9)
        _draw(axes, shown, 1.6)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{what} (%)")
        _whole_epochs(axes, shown)
        return inline(made, key, label)


def loss(shown: Sequence[Track], title: str, key: str, label: str) -> Markup:
    """One loss in a small chart, with an axis of its own."""
    with drawing():
        made, axes = chart(2.3, 1.45, left=0.48, top=0.25, bottom=0.2, right=0.06)
        _draw(axes, shown, 1.3)
        axes.set_title(cut(title, 34), loc="left", pad=4)
        axes.locator_params(axis="y", nbins=4)
        _whole_epochs(axes, shown, 4)
        return inline(made, key, label)


def _draw(axes: Axes, shown: Sequence[Track], width: float) -> None:
    for one in shown:
        alone = len(one.values) == 1
        axes.plot(
            one.epochs,
            one.values,
            color=one.colour,
            linewidth=0.8 if one.faint else width,
            alpha=FAINT if one.faint else 1.0,
            dashes=one.dash or (None, None),
            marker="o" if alone else "",
            markersize=3.0,
        )
        here = np.flatnonzero(one.epochs == one.chosen) if one.chosen is not None else np.array([], dtype=int)
        if len(here):
            axes.plot(
                one.epochs[here[:1]],
                one.values[here[:1]],
                marker=one.marker,
                markersize=4.5 if one.faint else 7.0,
                color=one.colour,
                alpha=FAINT if one.faint else 1.0,
                markeredgecolor=ink("surface"),
                markeredgewidth=0.0 if one.faint else 1.0,
            )


def _whole_epochs(axes: Axes, shown: Sequence[Track], most: int = 8) -> None:
    """There is no epoch 2.5."""
    last = max((int(one.epochs.max()) for one in shown if len(one.epochs)), default=1)
    step = next(
        (
            size
            for power in range(9)
            for size in (10**power, 2 * 10**power, 5 * 10**power)
            if last / size <= most
        ),
        last,
    )
    axes.set_xlim(0.5 if last < 10 else 0.0, last + 0.5)
    axes.set_xticks([1, *range(step, last + 1, step)] if step > 1 else list(range(1, last + 1)))
