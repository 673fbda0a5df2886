"""Draws the panels of a t-SNE: colours by class, markers by kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from zslbench.store.record import RunRecord
from zslbench_report.plots.canvas import Axes, Entry, Figure, blank, legend, title_of
from zslbench_report.plots.names import wrapped
from zslbench_report.plots.samples import KINDS, Chosen, Samples

# Ten colours that stay apart for colour-blind readers (Petroff, arXiv:2107.02270).
COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip

MARKERS: dict[str, dict[str, Any]] = {
    KINDS[0]: {"marker": "o", "s": 20, "linewidths": 0.0, "alpha": 0.9},
    KINDS[1]: {"marker": "x", "s": 20, "linewidths": 1.3, "alpha": 0.9},
    KINDS[2]: {"marker": "*", "s": 42, "linewidths": 0.4, "edgecolors": "white", "alpha": 0.9},
}
_SIDE = 4.4  # of a panel, inches
_NAME = 24  # characters of a line of the legend


def palette(chosen: Chosen) -> dict[int, str]:
    """A colour for each class. Beyond ten classes a seen and an unseen one share it; markers differ."""
    classes = [*chosen.seen.tolist(), *chosen.unseen.tolist()]
    if len(classes) <= len(COLOURS):
        return dict(zip(classes, COLOURS, strict=False))
    sides = (chosen.seen.tolist(), chosen.unseen.tolist())
    return {one: COLOURS[place] for side in sides for place, one in enumerate(side)}


def draw(
    record: RunRecord,
    class_names: Sequence[str],
    chosen: Chosen,
    panels: Sequence[tuple[str, str, Samples, Float[np.ndarray, "_ 2"]]],
) -> Figure:
    """A figure of panels (title, note, samples, points) beside each other and one legend for all."""
    made = blank(len(panels) * (_SIDE + 0.15) + 2.0, _SIDE + 0.9)
    made.suptitle(title_of(record), fontsize=9)
    colours = palette(chosen)
    axes = made.subplots(1, len(panels), squeeze=False)[0]
    shown: set[str] = set()
    for panel, (title, note, samples, points) in zip(axes, panels, strict=True):
        _scatter(panel, samples, points, colours)
        panel.set_title(title, fontsize=9)
        panel.set_xlabel(note, fontsize=7)
        shown |= set(samples.kinds)
    entries = [Entry(kind, marker=style["marker"]) for kind, style in MARKERS.items() if kind in shown]
    for heading, classes in (("seen classes", chosen.seen), ("unseen classes", chosen.unseen)):
        entries.append(Entry(heading))
        entries += [Entry(wrapped(class_names[one], _NAME), colour=colours[one]) for one in classes.tolist()]
    legend(made, entries)
    return made


def _scatter(
    panel: Axes, samples: Samples, points: Float[np.ndarray, "n 2"], colours: dict[int, str]
) -> None:
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_box_aspect(1)
    kinds = np.array(samples.kinds)
    of = np.array([colours[one] for one in samples.labels.tolist()])
    # Synthetic features below: there are most of them, and they must not hide the real ones.
    for kind in reversed(KINDS):
        here = kinds == kind
        if here.any():
            panel.scatter(points[here, 0], points[here, 1], c=of[here], label=kind, **MARKERS[kind])
