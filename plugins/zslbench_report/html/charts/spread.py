"""Figures of methods or variants beside each other: each seed a dot, the mean and its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from zslbench.report.statistics.intervals import Interval
from zslbench_report.html.charts.frame import WIDTH, chart, drawing, percent_axis, rows
from zslbench_report.html.charts.svg import inline
from zslbench_report.html.theme import Tone, ink

_STEP = 0.44  # inches of a row
_DOTS = 0.72  # where in a row its dots are


@dataclass(frozen=True)
class Spread:
    """One row of the chart; values in percent."""

    label: str
    tone: Tone
    values: tuple[float, ...]
    """Of each seed."""
    interval: Interval
    published: float = math.nan
    """What is printed of it; NaN: nothing."""


def spread(shown: Sequence[Spread], figure: str, key: str, label: str, *, bars: bool = False) -> Markup:
    """The chart.

    Args:
        figure: name of what is shown, as ``"H"``.
        bars: draw the mean as a bar from zero.
    """
    # By the seeds: intervals of two or three are so wide that they would leave nothing else to see.
    everything = [value for one in shown for value in (*one.values, one.published) if math.isfinite(value)]
    height = _STEP * len(shown)
    with drawing():
        made, axes = chart(WIDTH, height + 0.45, left=0.12, top=0.05, bottom=0.4)
        low, high = percent_axis(min(everything), max(everything))
        axes.set_xlim(0.0 if bars else low, high)
        rows(axes, [one.label for one in shown], height, _STEP)
        for place, one in enumerate(shown):
            y, mean = place + _DOTS, one.interval.mean
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
        axes.set_xlabel(f"{figure} (%)")
        return inline(made, key, label)
