"""``zslbench data list``: every data set, what of it is on disk, and what runs on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zslbench.cli import data_root_option, format_option


@click.command("list")
@data_root_option
@format_option
def list_(data_root: Path | None, fmt: str) -> None:
    """List data sets: those of the catalogue, and folders under the data root.

    The column "runs" says which methods find what they read: those on global features need splits and
    features, those on region features also regions and word vectors. "zslbench data info NAME" names them.
    Simulated data sets need no files; "zslbench datasets" lists them.
    """
    from zslbench.data import data_root as place, dataset_folders
    from zslbench.report import emit
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.presence import look

    known = catalogue()
    root = place(data_root)
    folders = dataset_folders(root)
    official = {one.folder.lower() for one in known.datasets.values()}
    rows: list[dict[str, Any]] = []
    for entry in known.datasets.values():
        there = look(root, entry.folder)
        counts = {key: entry.counts[key] for key in ("classes", "images", "attributes")}
        state = {"on disk": list(there.here), "missing": list(there.missing(entry)), "runs": there.runs}
        rows.append({"dataset": entry.name, **counts, **state, "pictures' licence": entry.licence})
    for name, folder in folders.items():
        if name not in official:
            there = look(root, folder.name)
            unknown = dict.fromkeys(("classes", "images", "attributes"))
            state = {"on disk": list(there.here), "missing": list(there.missing()), "runs": there.runs}
            rows.append({"dataset": name, **unknown, **state, "pictures' licence": None})
    emit(rows, fmt, title=f"data sets (data root {root})")
