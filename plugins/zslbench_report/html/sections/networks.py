"""What fitted networks show: features by t-SNE, and where embeddings look."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from zslbench.errors import ZslbenchError
from zslbench.store import RunRecord
from zslbench_report.html.report import Report, Series
from zslbench_report.html.theme import CLASSES, ink

if TYPE_CHECKING:
    from zslbench_report.plots.tsne import Projection


def _run_with_networks(series: Series, weights: tuple[str, ...]) -> RunRecord | None:
    """A run stored with such weights, the median one if possible."""
    return next((one for one in series.median_first if one.environment.get("weights") in weights), None)


# --- t-SNE ---------------------------------------------------------------------------------------

MOST_PROJECTIONS = 8
"""Runs that are drawn, since each takes seconds and space."""


def tsne(report: Report) -> Mapping[str, Any] | None:
    """For each data set a panel per method whose run has its networks, all of the same images."""
    if not report.outcome.records:
        return None
    groups: list[dict[str, Any]] = []
    reasons: list[str] = []
    stored = drawn = 0
    for dataset in report.outcome.datasets:
        panels: list[tuple[Series, Projection]] = []
        remarks: list[str] = []
        for series in report.series(dataset):
            record = _run_with_networks(series, ("all",))
            if record is None:
                continue
            stored += 1
            where = f"{series.label} on {dataset}"
            if report.without_charts:
                continue
            if drawn == MOST_PROJECTIONS:
                reasons.append(f"{where} is left out: at most {MOST_PROJECTIONS} runs are drawn.")
                continue
            try:
                panels.append((series, _projection(report, record, remarks)))
                drawn += 1
            except ZslbenchError as error:
                reasons.append(f"{where}: {error}")
        groups += [_tsne_group(report, dataset, same, remarks) for same in _by_images(panels)]
    return {"groups": groups, "reasons": reasons, "stored": stored > 0}


def _projection(report: Report, record: RunRecord, remarks: list[str]) -> Projection:
    from zslbench_report.plots.tsne import compute

    def notify(text: str) -> None:
        if text not in remarks:
            remarks.append(text)

    return compute(record, data_root=report.options.data_root, backbone=False, notify=notify)


def _by_images(panels: list[tuple[Series, Projection]]) -> list[list[tuple[Series, Projection]]]:
    """Panels that can share a legend: on equal data, the same images were chosen."""
    groups: dict[tuple[Any, ...], list[tuple[Series, Projection]]] = {}
    for series, projection in panels:
        chosen = projection.selection
        numbers = (tuple(part.tolist()) for part in (chosen.seen, chosen.unseen, chosen.rows))
        groups.setdefault((projection.class_names, *numbers), []).append((series, projection))
    return list(groups.values())


def _tsne_group(
    report: Report, dataset: str, panels: list[tuple[Series, Projection]], remarks: list[str]
) -> dict[str, Any]:
    from zslbench_report.html.charts import tsne_chart
    from zslbench_report.plots.tsne import COLOURS, palette

    first = panels[0][1]
    names = {
        number: f"k{COLOURS.index(colour) % len(CLASSES)}"
        for number, colour in palette(first.selection).items()
    }
    inks = {number: ink(name) for number, name in names.items()}
    made = []
    for series, projection in panels:
        (panel,) = projection.panels
        label = f"t-SNE of {series.label} on {dataset}, {panel.title}"
        made.append(
            {
                "label": series.label,
                "seed": projection.record.info.seed,
                "space": panel.title,
                "note": panel.note,
                "svg": tsne_chart(panel, inks, report.key("tsne"), label),
            }
        )
    return {
        "title": report.dataset_title(dataset),
        "panels": made,
        "classes": [
            (names[number], first.class_names[number], side)
            for side, numbers in (("seen", first.selection.seen), ("unseen", first.selection.unseen))
            for number in numbers.tolist()
        ],
        "synthetic": any("synthetic unseen" in one.panels[0].samples.kinds for _, one in panels),
        "remarks": remarks,
    }


# --- attention -----------------------------------------------------------------------------------

IMAGES = 4
"""Images of a run."""
ATTRIBUTES = 6
"""Attributes of an image, by their scores."""
MOST_RUNS = 3
"""Runs that are drawn."""
SIDE = 200
"""Longest side of an embedded picture, pixels."""


def attention(report: Report) -> Mapping[str, Any] | None:
    """Tiles for each method whose embedding has attention; None if no run read regions."""
    made: list[dict[str, Any]] = []
    reasons: list[str] = []
    for dataset in report.outcome.datasets:
        for series in report.series(dataset):
            record = _run_with_networks(series, ("all", "embedding"))
            if record is None or not _reads_regions(record):
                continue
            where = f"{series.label} on {dataset}"
            if report.without_charts:
                return {"made": [], "reasons": []}
            if len(made) >= MOST_RUNS:
                reasons.append(f"{where} is left out: at most {MOST_RUNS} runs are drawn.")
                continue
            try:
                made.append(_attention_of(report, series, record))
            except ZslbenchError as error:
                reasons.append(f"{where}: {error}")
    if not made and not reasons:
        return None
    return {"made": made, "reasons": reasons, "pictures": report.options.images is not None}


def _reads_regions(record: RunRecord) -> bool:
    """Whether the run's embedding reads regions: only such runs store their embedding alone."""
    if record.environment.get("weights") == "embedding":
        return True
    arrays = [one["array"] for one in record.data.get("arrays", ())]
    embedding = record.info.identity.get("components", {}).get("embedding")
    return "regions" in arrays and embedding not in (None, "identity")


def _attention_of(report: Report, series: Series, record: RunRecord) -> dict[str, Any]:
    from zslbench_report.plots.attention import as_map, attention_of, grid_of, score_text
    from zslbench_report.plots.fitted import open_run
    from zslbench_report.plots.images import attribute_names_of, choose_rows, outcomes, pictures_of, wrapped

    remarks: list[str] = []
    run = open_run(record, report.options.data_root, notify=remarks.append, embedding_only=True)
    rows = choose_rows(record, run.dataset, (), IMAGES)
    found = attention_of(run, rows)
    pictures = pictures_of(run.dataset, rows, report.options.images, remarks.append)
    names = attribute_names_of(run.dataset)
    grid = grid_of(run.dataset.regions, found.maps.shape[2])
    maps, scores, overall = (part.numpy() for part in found)
    outcome = outcomes(record, run.dataset)
    unseen = set(run.fold.space.unseen.tolist())
    images = []
    for place, row in enumerate(rows.tolist()):
        picture = pictures.get(row)
        best = np.argsort(-scores[place], kind="stable")[:ATTRIBUTES]
        tiles = [
            _image_tile(run.dataset.regions, row, picture, grid),
            ("overall map", "", _map_source(as_map(overall[place], grid), picture)),
        ]
        tiles += [
            (
                wrapped(names[at], 200),
                score_text(float(scores[place, at])),
                _map_source(as_map(maps[place, at], grid), picture),
            )
            for at in best.tolist()
        ]
        label = int(run.dataset.labels[row])
        images.append(
            {
                "class": run.dataset.class_names[label],
                "side": "unseen" if label in unseen else "seen",
                "outcome": outcome.get(row, ""),
                "row": row,
                "tiles": [{"name": name, "score": score, "src": src} for name, score, src in tiles],
            }
        )
    title = f"{series.label} on {report.dataset_title(series.dataset)}, seed {record.info.seed}"
    return {"title": title, "images": images, "remarks": remarks}


def _image_tile(
    regions: Any, row: int, picture: Float[np.ndarray, "_ _ 3"] | None, grid: tuple[int, int]
) -> tuple[str, str, str]:
    from zslbench_report.plots.attention import as_map

    if picture is not None:
        return "image", f"row {row}", _source(picture)
    mean = regions[np.array([row])][0].mean(axis=1)
    grey = np.repeat(as_map(mean, grid)[:, :, None].clip(0, 1), 3, axis=2)
    return "mean activation", f"row {row}", _source(grey)


def _map_source(cells: Float[np.ndarray, "rows columns"], picture: Float[np.ndarray, "_ _ 3"] | None) -> str:
    """The map over the picture, or the region grid itself, one pixel per region."""
    from zslbench_report.plots.attention import COLOUR_MAP, heat_over
    from zslbench_report.plots.canvas import colormapped

    if picture is None:
        return _source(colormapped(COLOUR_MAP, cells.clip(0, 1)))
    return _source(heat_over(cells, picture))


def _source(pixels: Float[np.ndarray, "_ _ 3"]) -> str:
    """The pixels as a ``data:`` URL: JPEG for pictures, PNG for grids."""
    from PIL import Image  # comes with matplotlib

    image = Image.fromarray((255 * pixels.clip(0, 1)).round().astype(np.uint8), "RGB")
    data = io.BytesIO()
    if max(image.size) > 64:
        kind = "jpeg"
        image.thumbnail((SIDE, SIDE))
        image.save(data, "JPEG", quality=82)
    else:
        kind = "png"
        image.save(data, "PNG", optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
