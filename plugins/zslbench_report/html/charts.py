"""The charts of a report, one function each; all return an inline SVG.

Everywhere, ``key`` is a prefix of ids that is unique within the page, and ``label`` says what the chart shows
to readers who cannot see it. Accuracies are in percent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from zslbench.report import Interval
from zslbench_report.html.drawing import (
    FAINT,
    WIDTH,
    as_svg,
    chart_style,
    new_chart,
    new_row_chart,
    percent_limits,
    shortened,
    thinned,
)
from zslbench_report.html.theme import Tone, ink
from zslbench_report.plots.canvas import Axes
from zslbench_report.plots.tsne import MARKERS, Panel, scatter

# --- figures of methods: seeds, mean, interval ---------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """One row of :func:`spread_chart`."""

    label: str
    tone: Tone
    values: tuple[float, ...]
    """Of each seed."""
    interval: Interval
    published: float = math.nan
    """The published figure; NaN: none."""


def spread_chart(
    spreads: Sequence[Spread], figure: str, key: str, label: str, *, bars: bool = False
) -> Markup:
    """Figures of methods or variants below each other: a dot per seed, the mean and its interval.

    Args:
        figure: name of the figure, as ``"H"``.
        bars: draw the mean as a bar from zero.
    """
    # The axis follows the seeds: intervals of two or three seeds are so wide that they would dwarf the rest.
    values = [value for one in spreads for value in (*one.values, one.published) if math.isfinite(value)]
    with chart_style():
        made, axes = new_row_chart([one.label for one in spreads], 0.44)
        low, high = percent_limits(min(values), max(values))
        axes.set_xlim(0.0 if bars else low, high)
        for place, one in enumerate(spreads):
            _draw_spread(axes, one, place + 0.72, bars)
        axes.set_xlabel(f"{figure} (%)")
        return as_svg(made, key, label)


def _draw_spread(axes: Axes, one: Spread, y: float, bars: bool) -> None:
    mean = one.interval.mean
    if bars:
        axes.barh([y], [mean], height=0.3, color=one.tone.ink, alpha=0.55, linewidth=0)
    if math.isfinite(one.interval.low):
        ends = [max(0.0, one.interval.low), min(100.0, one.interval.high)]
        axes.plot(ends, [y, y], color=one.tone.ink, linewidth=1.6, solid_capstyle="butt")
    axes.plot(
        one.values,
        [y] * len(one.values),
        linestyle="none",
        marker="o",
        markersize=4.0,
        color=ink("fg") if bars else one.tone.ink,
        alpha=0.6,
        markeredgewidth=0,
    )
    axes.plot(
        [mean],
        [y],
        marker="|" if bars else one.tone.marker,
        markersize=8 if bars else 6.5,
        markeredgewidth=1.6 if bars else 0.9,
        markeredgecolor=ink("fg") if bars else ink("surface"),
        color=one.tone.ink,
        clip_on=False,
    )
    if math.isfinite(one.published):
        axes.plot(
            [one.published],
            [y],
            marker="D",
            markersize=5.5,
            markerfacecolor="none",
            markeredgecolor=ink("fg"),
            markeredgewidth=1.0,
        )


# --- accuracies of classes -----------------------------------------------------------------------


@dataclass(frozen=True)
class ClassSpread:
    """One row of :func:`class_chart`: accuracies of one method's classes, by side."""

    label: str
    tone: Tone
    sides: dict[str, Float[np.ndarray, " n"]]


def class_chart(spreads: Sequence[ClassSpread], key: str, label: str) -> Markup:
    """How class accuracies are spread: full dots are unseen classes, rings seen ones, bars their means."""
    with chart_style():
        made, axes = new_row_chart([one.label for one in spreads], 0.52)
        axes.set_xlim(-2, 102)
        for place, one in enumerate(spreads):
            full: dict[str, Any] = {"color": one.tone.ink, "linewidths": 0.0}
            ring: dict[str, Any] = {"facecolors": "none", "edgecolors": one.tone.ink, "linewidths": 0.9}
            for side, y, face in (("unseen", place + 0.60, full), ("seen", place + 0.86, ring)):
                values = one.sides.get(side, np.empty(0))
                # Equal values would hide each other: draw one mark, larger the more classes it stands for.
                distinct, count = np.unique(values.round(1), return_counts=True)
                sizes = 13.0 + 5.0 * np.minimum(count, 9)
                axes.scatter(distinct, np.full(len(distinct), y), s=sizes, alpha=0.6, **face)
                if len(values):
                    ends = [y - 0.10, y + 0.10]
                    axes.plot([values.mean()] * 2, ends, color=ink("fg"), linewidth=1.6)
        axes.set_xlabel("accuracy of a class (%)")
        return as_svg(made, key, label)


# --- seen-unseen curves --------------------------------------------------------------------------


@dataclass(frozen=True)
class Curves:
    """The curves of one method, one per seed."""

    label: str
    tone: Tone
    seeds: tuple[tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]], ...]
    """S and U at the points of each seed's curve, the median seed first."""
    points: tuple[tuple[float, float], ...]
    """S and U of each seed as reported, in the same order."""


def curve_chart(methods: Sequence[Curves], key: str, label: str) -> Markup:
    """S against U as the seen classes' scores are lowered, with the operating points marked."""
    with chart_style():
        made, axes = new_chart(WIDTH, WIDTH - 0.2)
        for one in methods:
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
        for one in methods:
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
        return as_svg(made, key, label)


# --- figures and losses by epoch -----------------------------------------------------------------


@dataclass(frozen=True)
class Track:
    """One line: a value at each epoch."""

    epochs: Float[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]
    colour: str
    """A stand-in colour (:func:`zslbench_report.html.theme.ink`)."""
    dash: tuple[float, ...] = ()
    faint: bool = False
    chosen: int | None = None
    """The epoch to mark."""
    marker: str = "o"


def criterion_chart(tracks: Sequence[Track], what: str, key: str, label: str) -> Markup:
    """Validation (or test) figures by epoch, the chosen epochs marked."""
    with chart_style():
        made, axes = new_chart(WIDTH, 2.9)
        _draw_tracks(axes, tracks, 1.6)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{what} (%)")
        _set_epoch_ticks(axes, tracks)
        return as_svg(made, key, label)


def loss_chart(tracks: Sequence[Track], title: str, key: str, label: str) -> Markup:
    """One loss by epoch in a small chart with a scale of its own."""
    with chart_style():
        made, axes = new_chart(2.3, 1.45, left=0.48, top=0.25, bottom=0.2, right=0.06)
        _draw_tracks(axes, tracks, 1.3)
        axes.set_title(shortened(title, 34), loc="left", pad=4)
        axes.locator_params(axis="y", nbins=4)
        _set_epoch_ticks(axes, tracks, 4)
        return as_svg(made, key, label)


def _draw_tracks(axes: Axes, tracks: Sequence[Track], width: float) -> None:
    for one in tracks:
        opacity = FAINT if one.faint else 1.0
        axes.plot(
            one.epochs,
            one.values,
            color=one.colour,
            linewidth=0.8 if one.faint else width,
            alpha=opacity,
            dashes=one.dash or (None, None),
            marker="o" if len(one.values) == 1 else "",
            markersize=3.0,
        )
        if one.chosen is not None and len(chosen := np.flatnonzero(one.epochs == one.chosen)):
            axes.plot(
                one.epochs[chosen[:1]],
                one.values[chosen[:1]],
                marker=one.marker,
                markersize=4.5 if one.faint else 7.0,
                color=one.colour,
                alpha=opacity,
                markeredgecolor=ink("surface"),
                markeredgewidth=0.0 if one.faint else 1.0,
            )


def _set_epoch_ticks(axes: Axes, tracks: Sequence[Track], most: int = 8) -> None:
    """At most about ``most`` ticks, at whole epochs."""
    last = max((int(one.epochs.max()) for one in tracks if len(one.epochs)), default=1)
    steps = (size * 10**power for power in range(9) for size in (1, 2, 5))
    step = next((step for step in steps if last / step <= most), last)
    axes.set_xlim(0.5 if last < 10 else 0.0, last + 0.5)
    axes.set_xticks([1, *range(step, last + 1, step)] if step > 1 else list(range(1, last + 1)))


# --- t-SNE ---------------------------------------------------------------------------------------


def tsne_chart(panel: Panel, colours: Mapping[int, str], key: str, label: str) -> Markup:
    """One panel of a t-SNE, with a stand-in colour for each class."""
    side, margin = 4.0, 0.06
    with chart_style():
        made, axes = new_chart(side, side, left=margin, right=margin, top=margin, bottom=margin)
        axes.set_xticks([])
        axes.set_yticks([])
        for edge in ("top", "right"):
            axes.spines[edge].set_visible(True)
        markers = {
            kind: style | {"edgecolors": ink("surface")} if "edgecolors" in style else style
            for kind, style in MARKERS.items()
        }
        scatter(axes, panel, colours, markers)
        return as_svg(made, key, label)
