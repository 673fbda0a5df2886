"""One panel of a t-SNE."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from zslbench_report.html.charts.frame import chart, drawing
from zslbench_report.html.charts.svg import inline
from zslbench_report.html.theme import ink
from zslbench_report.plots.samples import KINDS
from zslbench_report.plots.scatter import MARKERS
from zslbench_report.plots.tsne import Panel

_SIDE = 4.0


def points(panel: Panel, colours: Mapping[int, str], key: str, label: str) -> Markup:
    """The panel.

    Args:
        colours: a stand-in for each class.
    """
    with drawing():
        made, axes = chart(_SIDE, _SIDE, left=0.06, right=0.06, top=0.06, bottom=0.06)
        axes.set_xticks([])
        axes.set_yticks([])
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)
        kinds = np.array(panel.samples.kinds)
        of = np.array([colours[one] for one in panel.samples.labels.tolist()])
        for kind in reversed(KINDS):  # synthetic ones below: they are most and must not hide the others
            here = kinds == kind
            if here.any():
                style = dict(MARKERS[kind])
                if "edgecolors" in style:
                    style["edgecolors"] = ink("surface")
                axes.scatter(panel.points[here, 0], panel.points[here, 1], c=of[here], **style)
        return inline(made, key, label)
