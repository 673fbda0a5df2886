"""Where embeddings look, image by image."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from zslbench.errors import ZslbenchError
from zslbench.store.record import RunRecord
from zslbench_report.html.sections.tsne import kept_run
from zslbench_report.html.subject import Shown, Subject

ID = "attention"
TITLE = "Where the embedding looks"

IMAGES = 4
"""Images of a run."""
ATTRIBUTES = 6
"""Attributes of an image, those with the highest scores."""
MOST = 3
"""Runs that are drawn."""
SIDE = 200
"""Longest side of an embedded picture, pixels."""


def build(subject: Subject) -> Mapping[str, Any] | None:
    """Tiles for each method that looks at places; none where no run read regions."""
    made: list[dict[str, Any]] = []
    reasons: list[str] = []
    for dataset in subject.outcome.datasets:
        for one in subject.shown(dataset):
            record = kept_run(one, ("all", "embedding"))
            if record is None or not _reads_regions(record):
                continue
            if subject.without_charts:
                return {"made": [], "reasons": []}
            if len(made) >= MOST:
                reasons.append(f"{one.label} on {one.dataset} is left out: {MOST} runs are drawn at most.")
                continue
            try:
                made.append(_tiles(subject, one, record))
            except ZslbenchError as error:
                reasons.append(f"{one.label} on {one.dataset}: {error}")
    return (
        {"made": made, "reasons": reasons, "pictures": subject.options.images is not None}
        if made or reasons
        else None
    )


def _reads_regions(record: RunRecord) -> bool:
    """A run that kept its embedding alone did so because it looks; of others the networks tell."""
    if record.environment.get("weights") == "embedding":
        return True
    arrays = [one["array"] for one in record.data.get("arrays", ())]
    return "regions" in arrays and record.info.identity.get("components", {}).get("embedding") not in (
        None,
        "identity",
    )


def _tiles(subject: Subject, one: Shown, record: RunRecord) -> dict[str, Any]:
    import torch

    from zslbench_report.plots.attention import attention_of, figures_text, pictures_of
    from zslbench_report.plots.fitted import open_run
    from zslbench_report.plots.grids import as_map, grid_of
    from zslbench_report.plots.images import choose_rows, outcomes
    from zslbench_report.plots.names import names_for, wrapped

    said: list[str] = []
    run = open_run(record, subject.options.data_root, say=said.append, whole=False)
    rows = choose_rows(record, run.dataset, (), IMAGES)
    with torch.no_grad():
        found = attention_of(run, rows)
    pictures = pictures_of(run, rows, subject.options.images, said.append)
    names = names_for(run.dataset, None)
    grid = grid_of(run.dataset.regions, found.maps.shape[2])
    maps, scores, overall = (part.numpy() for part in found)
    became = outcomes(record, run.dataset)
    unseen = set(run.fold.space.unseen.tolist())
    images = []
    for place, row in enumerate(rows.tolist()):
        picture = pictures.get(row)
        best = np.argsort(-scores[place], kind="stable")[:ATTRIBUTES]
        tiles = [
            _first(run.dataset.regions, row, picture, grid),
            ("global map", "", _map(as_map(overall[place], grid), picture)),
        ]
        tiles += [
            (
                wrapped(names[at], 200),
                figures_text(float(scores[place, at])),
                _map(as_map(maps[place, at], grid), picture),
            )
            for at in best.tolist()
        ]
        label = int(run.dataset.labels[row])
        images.append(
            {
                "class": run.dataset.class_names[label],
                "side": "unseen" if label in unseen else "seen",
                "outcome": became.get(row, ""),
                "row": row,
                "tiles": [{"name": name, "score": score, "src": src} for name, score, src in tiles],
            }
        )
    title = f"{one.label} on {subject.dataset_title(one.dataset)}, seed {record.info.seed}"
    return {"title": title, "images": images, "said": said, "run": record.info.id}


def _first(
    regions: Any, row: int, picture: Float[np.ndarray, "_ _ 3"] | None, grid: tuple[int, int]
) -> tuple[str, str, str]:
    from zslbench_report.plots.grids import as_map

    if picture is not None:
        return "image", f"row {row}", _source(picture)
    mean = regions[np.array([row])][0].mean(axis=1)
    grey = np.repeat(as_map(mean, grid)[:, :, None].clip(0, 1), 3, axis=2)
    return "mean activation", f"row {row}", _source(grey)


def _map(cells: Float[np.ndarray, "rows columns"], picture: Float[np.ndarray, "_ _ 3"] | None) -> str:
    """The map over the picture, or the region grid itself, one pixel each."""
    from zslbench_report.plots.attention import HEAT
    from zslbench_report.plots.canvas import colours
    from zslbench_report.plots.grids import enlarged, overlay

    if picture is None:
        return _source(colours(HEAT, cells.clip(0, 1)))
    strength = enlarged(cells, picture.shape[0], picture.shape[1])
    return _source(overlay(picture, colours(HEAT, strength), strength))


def _source(pixels: Float[np.ndarray, "_ _ 3"]) -> str:
    """The pixels as a ``data:`` address: JPEG for pictures, PNG for grids."""
    from PIL import Image  # comes with matplotlib

    image = Image.fromarray((255 * pixels.clip(0, 1)).round().astype(np.uint8), "RGB")
    large = max(image.size) > 64
    data = io.BytesIO()
    if large:
        image.thumbnail((SIDE, SIDE))
        image.save(data, "JPEG", quality=82)
    else:
        image.save(data, "PNG", optimize=True)
    kind = "jpeg" if large else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
