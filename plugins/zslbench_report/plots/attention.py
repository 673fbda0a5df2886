"""Where an embedding looks: its overall map, and those of the highest-scoring attributes (SC-EGG, Figure 3).

A region grid is taken to cover the whole image, and images are shown square, as extractors read them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from zslbench.data import StoredRegions
from zslbench.errors import PluginError, ZslbenchError
from zslbench.plugin import Attention, RegionSource
from zslbench.store import RunRecord
from zslbench_report.plots.canvas import (
    Axes,
    Figure,
    add_colorbar,
    colormapped,
    hide_ticks,
    new_figure,
    plot_style,
    run_title,
)
from zslbench_report.plots.fitted import FittedRun, Notify, ignore, open_run, require_shape
from zslbench_report.plots.images import attribute_names_of, choose_rows, outcomes, pictures_of, wrapped

COLOUR_MAP = "YlOrRd"
OPACITY = 0.8
"""Opacity of a map's colour over an image, where the map is strongest."""
PALENESS = 0.3
"""How far the image under a map is faded to white."""
_PANEL = 1.3  # width and height of a panel, inches
_HEADING = 0.52  # height of the three lines above it
_LINE = 23  # characters that fit above a panel


def figure(
    record: RunRecord,
    *,
    images: str | Path | None = None,
    rows: Sequence[int] = (),
    count: int = 4,
    top: int = 8,
    attribute_names: Sequence[str] | None = None,
    data_root: str | Path | None = None,
    regions: str | None = None,
    notify: Notify = ignore,
) -> Figure:
    """One row of panels per image: the image, the overall map, the maps of its ``top`` attributes.

    Args:
        record: a run whose embedding has attention.
        images: folder with the data set's pictures; None: show mean region activations instead.
        rows: row numbers of the images to show; empty: ``count`` test images, see
            :func:`zslbench_report.plots.images.choose_rows`.
        top: how many attributes to show, by their scores for the image.
        attribute_names: one per attribute; None: the data set's own, or numbers.
        data_root: folder of data sets; None: the configured one.
        regions: name or path of the run's region features; None: the name in its record.
        notify: called with what the user should know.

    Raises:
        ZslbenchError: networks were not stored, the data are not the run's, the embedding has no attention,
            or names or rows do not fit the data set.
    """
    run = open_run(record, data_root, regions=regions, notify=notify, embedding_only=True)
    names = attribute_names_of(run.dataset, attribute_names)
    shown = choose_rows(record, run.dataset, rows, count)
    attention = attention_of(run, shown)
    pictures = pictures_of(run.dataset, shown, images, notify)
    with plot_style():
        return _draw(run, shown, attention, pictures, names, min(top, len(names)))


def attention_of(run: FittedRun, rows: np.ndarray) -> Attention:
    """The embedding's attention on these images, checked.

    Raises:
        ZslbenchError: the embedding has no attention.
        PluginError: its attention has a wrong shape, or values that are not finite.
    """
    inputs = run.inputs(torch.from_numpy(rows))
    with torch.no_grad():
        found = run.embedding.attention(run.embedding_networks, inputs)
    name = run.record.info.identity["components"]["embedding"]
    if found is None:
        raise ZslbenchError(
            f"run {run.record.info.id}: embedding '{name}' has no attention, so there are no maps to draw"
        )
    where = f"attention of embedding '{name}':"
    if found.maps.ndim != 3:
        raise PluginError(
            f"run {run.record.info.id}: {where} maps has shape {tuple(found.maps.shape)}, not three axes"
        )
    n, attributes, regions = len(rows), run.dataset.semantics.shape[1], found.maps.shape[2]
    return Attention(
        require_shape(f"{where} maps", run.record, (n, attributes, regions), found.maps),
        require_shape(f"{where} scores", run.record, (n, attributes), found.scores),
        require_shape(f"{where} overall", run.record, (n, regions), found.overall),
    )


def grid_of(source: RegionSource | None, regions: int) -> tuple[int, int]:
    """Rows and columns of the region grid: as recorded with the region features, else a square.

    Raises:
        ZslbenchError: nothing is recorded and the number of regions is not a square.
    """
    recorded = source.provenance.get("grid") if isinstance(source, StoredRegions) else None
    if recorded is not None and len(recorded) == 2 and recorded[0] * recorded[1] == regions:
        return int(recorded[0]), int(recorded[1])
    side = math.isqrt(regions)
    if side * side != regions:
        raise ZslbenchError(
            f"{regions} regions do not form a square grid, and the region store does not record another one "
            "('grid' in its provenance, [rows, columns])"
        )
    return side, side


def as_map(values: Float[np.ndarray, " regions"], grid: tuple[int, int]) -> Float[np.ndarray, "rows columns"]:
    """Region values on the grid (row-major), scaled so that the largest is 1; zero stays zero.

    A nearly uniform map thus looks uniform: stretching it from its minimum would invent structure.
    """
    top = values.max()
    return (values / top if top > 0 else values).reshape(grid)


def enlarged(
    values: Float[np.ndarray, "rows columns"], height: int, width: int
) -> Float[np.ndarray, "height width"]:
    """The map at this size, bilinear between the centres of its regions."""
    source = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    bigger = torch.nn.functional.interpolate(
        source, size=(height, width), mode="bilinear", align_corners=False
    )
    return np.asarray(bigger[0, 0])


def overlay(
    picture: Float[np.ndarray, "height width 3"],
    heat: Float[np.ndarray, "height width 3"],
    strength: Float[np.ndarray, "height width"],
) -> Float[np.ndarray, "height width 3"]:
    """The heat over the picture, more opaque where it is stronger.

    The picture is turned grey and pale, so that none of its own colours reads as heat.
    """
    grey = picture @ np.array([0.299, 0.587, 0.114], dtype=picture.dtype)
    pale = (PALENESS + (1 - PALENESS) * grey)[:, :, None]
    opacity = OPACITY * strength[:, :, None]
    mixed: np.ndarray = (1 - opacity) * pale + opacity * heat
    return mixed


def heat_over(
    cells: Float[np.ndarray, "rows columns"], picture: Float[np.ndarray, "height width 3"]
) -> Float[np.ndarray, "height width 3"]:
    """A map over its picture, in the colours of ``COLOUR_MAP``."""
    strength = enlarged(cells, picture.shape[0], picture.shape[1])
    return overlay(picture, colormapped(COLOUR_MAP, strength), strength)


def score_text(score: float) -> str:
    """Three significant digits, trailing zeros included: "2.80"."""
    return f"{score:#.3g}".rstrip(".")


def _draw(
    run: FittedRun,
    rows: np.ndarray,
    attention: Attention,
    pictures: Mapping[int, Float[np.ndarray, "_ _ 3"]],
    names: Sequence[str],
    top: int,
) -> Figure:
    grid = grid_of(run.dataset.regions, attention.maps.shape[2])
    columns = 2 + top
    made = new_figure(columns * (_PANEL + 0.08) + 0.9, len(rows) * (_PANEL + _HEADING) + 0.5)
    made.suptitle(run_title(run.record), fontsize=9)
    axes = made.subplots(len(rows), columns, squeeze=False)
    maps, scores, overall = (part.numpy() for part in attention)
    outcome = outcomes(run.record, run.dataset)
    for line, row in enumerate(rows.tolist()):
        picture = pictures.get(row)
        _draw_image(axes[line, 0], run, row, outcome.get(row, ""), picture, grid)
        _draw_map(axes[line, 1], overall[line], picture, grid, "overall map")
        best = np.argsort(-scores[line], kind="stable")[:top]
        for panel, attribute in zip(axes[line, 2:], best, strict=True):
            heading = f"{wrapped(names[attribute], _LINE)}\n{score_text(float(scores[line, attribute]))}"
            _draw_map(panel, maps[line, attribute], picture, grid, heading)
    add_colorbar(made, axes, COLOUR_MAP, "weight of a region, each map scaled separately", ("0", "max"))
    return made


def _draw_image(
    panel: Axes,
    run: FittedRun,
    row: int,
    outcome: str,
    picture: Float[np.ndarray, "h w 3"] | None,
    grid: tuple[int, int],
) -> None:
    """The image, or the mean activation of its regions, labelled with its class and the run's outcome."""
    dataset = run.dataset
    label = int(dataset.labels[row])
    side = "unseen" if label in run.fold.space.unseen.tolist() else "seen"
    panel.set_ylabel(
        f"{wrapped(dataset.class_names[label], _LINE)}\n({side})\n{wrapped(outcome, _LINE)}", fontsize=7
    )
    hide_ticks(panel)
    panel.set_title(f"image {row}", fontsize=7)
    if picture is not None:
        panel.imshow(picture, aspect="auto")
    elif dataset.regions is not None:
        panel.set_title(f"image {row}\nmean activation", fontsize=7)
        mean = dataset.regions[np.array([row])][0].mean(axis=1)
        panel.imshow(as_map(mean, grid), cmap="gray", vmin=0, vmax=1, aspect="auto")
    else:
        panel.text(0.5, 0.5, "no picture", ha="center", va="center", fontsize=7, transform=panel.transAxes)


def _draw_map(
    panel: Axes,
    values: Float[np.ndarray, " regions"],
    picture: Float[np.ndarray, "h w 3"] | None,
    grid: tuple[int, int],
    heading: str,
) -> None:
    """One map: over the picture, or as the region grid itself."""
    panel.set_title(heading, fontsize=7)
    hide_ticks(panel)
    cells = as_map(values, grid)
    if picture is None:
        panel.imshow(cells, cmap=COLOUR_MAP, vmin=0, vmax=1, aspect="auto")
    else:
        panel.imshow(heat_over(cells, picture), aspect="auto")
