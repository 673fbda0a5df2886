"""Exports a data set: reads it as a run does, then writes the chosen layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from zslbench.data import (
    ATTRIBUTE_NAMES,
    ATTRIBUTE_VECTORS,
    SPLITS_FILE,
    StoredRegions,
    attribute_names,
    attribute_vectors,
    data_root,
    find_dataset,
    find_folder,
    mat_variables,
    original_attributes,
    read_mat,
    read_without_features,
    require_space,
)
from zslbench.errors import DataError, MissingData
from zslbench.experiment import Part, load_dataset
from zslbench.plugin import Dataset, registry, settings_model
from zslbench_data.exporting.layouts import grid, write_hdf5, write_parquet
from zslbench_data.exporting.xlsa17 import write_images, write_splits
from zslbench_data.progress import SILENT, Display, human
from zslbench_data.staging import staged_folder

Layout = Literal["xlsa17", "hdf5", "arrow"]

_SPARE = 1 << 20
"""Bytes for everything but the features."""


@dataclass(frozen=True)
class Exported:
    """The files that were written, and their contents in a few words."""

    files: tuple[Path, ...]
    text: str


@dataclass(frozen=True)
class Exportable:
    """A data set, with what a run does not read."""

    dataset: Dataset
    """If there are no global features, ``dataset.features`` is a column of zeros."""
    original_att: Float[np.ndarray, "classes attributes"] | None
    """Only if ``dataset.semantics`` are attributes."""
    image_files: tuple[str, ...] | None


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
    display: Display = SILENT,
) -> Exported:
    """Write a data set to ``path``: a folder (``xlsa17``) or a file (``hdf5``, ``arrow``).

    Args:
        features, semantics, regions: as the options of a run.
        force: replace existing files.

    Raises:
        MissingData: the data set, or what the layout needs of it, is missing.
        DataError: the data set has faults, files exist already, or the disk is too full.
    """
    # xlsa17 files may go into an existing folder.
    if path.exists() and not force and (layout != "xlsa17" or not path.is_dir()):
        raise DataError(path, ["already exists"], "Pass --force to replace it")
    found = read_exportable(
        name,
        root,
        features=features,
        semantics=semantics,
        regions=regions,
        needs_regions=layout == "hdf5",
        needs_features=layout != "arrow",
    )
    if layout == "xlsa17":
        return _xlsa17(found, path, force, display)
    if layout == "hdf5":
        return _hdf5(found, path, display)
    require_space(path, len(found.dataset.labels) * found.dataset.semantics.shape[1] * 4 + _SPARE)
    write_parquet(path, found.dataset, found.image_files)
    return Exported((path,), f"{len(found.dataset.labels)} images, {human(path.stat().st_size)}")


def _xlsa17(found: Exportable, folder: Path, force: bool, display: Display) -> Exported:
    dataset = found.dataset
    features = f"{dataset.features_name.replace(' ', '_')}.mat"
    files = [features]
    files += [ATTRIBUTE_NAMES] if dataset.attribute_names is not None else []
    files += [ATTRIBUTE_VECTORS] if dataset.attribute_vectors is not None else []
    files.append(SPLITS_FILE)
    existing = [one for one in files if (folder / one).exists()]
    if existing and not force:
        raise DataError(folder, [f"already has {', '.join(sorted(existing))}"], "Pass --force to replace")
    size = dataset.features.nbytes + 8 * dataset.semantics.size + _SPARE
    require_space(folder / SPLITS_FILE, size)
    display.message(f"writing {human(size)} to {folder}")
    with staged_folder(folder) as staging:
        write_images(
            staging / features,
            labels=dataset.labels,
            image_files=found.image_files,
            features=dataset.features,
        )
        if dataset.attribute_names is not None:
            (staging / ATTRIBUTE_NAMES).write_text(
                "\n".join(dataset.attribute_names) + "\n", encoding="utf-8"
            )
        if dataset.attribute_vectors is not None:
            np.save(staging / ATTRIBUTE_VECTORS, dataset.attribute_vectors, allow_pickle=False)
        write_splits(
            staging / SPLITS_FILE,
            att=dataset.semantics,
            class_names=dataset.class_names,
            labels=dataset.labels,
            split=dataset.split,
            original_att=found.original_att,
        )
    validation = ""
    if dataset.split.validation_classes is not None:
        validation = "; within trainval_loc, val_loc are the images of validation classes, train_loc the rest"
    text = f"{dataset.semantics_name} as att, {features} of {len(dataset.labels)} images{validation}"
    return Exported(tuple(folder / one for one in files), text)


def _hdf5(found: Exportable, path: Path, display: Display) -> Exported:
    dataset = found.dataset
    regions = dataset.regions
    if regions is None:
        raise MissingData(f"data set '{dataset.name}'", ["has no region features to export"])
    provenance = dict(regions.provenance) if isinstance(regions, StoredRegions) else {}
    provenance["simulated"] = bool(provenance.get("simulated") or dataset.extra.get("simulated", False))
    images, count, channels = regions.shape
    height, width = grid(count, provenance.get("grid"), path)
    size = images * count * channels * 4
    require_space(path, size + _SPARE)
    with display.task(f"writing {path.name}", size):
        write_hdf5(
            path,
            dataset,
            regions,
            original_att=found.original_att,
            image_files=found.image_files,
            provenance=provenance,
            advance=display.advance,
        )
    text = f"feature_map {images} x {channels} x {height} x {width} float32, {human(path.stat().st_size)}"
    return Exported((path,), text)


def read_exportable(
    name: str,
    root: str | Path | None,
    *,
    features: str | None = None,
    semantics: str | None = None,
    regions: str | None = None,
    needs_regions: bool = False,
    needs_features: bool = True,
) -> Exportable:
    """Read a data set by the name that ``zslbench run --dataset`` takes.

    Args:
        features, semantics, regions: as the options of a run.
        needs_features: False: without a features file, labels and splits suffice.

    Raises:
        UnknownName: there is no such data set.
        MissingData, DataError: as for a run.
    """
    registered = find_dataset(registry(), name, root=root)
    folder = find_folder(data_root(root), registered.name)
    try:
        dataset = load_dataset(
            Part(registered, settings_model(registered)()),
            root=root,
            features=features,
            semantics=semantics,
            regions=regions,
            needs_regions=needs_regions,
        )
    except MissingData:
        if folder is None or needs_features or semantics == "sentence":
            raise
        found = read_without_features(folder, semantics=semantics or "att")
        if found is None:
            raise
        dataset = replace(found, name=registered.name)
    files = dataset.image_files
    if files is None and folder is not None:
        files = _image_files(folder, dataset)
    if folder is None or dataset.semantics_name == "sentence":
        return Exportable(dataset, None, files)
    original = original_attributes(folder)
    return Exportable(_with_words(dataset, folder), original, files)


def _image_files(folder: Path, dataset: Dataset) -> tuple[str, ...] | None:
    """Image names from the features file or ``labels.mat``."""
    for stem in (dataset.features_name, "labels"):
        path = folder / f"{stem}.mat"
        if path.is_file() and "image_files" in mat_variables(path):
            found = read_mat(path, {"image_files"})["image_files"]
            if isinstance(found, list) and len(found) == len(dataset.labels):
                return tuple(found)
    return None


def _with_words(dataset: Dataset, folder: Path) -> Dataset:
    """With names and word vectors of the attributes from files."""
    count = dataset.semantics.shape[1]
    vectors, names = dataset.attribute_vectors, dataset.attribute_names
    if vectors is None and (read := attribute_vectors(folder, count)) is not None:
        vectors = read[0]
    if names is None and (named := attribute_names(folder, count, vectors)) is not None:
        names = named[0]
    return replace(dataset, attribute_vectors=vectors, attribute_names=names)
