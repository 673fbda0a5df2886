"""Where an embedding looks: its global map, and those of the attributes it finds most (SC-EGG, Figure 3).

A region grid is taken to cover the whole image, and images are shown square, as extractors read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from zslbench.errors import PluginError, ZslbenchError
from zslbench.plugin.interfaces import Attention
from zslbench.store.record import RunRecord
from zslbench_report.plots.canvas import Axes, Figure, blank, colorbar, colours, look, title_of
from zslbench_report.plots.fitted import FittedRun, Say, checked, open_run, silent
from zslbench_report.plots.grids import as_map, enlarged, grid_of, overlay
from zslbench_report.plots.images import choose_rows, outcomes, picture_files, read_picture
from zslbench_report.plots.names import names_for, wrapped

HEAT = "YlOrRd"
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
    say: Say = silent,
) -> Figure:
    """One row of panels per image: the image, the global map, the maps of the ``top`` attributes.

    Args:
        record: a run; one whose embedding reads regions is always kept with it.
        images: folder with the data set's pictures; without, mean region activations stand for them.
        rows: row numbers of the images to show; none: ``count`` test images, see
            :func:`zslbench_report.plots.images.choose_rows`.
        top: how many attributes, those with the highest scores for the image first.
        attribute_names: one for each attribute; None: the data set's own, or numbers.
        data_root: where data sets lie; None: the configured place.
        regions: name or path of the run's region features; None: those of its record's name.
        say: is told what the user should know beside the figure.

    Raises:
        ZslbenchError: networks were not kept, the data are not the run's, the embedding has no attention,
            or names or rows do not fit the data set.
    """
    run = open_run(record, data_root, regions=regions, say=say, whole=False)
    names = names_for(run.dataset, attribute_names)
    shown = choose_rows(record, run.dataset, rows, count)
    found = attention_of(run, shown)
    pictures = pictures_of(run, shown, images, say)
    with look():
        return _draw(run, shown, found, pictures, names, min(top, len(names)))


def attention_of(run: FittedRun, rows: np.ndarray) -> Attention:
    """The embedding's attention on these images, checked.

    Raises:
        ZslbenchError: the embedding has no attention.
        PluginError: what it gives is no attention: a wrong shape, or values that are not finite.
    """
    inputs = run.inputs(torch.from_numpy(rows))
    with torch.no_grad():
        found = run.embedding.attention(run.embedding_networks, inputs)
    name = run.record.info.identity["components"]["embedding"]
    if found is None:
        raise ZslbenchError(
            f"run {run.record.info.id}: embedding '{name}' has no attention, so there are no maps to draw"
        )
    if found.maps.ndim != 3:
        raise PluginError(f"run {run.record.info.id}: embedding '{name}': attention maps have no three axes")
    n, attributes, regions = len(rows), run.dataset.semantics.shape[1], found.maps.shape[2]
    where = f"attention of embedding '{name}':"
    return Attention(
        checked(f"{where} maps", run.record, (n, attributes, regions), found.maps),
        checked(f"{where} scores", run.record, (n, attributes), found.scores),
        checked(f"{where} overall", run.record, (n, regions), found.overall),
    )


def pictures_of(
    run: FittedRun, rows: np.ndarray, folder: str | Path | None, say: Say
) -> dict[int, Float[np.ndarray, "_ _ 3"]]:
    """Pictures by row number, of those rows whose file is found."""
    if folder is None:
        return {}
    names = run.dataset.image_files
    if names is None:
        say(
            f"data set '{run.dataset.name}' does not name its image files; region activations are shown "
            "instead"
        )
        return {}
    found = picture_files(Path(folder), names, [int(row) for row in rows])
    if missing := [int(row) for row in rows if int(row) not in found]:
        first = names[missing[0]]
        say(
            f"{len(missing)} of {len(rows)} pictures are not below {folder} (the first: {first}); region "
            "activations are shown instead"
        )
    return {row: read_picture(path) for row, path in found.items()}


def _draw(
    run: FittedRun,
    rows: np.ndarray,
    found: Attention,
    pictures: Mapping[int, Float[np.ndarray, "_ _ 3"]],
    names: Sequence[str],
    top: int,
) -> Figure:
    grid = grid_of(run.dataset.regions, found.maps.shape[2])
    columns = 2 + top
    made = blank(columns * (_PANEL + 0.08) + 0.9, len(rows) * (_PANEL + _HEADING) + 0.5)
    made.suptitle(title_of(run.record), fontsize=9)
    axes = made.subplots(len(rows), columns, squeeze=False)
    maps, scores, overall = (one.numpy() for one in found)
    became = outcomes(run.record, run.dataset)
    for line, row in enumerate(rows.tolist()):
        picture = pictures.get(row)
        _first(axes[line, 0], run, row, became.get(row, ""), picture, grid)
        _map(axes[line, 1], overall[line], picture, grid, "global map")
        best = np.argsort(-scores[line], kind="stable")[:top]
        for panel, attribute in zip(axes[line, 2:], best, strict=True):
            heading = f"{wrapped(names[attribute], _LINE)}\n{figures_text(float(scores[line, attribute]))}"
            _map(panel, maps[line, attribute], picture, grid, heading)
    colorbar(made, axes, HEAT, "weight of a region, each map by itself", ("0", "max"))
    return made


def _first(
    panel: Axes,
    run: FittedRun,
    row: int,
    outcome: str,
    picture: Float[np.ndarray, "h w 3"] | None,
    grid: tuple[int, int],
) -> None:
    """The image, or how strongly its regions are active; beside it its class and what the run made of it."""
    dataset = run.dataset
    label = int(dataset.labels[row])
    side = "unseen" if label in run.fold.space.unseen.tolist() else "seen"
    panel.set_ylabel(
        f"{wrapped(dataset.class_names[label], _LINE)}\n({side})\n{wrapped(outcome, _LINE)}", fontsize=7
    )
    _bare(panel)
    if picture is not None:
        panel.set_title(f"image {row}", fontsize=7)
        panel.imshow(picture, aspect="auto")
    elif dataset.regions is not None:
        panel.set_title(f"image {row}\nmean activation", fontsize=7)
        mean = dataset.regions[np.array([row])][0].mean(axis=1)
        panel.imshow(as_map(mean, grid), cmap="gray", vmin=0, vmax=1, aspect="auto")
    else:
        panel.set_title(f"image {row}", fontsize=7)
        panel.text(0.5, 0.5, "no picture", ha="center", va="center", fontsize=7, transform=panel.transAxes)


def _map(
    panel: Axes,
    values: Float[np.ndarray, " regions"],
    picture: Float[np.ndarray, "h w 3"] | None,
    grid: tuple[int, int],
    heading: str,
) -> None:
    """One map: over the picture, or as the region grid itself."""
    panel.set_title(heading, fontsize=7)
    _bare(panel)
    cells = as_map(values, grid)
    if picture is None:
        panel.imshow(cells, cmap=HEAT, vmin=0, vmax=1, aspect="auto")
        return
    height, width, _ = picture.shape
    strength = enlarged(cells, height, width)
    panel.imshow(overlay(picture, colours(HEAT, strength), strength), aspect="auto")


def figures_text(score: float) -> str:
    """Three figures, also where the last ones are zero: "2.80"."""
    return f"{score:#.3g}".rstrip(".")


def _bare(panel: Axes) -> None:
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_box_aspect(1)
