"""Exports one data set: what is written where, whether there is room, and what is replaced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from zslbench.data import ATTRIBUTE_NAMES, ATTRIBUTE_VECTORS, SPLITS_FILE, StoredRegions, require_space
from zslbench.errors import DataError, MissingData
from zslbench_data.download.display import Display, Silent, human
from zslbench_data.exporting.arrow import write_parquet
from zslbench_data.exporting.gather import Gathered, gather
from zslbench_data.exporting.hdf5 import grid, write_hdf5
from zslbench_data.exporting.staged import staged
from zslbench_data.exporting.xlsa17 import write_images, write_splits

Layout = Literal["xlsa17", "hdf5", "arrow"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

_SPARE = 1 << 20
"""Bytes for what is small."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    text: str
    """For people."""


def export(
    name: str,
    layout: Layout,
    path: Path,
    root: str | Path | None = None,
    *,
    features: str | None = None,
    semantics: str | None = None,
    regions: str | None = None,
    force: bool = False,
    display: Display | None = None,
) -> Exported:
    """Write a data set to ``path``: a folder (``xlsa17``) or a file (``hdf5``, ``arrow``).

    Args:
        features, semantics, regions: which of the data set's, as the options of a run.
        force: replace files that are there.

    Raises:
        MissingData: the data set, or what the layout needs of it, is not there.
        DataError: the data set has faults, files are there already, or the disk has no room.
    """
    if not force:
        _refuse_others(layout, path)
    found = gather(
        name,
        root,
        features=features,
        semantics=semantics,
        regions=regions,
        needs_regions=layout == "hdf5",
        needs_features=layout != "arrow",
    )
    shown = display or Silent()
    if layout == "xlsa17":
        return _xlsa17(found, path, force, shown)
    if layout == "hdf5":
        return _hdf5(found, path, shown)
    require_space(path, len(found.dataset.labels) * found.dataset.semantics.shape[1] * 4 + _SPARE)
    write_parquet(path, found.dataset, found.image_files)
    return Exported((path,), f"{len(found.dataset.labels)} images, {human(path.stat().st_size)}")


def _refuse_others(layout: Layout, path: Path) -> None:
    """Raise DataError where something is at ``path`` already; a folder may be there for xlsa17 files."""
    if path.exists() and (layout != "xlsa17" or not path.is_dir()):
        raise DataError(path, ["is already there"], "Pass --force to replace it")


def _xlsa17(found: Gathered, folder: Path, force: bool, display: Display) -> Exported:
    dataset = found.dataset
    stem = dataset.features_name.replace(" ", "_")
    names, vectors = ATTRIBUTE_NAMES, ATTRIBUTE_VECTORS
    files = [f"{stem}.mat"]
    files += [names] if dataset.attribute_names is not None else []
    files += [vectors] if dataset.attribute_vectors is not None else []
    files.append(SPLITS_FILE)
    old = [one for one in files if (folder / one).exists()]
    if old and not force:
        raise DataError(folder, [f"{', '.join(sorted(old))} there already"], "Pass --force to replace them")
    size = dataset.features.nbytes + 8 * dataset.semantics.size + _SPARE
    require_space(folder / SPLITS_FILE, size)
    display.say(f"writing {human(size)} to {folder}")
    with staged(folder) as aside:
        write_images(
            aside / f"{stem}.mat",
            labels=dataset.labels,
            image_files=found.image_files,
            features=dataset.features,
        )
        if dataset.attribute_names is not None:
            (aside / names).write_text("\n".join(dataset.attribute_names) + "\n", encoding="utf-8")
        if dataset.attribute_vectors is not None:
            np.save(aside / vectors, dataset.attribute_vectors, allow_pickle=False)
        write_splits(
            aside / SPLITS_FILE,
            att=dataset.semantics,
            class_names=dataset.class_names,
            labels=dataset.labels,
            split=dataset.split,
            original_att=found.original_att,
        )
    held = ""
    if dataset.split.validation_classes is not None:
        held = "; train_loc and val_loc are the validation classes' images within trainval_loc"
    text = f"{dataset.semantics_name} as att, {stem} features of {len(dataset.labels)} images{held}"
    return Exported(tuple(folder / one for one in files), text)


def _hdf5(found: Gathered, path: Path, display: Display) -> Exported:
    dataset = found.dataset
    regions = dataset.regions
    if regions is None:
        raise MissingData(f"data set '{dataset.name}'", ["has no region features to export"])
    images, count, channels = regions.shape
    height, width = grid(count, found.grid, path)
    size = images * count * channels * 4
    require_space(path, size + _SPARE)
    about = dict(regions.provenance) if isinstance(regions, StoredRegions) else {}
    about["simulated"] = bool(about.get("simulated") or dataset.extra.get("simulated", False))
    display.begin(f"writing {path.name}", size)
    try:
        write_hdf5(
            path,
            regions,
            labels=dataset.labels,
            split=dataset.split,
            att=dataset.semantics,
            original_att=found.original_att,
            attribute_vectors=dataset.attribute_vectors,
            image_files=found.image_files,
            provenance=about,
            advance=display.advance,
        )
    finally:
        display.end()
    text = f"feature_map {images} x {channels} x {height} x {width} float32, {human(path.stat().st_size)}"
    return Exported((path,), text)
