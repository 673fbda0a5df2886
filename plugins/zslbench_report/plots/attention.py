"""Where an embedding looks: its overall map, and those of the highest-scoring attributes (SC-EGG, Figure 3).

A region grid is assumed to cover the image, and images are shown square, as extractors read them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from zslbench.data import RegionStore
from zslbench.errors import ZslbenchError
from zslbench.experiment import FittedRun, Notify, load_run
from zslbench.plugin import Attention, RegionSource
from zslbench.store import RunRecord
from zslbench_report.plots.canvas import (
    Figure,
    ScalarMappable,
    colormapped,
    new_figure,
    plot_style,
    run_title,
)
from zslbench_report.plots.checks import require_shape
from zslbench_report.plots.images import (
    attribute_names_of,
    choose_rows,
    outcomes,
    pictures_of,
    readable,
    wrapped,
)

COLOUR_MAP = "YlOrRd"
OPACITY = 0.8
"""Opacity of a map's colour over an image, where the map is strongest."""
PALENESS = 0.3
"""How far the image under a map is faded to white."""
_PANEL = 1.3  # width and height of a panel, inches
_HEADING = 0.52  # height of the three lines above it
_LINE = 23  # characters that fit above a panel


@dataclass(frozen=True)
class Tile:
    """A panel: an image, or the weights of its regions for one attribute or over all."""

    name: str
    score: str
    """The attribute's score; empty for other tiles."""
    pixels: Float[np.ndarray, "h w"] | Float[np.ndarray, "h w 3"] | None
    """Values in [0, 1] on the region grid, or colours; None: no picture."""
    colours: str = COLOUR_MAP
    """matplotlib's colour map for values."""

    def rgb(self) -> Float[np.ndarray, "h w 3"]:
        """The pixels as colours in [0, 1]."""
        assert self.pixels is not None
        if self.pixels.ndim == 3:
            return self.pixels
        return colormapped(self.colours, self.pixels.clip(0, 1))


@dataclass(frozen=True)
class ImageTiles:
    """What is shown of one image."""

    row: int
    """Row number in the data set."""
    class_name: str
    side: str
    """``seen`` or ``unseen``."""
    outcome: str
    """How the run classified it; may be empty."""
    tiles: tuple[Tile, ...]
    """The image (or the mean activation of its regions), the overall map, then attributes by their scores."""


def compute(
    record: RunRecord,
    *,
    images: str | Path | None = None,
    rows: Sequence[int] = (),
    count: int = 4,
    top: int = 8,
    attribute_names: Sequence[str] | None = None,
    data_root: str | Path | None = None,
    regions: str | None = None,
    notify: Notify = lambda text: None,
) -> list[ImageTiles]:
    """For each image its tiles: the image, the overall map, the maps of its ``top`` attributes.

    The arguments are those of ``zslbench plot attention``, except:

    Args:
        record: a run whose embedding has attention.
        rows: row numbers of the images to show; empty: ``count`` test images (:func:`~.images.choose_rows`).
        attribute_names: one per attribute; None: the data set's own, or numbers.
        notify: called with what the user should know.

    Raises:
        ZslbenchError: networks were not stored, the data are not the run's, the embedding has no attention,
            or names or rows do not fit the data set.
    """
    run = load_run(record, data_root, regions=regions, notify=notify, embedding_only=True)
    dataset = run.dataset
    names = attribute_names_of(dataset, attribute_names)
    chosen = choose_rows(record, dataset, rows, count)
    found = attention_of(run, chosen)
    pictures = pictures_of(dataset, chosen.tolist(), images, notify)
    maps, scores, overall = (part.numpy() for part in found)
    grid = grid_of(dataset.regions, maps.shape[2])
    outcome, space = outcomes(record, dataset), run.fold.space
    unseen = {space.names[one] for one in space.unseen.tolist()}
    shown = []
    for place, row in enumerate(chosen.tolist()):
        picture = pictures.get(row)
        first = Tile("no picture", "", None)
        if picture is not None:
            first = Tile("image", "", picture)
        elif dataset.regions is not None:
            mean = dataset.regions[np.array([row])][0].mean(axis=1)
            first = Tile("mean activation", "", as_map(mean, grid), "gray")
        tiles = [first, _map_tile("overall map", "", as_map(overall[place], grid), picture)]
        for at in np.argsort(-scores[place], kind="stable")[:top].tolist():
            score = f"{scores[place, at]:#.3g}".rstrip(".")  # three significant digits, as in "2.80"
            tiles.append(_map_tile(readable(names[at]), score, as_map(maps[place, at], grid), picture))
        label = dataset.class_names[int(dataset.labels[row])]
        side = "unseen" if label in unseen else "seen"
        shown.append(ImageTiles(row, label, side, outcome.get(row, ""), tuple(tiles)))
    return shown


def _map_tile(name: str, score: str, cells: np.ndarray, picture: np.ndarray | None) -> Tile:
    if picture is None:
        return Tile(name, score, cells)
    strength = enlarged(cells, picture.shape[0], picture.shape[1])
    return Tile(name, score, overlay(picture, colormapped(COLOUR_MAP, strength), strength))


def attention_of(run: FittedRun, rows: np.ndarray) -> Attention:
    """The embedding's attention on these images.

    Raises:
        ZslbenchError: it has none; PluginError: of a wrong shape, or with values that are not finite.
    """
    inputs = run.inputs(torch.from_numpy(rows))
    with torch.no_grad():
        found = run.embedding.attention(run.networks["embedding"], inputs)
    name = run.record.info.identity["components"]["embedding"]
    if found is None:
        raise ZslbenchError(
            f"run {run.record.info.id}: embedding '{name}' has no attention, so there is nothing to draw"
        )
    where = f"attention of embedding '{name}':"
    n, attributes, regions = len(rows), run.dataset.semantics.shape[1], found.maps.shape[-1]
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
    recorded = source.provenance.get("grid") if isinstance(source, RegionStore) else None
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
    return np.asarray(torch.nn.functional.interpolate(source, size=(height, width), mode="bilinear")[0, 0])


def overlay(
    picture: Float[np.ndarray, "height width 3"],
    heat: Float[np.ndarray, "height width 3"],
    strength: Float[np.ndarray, "height width"],
) -> Float[np.ndarray, "height width 3"]:
    """The heat over the picture, more opaque where it is stronger.

    The picture is made grey and pale, so that its colours are not mistaken for heat.
    """
    grey = picture @ np.array([0.299, 0.587, 0.114], dtype=picture.dtype)
    pale = (PALENESS + (1 - PALENESS) * grey)[:, :, None]
    opacity = OPACITY * strength[:, :, None]
    mixed: np.ndarray = (1 - opacity) * pale + opacity * heat
    return mixed


@plot_style()
def figure(record: RunRecord, shown: Sequence[ImageTiles]) -> Figure:
    """One row of panels per image of a run."""
    columns = len(shown[0].tiles)
    made = new_figure(columns * (_PANEL + 0.08) + 0.9, len(shown) * (_PANEL + _HEADING) + 0.5)
    made.suptitle(run_title(record), fontsize=9)
    axes = made.subplots(len(shown), columns, squeeze=False)
    for line, image in zip(axes, shown, strict=True):
        label = f"{wrapped(image.class_name, _LINE)}\n({image.side})\n{wrapped(image.outcome, _LINE)}"
        line[0].set_ylabel(label, fontsize=7)
        for panel, tile in zip(line, image.tiles, strict=True):
            panel.set(xticks=[], yticks=[], box_aspect=1)
            heading = f"{wrapped(tile.name, _LINE)}\n{tile.score}".strip()
            if tile is image.tiles[0]:
                heading = f"image {image.row}" if tile.name == "image" else f"image {image.row}\n{heading}"
            panel.set_title(heading, fontsize=7)
            if tile.pixels is not None:
                panel.imshow(tile.pixels, cmap=tile.colours, vmin=0, vmax=1, aspect="auto")
    colours = ScalarMappable(cmap=COLOUR_MAP)
    bar = made.colorbar(colours, ax=axes, ticks=[0, 1], fraction=0.01, pad=0.01, aspect=30)
    bar.ax.set_yticklabels(["0", "max"])
    bar.set_label("weight of a region, each map scaled separately", fontsize=7)
    return made
