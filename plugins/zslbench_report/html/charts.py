"""The charts of a report, one function each, drawn within :func:`chart_style`. Accuracies are in percent.

Drawing needs matplotlib, the extra ``plot``; importing this module does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from zslbench.report import Interval, interval
from zslbench_report.theme import Tone, ink

if TYPE_CHECKING:
    from zslbench_report.plots.canvas import Axes, Figure
    from zslbench_report.plots.tsne import Panel

WIDTH = 4.4
"""Inches: fits a phone at four fifths of its size, and two fit next to each other on a desktop."""

_STYLE: dict[str, Any] = {
    "font.size": 8.5,
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
    "path.simplify_threshold": 0.3,
} | {
    f"{axis}tick.{name}": value
    for axis in "xy"
    for name, value in (
        ("color", ink("line")), ("labelcolor", ink("muted")), ("labelsize", 8.0), ("major.size", 0.0),
    )
}  # fmt: skip


def chart_style() -> AbstractContextManager[None]:
    """The style of a report's charts."""
    from zslbench_report.plots.canvas import plot_style

    return plot_style(_STYLE)


def new_chart(width: float, height: float) -> tuple[Figure, Axes]:
    """A transparent figure with one pair of axes; sizes in inches."""
    from zslbench_report.plots.canvas import new_figure

    figure = new_figure(width, height)
    figure.patch.set_alpha(0.0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0.0)
    return figure, axes


def _new_row_chart(labels: Sequence[str], step: float) -> tuple[Figure, Axes]:
    """A chart with one row of ``step`` inches, one unit of y, per label; the label is above its row."""
    figure, axes = new_chart(WIDTH, step * len(labels) + 0.45)
    axes.set(ylim=(len(labels), 0.0), yticks=[])
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "left", "va": "center"}
    for row, label in enumerate(labels):
        axes.text(0.0, row + 0.28, _shortened(label, 58), fontsize=8.5, **place)
    return figure, axes


def _shortened(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


# --- one row per method --------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """A figure of one method or variant over seeds."""

    label: str
    tone: Tone
    values: tuple[float, ...]
    """The value of each seed."""
    published: float = math.nan
    """The published figure; NaN: none."""

    @property
    def interval(self) -> Interval:
        """Its mean, with the interval of the mean."""
        return interval(self.values)


def spread_chart(spreads: Sequence[Spread], figure: str, *, bars: bool = False) -> Figure:
    """A row per method or variant: a dot per seed, the mean (``bars``: a bar from zero) and its interval."""
    # The axis follows the seeds: intervals of two or three seeds are so wide that they would dwarf the rest.
    values = [value for one in spreads for value in (*one.values, one.published) if math.isfinite(value)]
    low, high = min(values), max(values)
    margin = max(3.0, 0.25 * (high - low))
    made, axes = _new_row_chart([one.label for one in spreads], 0.44)
    axes.set_xlim(0.0 if bars else max(0.0, low - margin), min(100.0, high + margin))
    for place, one in enumerate(spreads):
        _draw_spread(axes, one, place + 0.72, bars)
    axes.set_xlabel(f"{figure} (%)")
    return made


def _draw_spread(axes: Axes, one: Spread, y: float, bars: bool) -> None:
    colour, found = one.tone.ink, one.interval
    marker, size, width, edge = one.tone.marker, 6.5, 0.9, ink("surface")
    if bars:
        axes.barh([y], [found.mean], height=0.3, color=colour, alpha=0.55, linewidth=0)
        marker, size, width, edge = "|", 8.0, 1.6, ink("fg")
    if math.isfinite(found.low):
        ends = np.clip([found.low, found.high], 0.0, 100.0)
        axes.plot(ends, [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
    seeds = ink("fg") if bars else colour
    axes.plot(one.values, [y] * len(one.values), "o", color=seeds, alpha=0.6, markersize=4.0, mew=0)
    axes.plot([found.mean], [y], marker, color=colour, markersize=size, mew=width, mec=edge, clip_on=False)
    if math.isfinite(one.published):
        axes.plot([one.published], [y], "D", markersize=5.5, mfc="none", mec=ink("fg"), mew=1.0)


def class_chart(methods: Sequence[tuple[str, Tone, Mapping[str, Float[np.ndarray, " n"]]]]) -> Figure:
    """How accuracies of ``seen`` (rings) and ``unseen`` (dots) classes are spread; bars are their means."""
    made, axes = _new_row_chart([name for name, _, _ in methods], 0.52)
    axes.set_xlim(-2, 102)
    for place, (_, tone, sides) in enumerate(methods):
        for side, y, face, edge in (
            ("unseen", place + 0.60, tone.ink, 0.0),
            ("seen", place + 0.86, "none", 0.9),
        ):
            # Equal values would hide each other: draw one mark, larger the more classes it stands for.
            distinct, count = np.unique(sides[side].round(1), return_counts=True)
            style: dict[str, Any] = {"facecolors": face, "edgecolors": tone.ink, "linewidths": edge}
            axes.scatter(
                distinct, np.full(len(distinct), y), s=13.0 + 5.0 * np.minimum(count, 9), alpha=0.6, **style
            )
            if len(sides[side]):
                axes.plot([sides[side].mean()] * 2, [y - 0.1, y + 0.1], color=ink("fg"), linewidth=1.6)
    axes.set_xlabel("accuracy of a class (%)")
    return made


# --- lines ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trace:
    """The line of one run."""

    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]
    tone: Tone
    faint: bool = False
    """Whether it is another seed than the median one."""
    mark: tuple[float, float] | None = None
    """A point to mark."""


def curve_chart(traces: Sequence[Trace]) -> Figure:
    """S against U as the seen classes' scores are lowered, with the operating points marked."""
    made, axes = new_chart(WIDTH, WIDTH - 0.2)
    _draw_traces(axes, traces, 1.7)
    axes.set(xlim=(0.0, None), xlabel="U, accuracy of unseen classes (%)")
    axes.set(ylim=(0.0, None), ylabel="S, accuracy of seen classes (%)")
    return made


def criterion_chart(traces: Sequence[Trace], what: str) -> Figure:
    """Validation (or test) figures by epoch, the chosen epochs marked."""
    made, axes = new_chart(WIDTH, 2.9)
    _draw_traces(axes, traces, 1.6)
    axes.set(ylim=(0.0, None), xlabel="epoch", ylabel=f"{what} (%)")
    _set_epoch_ticks(axes, traces)
    return made


def loss_chart(traces: Sequence[Trace], title: str) -> Figure:
    """One loss by epoch in a small chart with its own scale."""
    made, axes = new_chart(2.3, 1.45)
    _draw_traces(axes, traces, 1.3)
    axes.set_title(_shortened(title, 34), loc="left", pad=4)
    axes.locator_params(axis="y", nbins=4)
    _set_epoch_ticks(axes, traces, 4)
    return made


def _draw_traces(axes: Axes, traces: Sequence[Trace], width: float) -> None:
    for one in traces:
        drawn: dict[str, Any] = {"color": one.tone.ink, "alpha": 1.0, "zorder": 3.0}
        if one.faint:
            drawn |= {"alpha": 0.35, "zorder": 2.0}
        dots: dict[str, Any] = {"marker": "o" if len(one.x) == 1 else "", "markersize": 3.0}
        dashes = one.tone.dash or (None, None)
        axes.plot(one.x, one.y, linewidth=0.8 if one.faint else width, dashes=dashes, **drawn, **dots)
        if one.mark is not None:
            size, edge = (4.2, 0.0) if one.faint else (7.5, 1.0)
            drawn |= {"zorder": drawn["zorder"] + 2, "markersize": size, "markeredgewidth": edge}
            x, y = one.mark
            axes.plot([x], [y], marker=one.tone.marker, markeredgecolor=ink("surface"), **drawn)


def _set_epoch_ticks(axes: Axes, traces: Sequence[Trace], most: int = 8) -> None:
    """At most about ``most`` ticks, at whole epochs."""
    last = max((int(one.x.max()) for one in traces if len(one.x)), default=1)
    steps = (size * 10**power for power in range(9) for size in (1, 2, 5))
    step = next((step for step in steps if last / step <= most), last)
    axes.set_xlim(0.5 if last < 10 else 0.0, last + 0.5)
    axes.set_xticks(sorted({1, *range(step, last + 1, step)}))


def thinned(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], step: float
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """A line with the first of its points in each square of this side; both ends remain."""
    squares = np.floor(np.stack([x, y]) / step)
    remain = np.append(True, (np.diff(squares) != 0).any(axis=0))
    remain[-1] = True
    return x[remain], y[remain]


# --- t-SNE ---------------------------------------------------------------------------------------


def tsne_chart(panel: Panel, colours: Mapping[int, str]) -> Figure:
    """One panel of a t-SNE, with a placeholder colour for each class."""
    from zslbench_report.plots.tsne import scatter

    made, axes = new_chart(4.0, 4.0)
    axes.set(xticks=[], yticks=[])
    axes.spines[["top", "right"]].set_visible(True)
    scatter(axes, panel, colours, ink("surface"))
    return made
