"""Real and synthetic features in backbone space and in the embedding's, by t-SNE (SC-EGG, Figure 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from zslbench.errors import SettingsError, ZslbenchError
from zslbench.experiment import FittedRun, Notify, load_run
from zslbench.plugin import Streams
from zslbench.report import method_label
from zslbench.store import RunRecord
from zslbench.training import draw
from zslbench_report.plots.canvas import (
    Axes,
    Figure,
    Line2D,
    Patch,
    new_figure,
    plot_style,
    run_title,
)
from zslbench_report.plots.checks import require_shape
from zslbench_report.plots.images import wrapped
from zslbench_report.theme import CLASSES

REAL_SEEN, REAL_UNSEEN, SYNTHETIC = "real seen", "real unseen", "synthetic unseen"
MARKERS: dict[str, dict[str, Any]] = {
    REAL_SEEN: {"marker": "o", "s": 20, "linewidths": 0.0, "alpha": 0.9},
    REAL_UNSEEN: {"marker": "x", "s": 20, "linewidths": 1.3, "alpha": 0.9},
    SYNTHETIC: {"marker": "*", "s": 42, "linewidths": 0.4, "alpha": 0.9},
}

_COMPONENTS = 50
_PERPLEXITY = 30.0
_SIDE = 4.4  # of a panel, inches
_NAME = 24  # characters of a line of the legend
Samples = tuple[Float[np.ndarray, "_ d"], pd.DataFrame]
"""Features, and ``kind``, ``class_id``, ``class`` and ``image`` of each (row number; NA: synthetic)."""

# --- the points ----------------------------------------------------------------------------------


class Selection(NamedTuple):
    """The classes and test images of a figure; all of its panels show the same."""

    seen: Int[np.ndarray, " a"]
    unseen: Int[np.ndarray, " b"]
    rows: Int[np.ndarray, " n"]
    """Images, as row numbers of the data set."""


@dataclass(frozen=True)
class Panel:
    """One space with its points."""

    name: str
    """``backbone`` or ``embedding``."""
    title: str
    note: str
    """What the reader must know about the panel; may be empty."""
    points: pd.DataFrame
    """``kind``, ``class_id``, ``class``, ``image`` (missing for synthetic ones), ``x`` and ``y``."""


def frame(panels: Sequence[Panel]) -> pd.DataFrame:
    """One row per point: panel, kind, class_id, class, image, x, y."""
    points = pd.concat({panel.name: panel.points for panel in panels}, names=["panel", "point"])
    return points.reset_index("panel").reset_index(drop=True)


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
    notify: Notify = lambda text: None,
) -> list[Panel]:
    """The coordinates of real seen, real unseen and synthetic unseen features in both spaces.

    The arguments are those of ``zslbench plot tsne``, except:

    Args:
        record: a run stored with its networks.
        baseline: None: the backbone panel shows real features only.
        classes: 2 to 20.
        seed: on one machine, equal seeds give equal points.
        backbone: False for the embedding's panel only.
        notify: called with what the user should know.

    Raises:
        ZslbenchError: networks were not stored, the data are not the run's, or the baseline does not fit.
    """
    run = load_run(record, data_root, regions=regions, notify=notify)
    selection = select(run, classes, per_class, seed)
    panels = []
    if backbone:
        other, note = run, "real features only: no baseline run with a generator of these features was given"
        made = [_real_samples(run, selection, run.dataset.features[selection.rows])]
        if baseline is not None:
            other = _open_baseline(run, baseline, data_root, regions, notify)
            note = f"synthetic features: {method_label(baseline)}, run {baseline.info.id}"
            made = _real_and_synthetic(other, selection, per_class, seed)
        title = f"Backbone space: {other.dataset.features_name}"
        panels.append(_panel("backbone", title, note, seed, *made))
    space, parts = (
        "Dense-semantic space" if _is_discriminative(run) else "Embedding space",
        record.info.identity,
    )
    title = f"{space}: {parts['components']['embedding']}"
    if _samples_inputs(run):
        title = f"Classifier's inputs: {parts['components']['generator']}"
    note = "" if run.generator else f"real features only: {record.info.method} has no generator"
    made = _real_and_synthetic(run, selection, per_class, seed)
    panels.append(_panel("embedding", title, note, seed, *made))
    return panels


def select(run: FittedRun, classes: int, per_class: int, seed: int) -> Selection:
    """Classes and test images, drawn by the seed; half of the classes unseen if there are enough.

    Only test images are shown, since the embedding was trained on the others.
    """
    random = np.random.default_rng(seed)
    labels, split = run.dataset.labels, run.dataset.split
    test_rows = (split.test_seen, split.test_unseen)
    sides = [random.permutation(np.unique(labels[rows])) for rows in test_rows]
    unseen = min(classes - classes // 2, len(sides[1]))
    seen = min(classes - unseen, len(sides[0]), len(CLASSES))
    unseen = min(classes - seen, len(sides[1]), len(CLASSES))
    chosen = [np.sort(side[:number]) for side, number in zip(sides, (seen, unseen), strict=True)]
    images = [
        np.sort(random.permutation(np.sort(rows[labels[rows] == label]))[:per_class])
        for side, rows in zip(chosen, test_rows, strict=True)
        for label in side
    ]
    return Selection(chosen[0], chosen[1], np.concatenate(images))


def _real_and_synthetic(run: FittedRun, selection: Selection, per_class: int, seed: int) -> list[Samples]:
    """g of the selected test images and, if the run has a generator, synthetic features; both as inputs of
    the classifier where the generator samples these."""
    g = run.embed(torch.from_numpy(selection.rows))
    if run.generator is not None and _samples_inputs(run):
        with torch.no_grad():
            g = run.generator.transform(run.networks.get("generator", {}), g, {})
    features = require_shape("embedding's g", run.record, (len(selection.rows), g.shape[-1]), g).numpy()
    synthetic = synthetic_samples(run, selection, per_class, seed)
    return [_real_samples(run, selection, features), *([synthetic] if synthetic else [])]


def _real_samples(run: FittedRun, selection: Selection, features: Float[np.ndarray, "n d"]) -> Samples:
    """The selected test images with these features."""
    labels = run.dataset.labels[selection.rows]
    kinds = np.where(np.isin(labels, selection.unseen), REAL_UNSEEN, REAL_SEEN)
    return features, _about(run, kinds, labels, selection.rows)


def synthetic_samples(run: FittedRun, selection: Selection, per_class: int, seed: int) -> Samples | None:
    """Features that the run's generator makes for the selected unseen classes; None: it has no generator."""
    if run.generator is None:
        return None
    streams = Streams(seed).child("tsne")
    made, specs = [], run.generator.sample_noise.items()
    with torch.no_grad():
        for label in selection.unseen.tolist():
            noise = {name: draw(spec, per_class, streams, name) for name, spec in specs}
            semantics = torch.from_numpy(run.dataset.semantics[label]).expand(per_class, -1)
            made.append(run.generator.sample(run.networks.get("generator", {}), semantics, noise))
    g = torch.cat(made)
    labels = np.repeat(selection.unseen, per_class)
    features = require_shape("generator's sample", run.record, (len(labels), g.shape[-1]), g).numpy()
    return features, _about(run, SYNTHETIC, labels, None)


def _about(run: FittedRun, kinds: Any, labels: np.ndarray, rows: np.ndarray | None) -> pd.DataFrame:
    images = pd.array([None] * len(labels) if rows is None else rows, dtype="Int64")
    names = [run.dataset.class_names[number] for number in labels]
    return pd.DataFrame({"kind": kinds, "class_id": labels, "class": names, "image": images})


def _panel(name: str, title: str, note: str, seed: int, *samples: Samples) -> Panel:
    points = project(np.concatenate([features for features, _ in samples]), seed)
    about = pd.concat([about for _, about in samples], ignore_index=True)
    return Panel(name, title, note, about.assign(x=points[:, 0], y=points[:, 1]))


def project(features: Float[np.ndarray, "n d"], seed: int) -> Float[np.ndarray, "n 2"]:
    """Coordinates by t-SNE (van der Maaten & Hinton 2008) of features scaled to unit variance.

    50 principal components are taken first, as its authors do. Perplexity 30, or a third of the other points
    where there are few. Equal on every call.

    Raises:
        SettingsError: fewer than four points.
    """
    if len(features) < 4:
        raise SettingsError(f"t-SNE of {len(features)} points: raise --classes or --per-class")
    # One thread: sums in another order give other coordinates.
    with threadpool_limits(1):
        scaled = StandardScaler().fit_transform(features.astype(np.float64))
        components = min(_COMPONENTS, *scaled.shape)
        reduced = PCA(components, svd_solver="full").fit_transform(scaled)
        perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
        return np.asarray(tsne.fit_transform(reduced), dtype=np.float64)


def _is_discriminative(run: FittedRun) -> bool:
    """Whether the embedding was trained to separate classes, so that it has class scores."""
    return run.embedding.guide(run.networks["embedding"]) is not None


def _samples_inputs(run: FittedRun) -> bool:
    """Whether synthetic features exist only in the space of the classifier's inputs."""
    return run.generator is not None and run.generator.samples == "inputs"


def _open_baseline(
    run: FittedRun, baseline: RunRecord, data_root: str | Path | None, regions: str | None, notify: Notify
) -> FittedRun:
    """The baseline's run, if it is on the same images and its features are the backbone's.

    Their feature files may differ: a run on regions and its baseline need not name the same one.
    """
    where = f"baseline run {baseline.info.id}"
    if _images_of(run.record) != _images_of(baseline):
        raise ZslbenchError(
            f"{where} uses different images from run {run.record.info.id} ({baseline.info.dataset}, "
            f"{run.record.info.dataset}): give a run on the same data set and split"
        )
    other = load_run(baseline, data_root, regions=regions, notify=notify)
    if _is_discriminative(other):
        name = baseline.info.identity["components"]["embedding"]
        raise ZslbenchError(
            f"{where}: its embedding '{name}' is trained to separate classes, so its features are not the "
            "backbone's; give a run whose embedding is 'identity'"
        )
    if other.generator is None or _samples_inputs(other):
        what = "has no generator" if other.generator is None else "samples no features"
        raise ZslbenchError(
            f"{where}: method '{baseline.info.method}' {what}; give a run of a method that does, such as "
            "tf-vaegan"
        )
    return other


def _images_of(record: RunRecord) -> tuple[Any, ...]:
    labels = [one["sha256"] for one in record.data["arrays"] if one["array"] == "labels"]
    return record.info.dataset, record.data["split_fingerprint"], labels


# --- the figure ----------------------------------------------------------------------------------


@plot_style()
def figure(record: RunRecord, panels: Sequence[Panel]) -> Figure:
    """The panels of a run next to each other, with one legend: colours by class, markers by kind."""
    made = new_figure(len(panels) * (_SIDE + 0.15) + 2.0, _SIDE + 0.9)
    made.suptitle(run_title(record), fontsize=9)
    classes = palette(panels[0].points)
    colours: dict[Any, str] = {number: CLASSES[place][0] for number, place in classes["place"].items()}
    for axes, panel in zip(made.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.set(xticks=[], yticks=[], box_aspect=1)
        scatter(axes, panel, colours, "white")
        axes.set_title(panel.title, fontsize=9)
        axes.set_xlabel(panel.note, fontsize=7)
    shown = {kind for panel in panels for kind in panel.points["kind"]}
    mark: dict[str, Any] = {"color": "#404040", "linestyle": "none", "markersize": 6, "mew": 1.3}
    handles: list[Line2D | Patch] = [
        Line2D([], [], label=kind, marker=style["marker"], **mark)
        for kind, style in MARKERS.items()
        if kind in shown
    ]
    headings = {"seen classes": REAL_SEEN, "unseen classes": REAL_UNSEEN}
    for heading, kind in headings.items():
        handles.append(Line2D([], [], label=heading, linestyle="none"))
        for number, name in classes.loc[classes["kind"] == kind, "class"].items():
            handles.append(Patch(color=colours[number], label=wrapped(name, _NAME)))
    place: dict[str, Any] = {"loc": "outside right upper", "frameon": False, "alignment": "left"}
    legend = made.legend(handles=handles, fontsize=8, **place)
    for handle, text in zip(handles, legend.get_texts(), strict=True):
        if handle.get_label() in headings:
            text.set_fontweight("bold")
    return made


def scatter(axes: Axes, panel: Panel, colours: Mapping[int, str], edge: str) -> None:
    """Draw a panel's points, the many synthetic ones (with edges of this colour) below the others."""
    for kind in reversed(MARKERS):
        points = panel.points[panel.points["kind"] == kind]
        if len(points):
            edges: dict[str, Any] = {"edgecolors": edge} if kind == SYNTHETIC else {}
            c = [colours[number] for number in points["class_id"]]
            axes.scatter(points["x"], points["y"], c=c, label=kind, **MARKERS[kind], **edges)


def palette(points: pd.DataFrame) -> pd.DataFrame:
    """The classes of real points by id, seen ones first: kind, class and ``place`` in the list of colours.

    Beyond ten classes a seen and an unseen one share a colour; their markers differ.
    """
    classes = points[points["kind"] != SYNTHETIC].drop_duplicates("class_id").set_index("class_id")
    classes = classes.sort_values(["kind", "class_id"])[["kind", "class"]]
    if len(classes) <= len(CLASSES):
        return classes.assign(place=range(len(classes)))
    return classes.assign(place=classes.groupby("kind").cumcount())
