"""Real and synthetic features in backbone space and in the embedding's, by t-SNE (SC-EGG, Figure 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from zslbench.errors import ZslbenchError
from zslbench.report import method_label
from zslbench.store import RunRecord
from zslbench_report.plots.canvas import (
    Axes,
    Figure,
    LegendItem,
    add_legend,
    hide_ticks,
    new_figure,
    plot_style,
    run_title,
)
from zslbench_report.plots.features import (
    KINDS,
    Samples,
    Selection,
    embedded,
    joined,
    project,
    real_samples,
    select,
    synthetic_samples,
)
from zslbench_report.plots.fitted import FittedRun, Notify, ignore, open_run
from zslbench_report.plots.images import wrapped

_NO_BASELINE = "real features only: no baseline run with a generator of these features was given"

# Ten colours that colour-blind readers can tell apart (Petroff, arXiv:2107.02270).
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


@dataclass(frozen=True)
class Panel:
    """One space with its points."""

    name: str
    """``backbone`` or ``embedding``."""
    title: str
    note: str
    """What the reader must know about the panel; empty: nothing."""
    samples: Samples
    points: Float[np.ndarray, "n 2"]


@dataclass(frozen=True)
class Projection:
    """The panels of a figure and the classes and images they show."""

    record: RunRecord
    class_names: tuple[str, ...]
    selection: Selection
    panels: tuple[Panel, ...]

    def frame(self) -> pd.DataFrame:
        """One row per point: panel, kind, class, image (row number; missing for synthetic ones), x, y."""
        return pd.concat(
            [
                pd.DataFrame(
                    {
                        "panel": panel.name,
                        "kind": panel.samples.kinds,
                        "class_id": panel.samples.labels,
                        "class": [self.class_names[label] for label in panel.samples.labels],
                        "image": pd.array(panel.samples.rows, dtype="Int64"),
                        "x": panel.points[:, 0],
                        "y": panel.points[:, 1],
                    }
                )
                for panel in self.panels
            ],
            ignore_index=True,
        )


def compute(
    record: RunRecord,
    *,
    baseline: RunRecord | None = None,
    classes: int = 10,
    per_class: int = 50,
    seed: int = 0,
    data_root: str | Path | None = None,
    regions: str | None = None,
    backbone: bool = True,
    notify: Notify = ignore,
) -> Projection:
    """The coordinates of real seen, real unseen and synthetic unseen features in both spaces.

    Args:
        record: a run stored with its networks.
        baseline: a run on the same images whose generator works on backbone features; its synthetic
            features join the backbone panel. None: that panel shows real features only.
        classes: how many classes, half of them unseen; drawn by the seed.
        per_class: test images of a class, at most, and number of synthetic features of an unseen class.
        seed: of the choice, of the synthetic features' noise and of t-SNE. On one machine, equal seeds give
            equal points.
        data_root: folder of data sets; None: the configured one.
        regions: name or path of the runs' region features; None: the names in their records.
        backbone: False for the embedding's panel only.
        notify: called with what the user should know.

    Raises:
        ZslbenchError: networks were not stored, the data are not the run's, or the baseline does not fit.
    """
    run = open_run(record, data_root, regions=regions, notify=notify)
    selection = select(run, classes, per_class, seed)
    panels = []
    if backbone and baseline is None:
        parts = [real_samples(run, selection, run.dataset.features[selection.rows])]
        panels.append(_panel("backbone", _backbone_title(run), _NO_BASELINE, parts, seed))
    elif backbone and baseline is not None:
        other = _open_baseline(run, baseline, data_root, regions, notify)
        panels.append(_baseline_panel(other, selection, per_class, seed))
    parts = [real_samples(run, selection, embedded(run, selection))]
    synthetic = synthetic_samples(run, selection, per_class, seed)
    note = ""
    if synthetic is None:
        note = f"real features only: {record.info.method} has no generator"
    else:
        parts.append(synthetic)
    space = "Dense-semantic space" if _tells_classes_apart(run) else "Embedding space"
    title = f"{space}: {record.info.identity['components']['embedding']}"
    panels.append(_panel("embedding", title, note, parts, seed))
    return Projection(record, run.dataset.class_names, selection, tuple(panels))


def figure(projection: Projection) -> Figure:
    """The panels of a projection next to each other, with one legend: colours by class, markers by kind."""
    with plot_style():
        panels, selection = projection.panels, projection.selection
        made = new_figure(len(panels) * (_SIDE + 0.15) + 2.0, _SIDE + 0.9)
        made.suptitle(run_title(projection.record), fontsize=9)
        colours = palette(selection)
        for axes, panel in zip(made.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            hide_ticks(axes)
            scatter(axes, panel, colours, MARKERS)
            axes.set_title(panel.title, fontsize=9)
            axes.set_xlabel(panel.note, fontsize=7)
        shown = {kind for panel in panels for kind in panel.samples.kinds}
        items = [LegendItem(kind, marker=style["marker"]) for kind, style in MARKERS.items() if kind in shown]
        for heading, classes in (("seen classes", selection.seen), ("unseen classes", selection.unseen)):
            items.append(LegendItem(heading))
            items += [
                LegendItem(wrapped(projection.class_names[number], _NAME), colour=colours[number])
                for number in classes.tolist()
            ]
        add_legend(made, items)
        return made


def scatter(
    axes: Axes, panel: Panel, colours: Mapping[int, str], markers: Mapping[str, dict[str, Any]]
) -> None:
    """Draw a panel's points; the synthetic ones first, since there are most and they must not hide others."""
    kinds = np.array(panel.samples.kinds)
    of_points = np.array([colours[number] for number in panel.samples.labels.tolist()])
    for kind in reversed(KINDS):
        here = kinds == kind
        if here.any():
            points = panel.points[here]
            axes.scatter(points[:, 0], points[:, 1], c=of_points[here], label=kind, **markers[kind])


def palette(selection: Selection) -> dict[int, str]:
    """A colour per class. Beyond ten classes a seen and an unseen one share it; their markers differ."""
    sides = selection.seen.tolist(), selection.unseen.tolist()
    classes = [*sides[0], *sides[1]]
    if len(classes) <= len(COLOURS):
        return dict(zip(classes, COLOURS, strict=False))
    return {number: COLOURS[place] for side in sides for place, number in enumerate(side)}


def _tells_classes_apart(run: FittedRun) -> bool:
    """Whether g has class scores of its own: it was trained to tell classes apart."""
    return run.embedding.guide(run.embedding_networks) is not None


def _backbone_title(run: FittedRun) -> str:
    return f"Backbone space: {run.dataset.features_name}"


def _open_baseline(
    run: FittedRun, baseline: RunRecord, data_root: str | Path | None, regions: str | None, notify: Notify
) -> FittedRun:
    """The baseline's run, if it is on the same images and its features are the backbone's.

    Their feature files may differ: a run on regions and its baseline need not name the same one.
    """
    where = f"baseline run {baseline.info.id}"
    own, others = (
        (one.info.dataset, _sha256(one, "labels"), one.data["split_fingerprint"])
        for one in (run.record, baseline)
    )
    if own != others:
        raise ZslbenchError(
            f"{where} is on other images than run {run.record.info.id} ({baseline.info.dataset}, "
            f"{run.record.info.dataset}): give a run on the same data set and split"
        )
    other = open_run(baseline, data_root, regions=regions, notify=notify)
    if _tells_classes_apart(other):
        name = baseline.info.identity["components"]["embedding"]
        raise ZslbenchError(
            f"{where}: its embedding '{name}' is trained to tell classes apart, so its features are not the "
            "backbone's; give a run whose embedding is 'identity'"
        )
    if other.generator is None:
        raise ZslbenchError(
            f"{where}: method '{baseline.info.method}' has no generator; give a run of a method with one, "
            "such as tf-vaegan"
        )
    return other


def _sha256(record: RunRecord, array: str) -> str | None:
    return next((one["sha256"] for one in record.data["arrays"] if one["array"] == array), None)


def _baseline_panel(other: FittedRun, selection: Selection, per_class: int, seed: int) -> Panel:
    synthetic = synthetic_samples(other, selection, per_class, seed)
    assert synthetic is not None  # _open_baseline checked it
    note = f"synthetic features: {method_label(other.record)}, run {other.record.info.id}"
    parts = [real_samples(other, selection, embedded(other, selection)), synthetic]
    return _panel("backbone", _backbone_title(other), note, parts, seed)


def _panel(name: str, title: str, note: str, parts: list[Samples], seed: int) -> Panel:
    samples = joined(parts)
    return Panel(name, title, note, samples, project(samples.features, seed))
