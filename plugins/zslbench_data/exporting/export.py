"""Exports a data set: reads it as a run does, then writes the chosen layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from zslbench.data import (
    ATTRIBUTE_NAMES,
    ATTRIBUTE_VECTORS,
    SPLITS_FILE,
    Findings,
    attribute_names,
    attribute_vectors,
    data_root,
    find_dataset,
    find_folder,
    label_files,
    original_attributes,
    read_without_features,
    require_space,
)
from zslbench.errors import DataError, MissingData
from zslbench.experiment import DataFiles, Part, load_dataset
from zslbench.plugin import Dataset, registry, settings_model
from zslbench_data.download.get import write_names
from zslbench_data.exporting.layouts import SPARE, OriginalAtt, write_hdf5, write_parquet
from zslbench_data.exporting.xlsa17 import write_images, write_splits
from zslbench_data.progress import SILENT, Display, human
from zslbench_data.staging import staged_folder

Layout = Literal["xlsa17", "hdf5", "arrow"]


@dataclass(frozen=True)
class Exported:
    """The files that were written, and their contents in a few words."""

    files: tuple[Path, ...]
    text: str


def export(
    name: str,
    layout: Layout,
    path: Path,
    root: str | Path | None = None,
    *,
    force: bool = False,
    display: Display = SILENT,
    **selected: str | None,
) -> Exported:
    """Write a data set to ``path``: a folder (``xlsa17``) or a file (``hdf5``, ``arrow``).

    Args:
        force: replace existing files.
        selected: ``features``, ``semantics`` and ``regions`` as the options of a run.

    Raises:
        MissingData: the data set, or what the layout needs of it, is missing.
        DataError: the data set has faults, files exist already, or the disk is too full.
    """
    # xlsa17 files may go into an existing folder.
    if path.exists() and not force and (layout != "xlsa17" or not path.is_dir()):
        raise DataError(path, ["already exists"], "Pass --force to replace it")
    dataset, original_att = read_complete(
        name, root, needs_regions=layout == "hdf5", needs_features=layout != "arrow", **selected
    )
    if layout == "hdf5":
        return Exported((path,), write_hdf5(path, dataset, original_att, display))
    if layout == "arrow":
        return Exported((path,), write_parquet(path, dataset))
    return _write_xlsa17(path, dataset, original_att, force, display)


def _write_xlsa17(
    folder: Path, dataset: Dataset, original_att: OriginalAtt | None, force: bool, display: Display
) -> Exported:
    features = f"{dataset.features_name.replace(' ', '_')}.mat"
    optional = {ATTRIBUTE_NAMES: dataset.attribute_names, ATTRIBUTE_VECTORS: dataset.attribute_vectors}
    files = [features, *(file for file, one in optional.items() if one is not None), SPLITS_FILE]
    existing = [one for one in files if (folder / one).exists()]
    if existing and not force:
        raise DataError(folder, [f"already has {', '.join(sorted(existing))}"], "Pass --force to replace")
    size = dataset.features.nbytes + 8 * dataset.semantics.size + SPARE
    require_space(folder / SPLITS_FILE, size)
    display.message(f"writing {human(size)} to {folder}")
    with staged_folder(folder) as staging:
        write_images(
            staging / features,
            labels=dataset.labels,
            image_files=dataset.image_files,
            features=dataset.features,
        )
        if dataset.attribute_names is not None:
            write_names(staging, dataset.attribute_names)
        if dataset.attribute_vectors is not None:
            np.save(staging / ATTRIBUTE_VECTORS, dataset.attribute_vectors, allow_pickle=False)
        write_splits(
            staging / SPLITS_FILE,
            att=dataset.semantics,
            class_names=dataset.class_names,
            labels=dataset.labels,
            split=dataset.split,
            original_att=original_att,
        )
    validation = ""
    if dataset.split.validation_classes is not None:
        validation = "; within trainval_loc, val_loc are the images of validation classes, train_loc the rest"
    text = f"{dataset.semantics_name} as att, {features} of {len(dataset.labels)} images{validation}"
    return Exported(tuple(folder / one for one in files), text)


def read_complete(
    name: str,
    root: str | Path | None,
    *,
    features: str | None = None,
    semantics: str | None = None,
    regions: str | None = None,
    needs_regions: bool = False,
    needs_features: bool = True,
) -> tuple[Dataset, OriginalAtt | None]:
    """Read a data set by the name that ``zslbench run --dataset`` takes, also what a run does not read.

    Args:
        features, semantics, regions: as the options of a run.
        needs_features: False: if there is no features file, the features are a column of zeros.

    Returns:
        The data set, with image files and names and word vectors of attributes if they exist; and the ratings
        before normalisation, if its semantics are attributes.

    Raises:
        UnknownName: there is no such data set.
        MissingData, DataError: as for a run.
    """
    registered = find_dataset(registry(), name, root=root)
    folder = find_folder(data_root(root), registered.name)
    try:
        dataset = load_dataset(
            Part(registered, settings_model(registered)()),
            DataFiles(features, semantics, regions),
            root=root,
            needs_regions=needs_regions,
        )
    except MissingData:
        if folder is None or needs_features or semantics == "sentence":
            raise
        found = read_without_features(folder, semantics=semantics or "att")
        if found is None:
            raise
        dataset = replace(found, name=registered.name)
    if folder is None:
        return dataset, None
    if dataset.image_files is None:
        dataset = replace(dataset, image_files=_image_files(folder, dataset))
    if dataset.semantics_name == "sentence":
        return dataset, None
    count = dataset.semantics.shape[1]
    vectors, names = dataset.attribute_vectors, dataset.attribute_names
    if vectors is None and (stored := attribute_vectors(folder, count)) is not None:
        vectors = stored[0]
    if names is None and (listed := attribute_names(folder, count, vectors)) is not None:
        names = listed[0]
    dataset = replace(dataset, attribute_vectors=vectors, attribute_names=names)
    return dataset, original_attributes(folder)


def _image_files(folder: Path, dataset: Dataset) -> tuple[str, ...] | None:
    """Image names from a file with the same labels."""
    for images in label_files(folder, Findings()):
        if images.image_files is not None and np.array_equal(images.labels, dataset.labels):
            return images.image_files
    return None
