"""What fitted networks show: features by t-SNE, and where embeddings look."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Float

from zslbench.errors import ZslbenchError
from zslbench.store import RunRecord
from zslbench_report.html.charts import tsne_chart
from zslbench_report.html.report import Report, Series
from zslbench_report.theme import ink

if TYPE_CHECKING:
    from zslbench_report.plots.attention import Tile
    from zslbench_report.plots.tsne import Panel

    Projection = tuple[Series, RunRecord, Panel]

T = TypeVar("T")

MOST_PROJECTIONS = 8
"""Runs that are drawn by t-SNE, since each takes seconds and space."""
MOST_RUNS = 3
"""Runs whose attention is drawn."""


def _drawn(
    report: Report,
    runs: list[tuple[Series, RunRecord]],
    most: int,
    draw: Callable[[Series, RunRecord], T],
) -> tuple[list[T], list[str]]:
    """The first ``most`` runs drawn, and why the others are not; nothing without charts."""
    made, reasons = list[T](), list[str]()
    for series, record in () if report.without_charts else runs:
        where = f"{series.label} on {series.dataset}"
        if len(made) == most:
            reasons.append(f"{where} is left out: at most {most} runs are drawn.")
            continue
        try:
            made.append(draw(series, record))
        except ZslbenchError as error:
            reasons.append(f"{where}: {error}")
    return made, reasons


def _runs_with_networks(report: Report, *weights: str) -> list[tuple[Series, RunRecord]]:
    """A run of each series that was stored with such weights, the median one if possible."""
    found = []
    for series in (one for dataset in report.outcome.datasets for one in report.series(dataset)):
        stored = [one for one in series.median_first if one.environment.get("weights") in weights]
        found += [(series, record) for record in stored[:1]]
    return found


# --- t-SNE ---------------------------------------------------------------------------------------


def tsne(report: Report) -> Mapping[str, Any] | None:
    """For each data set a panel per method whose run has its networks, all of the same images."""
    if not report.outcome.records:
        return None
    runs = _runs_with_networks(report, "all")
    remarks: dict[str, list[str]] = {}

    def project(series: Series, record: RunRecord) -> Projection:
        from zslbench_report.plots.tsne import compute

        noted = remarks.setdefault(series.dataset, [])
        (panel,) = compute(record, data_root=report.data_root, backbone=False, notify=noted.append)
        return series, record, panel

    panels, reasons = _drawn(report, runs, MOST_PROJECTIONS, project)
    # On equal data the same images were chosen: such panels share a legend.
    groups: dict[tuple[str, str], list[Projection]] = {}
    for series, record, panel in panels:
        images = panel.points.dropna(subset="image")[["class", "image"]].to_json()
        groups.setdefault((series.dataset, images), []).append((series, record, panel))
    shown = [_tsne_group(report, same, remarks[dataset]) for (dataset, _), same in groups.items()]
    return {"groups": shown, "reasons": reasons, "stored": bool(runs)}


def _tsne_group(report: Report, panels: list[Projection], remarks: list[str]) -> dict[str, Any]:
    from zslbench_report.plots.tsne import SYNTHETIC, palette

    dataset, classes = panels[0][0].dataset, palette(panels[0][2].points)
    names = [f"k{place}" for place in classes["place"]]
    inks = dict(zip(classes.index, map(ink, names), strict=True))
    made = []
    for series, record, panel in panels:
        label = f"t-SNE of {series.label} on {dataset}, {panel.title}"
        svg = report.draw(tsne_chart, "tsne", label, panel, inks)
        made.append({"label": series.label, "seed": record.info.seed, "panel": panel, "svg": svg})
    sides = classes["kind"].str.removeprefix("real ")
    return {
        "title": report.dataset_title(dataset),
        "panels": made,
        "classes": list(zip(names, classes["class"], sides, strict=True)),
        "synthetic": any((panel.points["kind"] == SYNTHETIC).any() for _, _, panel in panels),
        "remarks": list(dict.fromkeys(remarks)),
    }


# --- attention -----------------------------------------------------------------------------------


def attention(report: Report) -> Mapping[str, Any] | None:
    """Tiles for each method whose embedding has attention; None if no run read regions."""
    runs = [pair for pair in _runs_with_networks(report, "all", "embedding") if _reads_regions(pair[1])]
    if not runs:
        return None

    def tiles(series: Series, record: RunRecord) -> dict[str, Any]:
        from zslbench_report.plots.attention import compute

        remarks: list[str] = []
        where: Any = {"images": report.images, "data_root": report.data_root, "notify": remarks.append}
        found = compute(record, count=4, top=6, **where)
        images = [(image, [(tile, _source(tile)) for tile in image.tiles]) for image in found]
        title = f"{series.label} on {report.dataset_title(series.dataset)}, seed {record.info.seed}"
        return {"title": title, "images": images, "remarks": remarks}

    made, reasons = _drawn(report, runs, MOST_RUNS, tiles)
    return {"made": made, "reasons": reasons, "pictures": report.images is not None}


def _reads_regions(record: RunRecord) -> bool:
    """Whether the run's embedding reads regions: only such runs store their embedding alone."""
    if record.environment.get("weights") == "embedding":
        return True
    arrays = [one["array"] for one in record.data.get("arrays", ())]
    embedding = record.info.identity.get("components", {}).get("embedding")
    return "regions" in arrays and embedding not in (None, "identity")


def _source(tile: Tile) -> str:
    """A tile as a ``data:`` URL: JPEG for pictures, PNG, with one pixel per region, for grids."""
    from PIL import Image  # comes with matplotlib

    pixels: Float[np.ndarray, "_ _ 3"] = tile.rgb()
    image = Image.fromarray((255 * pixels.clip(0, 1)).round().astype(np.uint8), "RGB")
    data = io.BytesIO()
    kind = "jpeg" if max(image.size) > 64 else "png"
    image.thumbnail((200, 200))
    image.save(data, kind, quality=82, optimize=kind == "png")
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
