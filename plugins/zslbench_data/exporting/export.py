"""Exports one data set: reads it as a run does, then writes the chosen layout."""

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
    Described,
    StoredRegions,
    attribute_names,
    attribute_vectors,
    data_root,
    find_dataset,
    find_folder,
    mat_variables,
    read_described,
    read_mat,
    require_space,
)
from zslbench.errors import DataError, MissingData
from zslbench.experiment import Part, load_dataset
from zslbench.plugin import Dataset, registry, settings_model
from zslbench_data.exporting.layouts import grid, write_hdf5, write_parquet
from zslbench_data.exporting.xlsa17 import write_images, write_splits
from zslbench_data.progress import Display, Silent, human
from zslbench_data.staging import staged_folder

Layout = Literal["xlsa17", "hdf5", "arrow"]

_SPARE = 1 << 20
"""Bytes for everything but the features."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    text: str
    """For people."""


@dataclass(frozen=True)
class Exportable:
    """A data set, and what a run does not read of it."""

    dataset: Dataset
    """Without global features, ``dataset.features`` is a column of zeros."""
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
    display: Display | None = None,
) -> Exported:
    """Write a data set to ``path``: a folder (``xlsa17``) or a file (``hdf5``, ``arrow``).

    Args:
        features, semantics, regions: as the options of a run.
        force: replace existing files.

    Raises:
        MissingData: the data set, or what the layout needs of it, is missing.
        DataError: the data set has faults, files exist already, or the disk is too full.
    """
    # A folder may exist for xlsa17 files.
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
    display = display or Silent()
    if layout == "xlsa17":
        return _xlsa17(found, path, force, display)
    if layout == "hdf5":
        return _hdf5(found, path, display)
    require_space(path, len(found.dataset.labels) * found.dataset.semantics.shape[1] * 4 + _SPARE)
    write_parquet(path, found.dataset, found.image_files)
    return Exported((path,), f"{len(found.dataset.labels)} images, {human(path.stat().st_size)}")


def _xlsa17(found: Exportable, folder: Path, force: bool, display: Display) -> Exported:
    dataset = found.dataset
    stem = dataset.features_name.replace(" ", "_")
    names, vectors = ATTRIBUTE_NAMES, ATTRIBUTE_VECTORS
    files = [f"{stem}.mat"]
    files += [names] if dataset.attribute_names is not None else []
    files += [vectors] if dataset.attribute_vectors is not None else []
    files.append(SPLITS_FILE)
    existing = [one for one in files if (folder / one).exists()]
    if existing and not force:
        raise DataError(folder, [f"already has {', '.join(sorted(existing))}"], "Pass --force to replace")
    size = dataset.features.nbytes + 8 * dataset.semantics.size + _SPARE
    require_space(folder / SPLITS_FILE, size)
    display.message(f"writing {human(size)} to {folder}")
    with staged_folder(folder) as staging:
        write_images(
            staging / f"{stem}.mat",
            labels=dataset.labels,
            image_files=found.image_files,
            features=dataset.features,
        )
        if dataset.attribute_names is not None:
            (staging / names).write_text("\n".join(dataset.attribute_names) + "\n", encoding="utf-8")
        if dataset.attribute_vectors is not None:
            np.save(staging / vectors, dataset.attribute_vectors, allow_pickle=False)
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
    text = f"{dataset.semantics_name} as att, {stem} features of {len(dataset.labels)} images{validation}"
    return Exported(tuple(folder / one for one in files), text)


def _hdf5(found: Exportable, path: Path, display: Display) -> Exported:
    dataset = found.dataset
    regions = dataset.regions
    if regions is None:
        raise MissingData(f"data set '{dataset.name}'", ["has no region features to export"])
    provenance = dict(regions.provenance) if isinstance(regions, StoredRegions) else {}
    simulated = provenance.get("simulated") or dataset.extra.get("simulated", False)
    images, count, channels = regions.shape
    height, width = grid(count, provenance.get("grid"), path)
    size = images * count * channels * 4
    require_space(path, size + _SPARE)
    display.begin(f"writing {path.name}", size)
    try:
        write_hdf5(
            path,
            dataset,
            regions,
            original_att=found.original_att,
            image_files=found.image_files,
            provenance={**provenance, "simulated": bool(simulated)},
            advance=display.advance,
        )
    finally:
        display.end()
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
        described = read_described(folder)
        if described is None:
            raise
        dataset = _without_features(registered.name, described, semantics or "att")
    files = dataset.image_files
    if files is None and folder is not None:
        files = _image_files(folder, dataset)
    if folder is None or dataset.semantics_name == "sentence":
        return Exportable(dataset, None, files)
    att = read_mat(folder / SPLITS_FILE, {"original_att"}).get("original_att")
    original = np.ascontiguousarray(att.T, dtype=np.float32) if isinstance(att, np.ndarray) else None
    return Exportable(_with_words(dataset, folder), original, files)


def _without_features(name: str, described: Described, semantics: str) -> Dataset:
    att = described.original_att if semantics == "original_att" else described.att
    if att is None:
        raise MissingData(f"data set '{name}'", [f"{SPLITS_FILE} has no variable '{semantics}'"])
    return Dataset(
        name=name,
        features=np.zeros((len(described.labels), 1), dtype=np.float32),
        labels=described.labels,
        class_names=described.class_names,
        semantics=att,
        split=described.split,
        features_name="none",
        semantics_name=semantics,
    )


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
