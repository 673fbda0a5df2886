"""What all charts share: their look, their size, axes in percent, and the thinning of long lines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from zslbench_report.html.theme import ink
from zslbench_report.plots.canvas import Axes, Figure, blank, look

WIDTH = 4.4
"""Inches: fits a phone at four fifths of its size, and two stand beside each other on a desk."""

# Names come from data sets and plugins: a "$" in them begins no formula.
_LOOK: dict[str, Any] = {
    "font.size": 8.5,
    "text.parse_math": False,
    "axes.edgecolor": ink("line"),
    "axes.labelcolor": ink("muted"),
    "axes.titlecolor": ink("fg"),
    "axes.titlesize": 8.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "grid.color": ink("soft"),
    "grid.linewidth": 0.8,
    "text.color": ink("fg"),
    "xtick.color": ink("line"),
    "xtick.labelcolor": ink("muted"),
    "ytick.color": ink("line"),
    "ytick.labelcolor": ink("muted"),
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "path.simplify_threshold": 0.3,
}

FAINT = 0.35
"""Opacity of single seeds behind the middle one."""


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """The look of a report's charts."""
    with look(_LOOK):
        yield


def chart(
    width: float,
    height: float,
    *,
    left: float = 0.5,
    right: float = 0.12,
    top: float = 0.12,
    bottom: float = 0.38,
) -> tuple[Figure, Axes]:
    """A figure and its one pair of axes; all sizes in inches."""
    figure = blank(width, height)
    figure.set_layout_engine("none")
    figure.patch.set_alpha(0.0)
    axes = figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    )
    axes.patch.set_alpha(0.0)
    return figure, axes


def rows(axes: Axes, labels: Sequence[str], height: float, step: float) -> None:
    """One row per label from the top, the label above its row, so that names of any length fit.

    Args:
        height: inches of the axes' inside.
        step: inches of a row.
    """
    axes.set_ylim(height / step, 0.0)
    axes.set_yticks([])
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    for place, label in enumerate(labels):
        axes.text(
            0.0,
            place + 0.28,
            cut(label, 58),
            transform=axes.get_yaxis_transform(),
            ha="left",
            va="center",
            fontsize=8.5,
        )


def percent_axis(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis that shows these percentages, a little wider, within 0 and 100."""
    margin = max(3.0, 0.25 * (high - low))
    return max(0.0, low - margin), min(100.0, high + margin)


def cut(text: str, length: int) -> str:
    """The text in one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def thinned(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], step: float
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """A line without the points that lie nearer than ``step`` to the last one kept; its ends stay."""
    kept = [0]
    for place in range(1, len(x) - 1):
        if max(abs(x[place] - x[kept[-1]]), abs(y[place] - y[kept[-1]])) >= step:
            kept.append(place)
    if len(x) > 1:
        kept.append(len(x) - 1)
    return x[kept], y[kept]
