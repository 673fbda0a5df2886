"""Exports a data set: reads it as a run does, then writes the chosen layout.

* ``xlsa17``: a folder of ``.mat`` files (:mod:`zslbench_data.exporting.xlsa17`).
* ``hdf5``: region features as DAZLE and SC-EGG read them (:mod:`zslbench.data.regions.hdf5`).
  ``feature_map`` is one float32 array without compression; it is written a block of images at a time.
* ``arrow``: a Parquet file with one row per image, for Arrow, pandas and Hugging Face datasets: ``row``
  (int64), ``image_file`` (string or null), ``label`` (int64, from 0), ``class_name`` (string), ``part``
  (``trainval``, ``test_seen``, ``test_unseen`` or null), ``attributes`` (float32 of fixed length: the
  semantics of its class). The schema's metadata, key ``zslbench``, is JSON: data set, semantics, class and
  attribute names, validation classes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from jaxtyping import Float

from zslbench.data import (
    ATTRIBUTE_NAMES,
    ATTRIBUTE_VECTORS,
    BLOCK_BYTES,
    LAYOUTS,
    PARTS,
    SPLITS_FILE,
    Findings,
    RegionStore,
    attribute_names,
    attribute_vectors,
    data_root,
    find_dataset,
    find_folder,
    label_files,
    original_attributes,
    read_without_features,
    require_space,
    semantics_file,
    shadowed_note,
    with_semantics,
)
from zslbench.errors import DataError, MissingData
from zslbench.experiment import DataFiles, Part, load_dataset
from zslbench.plugin import Dataset, registry, settings_model
from zslbench.store import path_name
from zslbench_data.download.get import write_names
from zslbench_data.exporting.xlsa17 import write_images, write_splits
from zslbench_data.progress import SILENT, Display, human
from zslbench_data.staging import SPARE, staged_file, staged_folder

Layout = Literal["xlsa17", "hdf5", "arrow"]
OriginalAtt = Float[np.ndarray, "classes attributes"]

METADATA = b"zslbench"
_ROWS = 8192
"""Rows per row group."""


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
        DataError: the data set has faults, files exist already, they cannot be written, the disk is too full,
            or the regions do not fit their grid.
    """
    # xlsa17 files may go into an existing folder.
    if path.exists() and not force and (layout != "xlsa17" or not path.is_dir()):
        raise DataError(path, ["already exists"], "Pass --force to replace it")
    dataset, original_att = read_complete(
        name, root, needs_regions=layout == "hdf5", needs_features=layout != "arrow", **selected
    )
    if layout == "hdf5":
        return Exported((path,), _write_hdf5(path, dataset, original_att, display))
    if layout == "arrow":
        return Exported((path,), _write_parquet(path, dataset))
    return _write_xlsa17(path, dataset, original_att, force, display)


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
    shadowed, known = shadowed_note(registered, root), registered.declaration.folder or registered.name
    folder = None if shadowed else find_folder(data_root(root), known)
    part, files = Part(registered, settings_model(registered)()), DataFiles(features, semantics, regions)
    try:
        dataset = load_dataset(part, files, root=root, needs_regions=needs_regions)
    except MissingData:
        if folder is None or needs_features or semantics == "sentence":
            raise
        vectors_file = semantics_file(semantics, folder)
        found = read_without_features(folder, semantics="att" if vectors_file else semantics or "att")
        if found is None:
            raise
        dataset = replace(found, name=registered.name)
        dataset = with_semantics(dataset, vectors_file) if vectors_file else dataset
    if folder is None:
        return dataset, None
    if dataset.image_files is None:  # those of a file with the same labels
        labelled = (listed for listed in label_files(folder, Findings()) if listed.image_files is not None)
        same = (listed.image_files for listed in labelled if np.array_equal(listed.labels, dataset.labels))
        dataset = replace(dataset, image_files=next(same, None))
    if dataset.semantics_name not in ("att", "original_att"):
        return dataset, None
    count, vectors, names = dataset.semantics.shape[1], dataset.attribute_vectors, dataset.attribute_names
    if vectors is None and (stored := attribute_vectors(folder, count)) is not None:
        vectors = stored[0]
    if names is None and (listed := attribute_names(folder, count, vectors)) is not None:
        names = listed[0]
    dataset = replace(dataset, attribute_vectors=vectors, attribute_names=names)
    return dataset, original_attributes(folder)


def _write_xlsa17(
    folder: Path, dataset: Dataset, original_att: OriginalAtt | None, force: bool, display: Display
) -> Exported:
    features = f"{path_name(dataset.features_name.replace(' ', '_'))}.mat"
    names, vectors = dataset.attribute_names, dataset.attribute_vectors
    optional = {ATTRIBUTE_NAMES: names is not None, ATTRIBUTE_VECTORS: vectors is not None}
    files = [features, *(file for file, exists in optional.items() if exists), SPLITS_FILE]
    existing = sorted(file for file in files if (folder / file).exists())
    if existing and not force:
        raise DataError(folder, [f"already has {', '.join(existing)}"], "Pass --force to replace them")
    size = dataset.features.nbytes + 8 * dataset.semantics.size + SPARE
    require_space(folder / SPLITS_FILE, size)
    display.message(f"writing {human(size)} to {folder}")
    labels, image_files = dataset.labels, dataset.image_files
    with staged_folder(folder) as staging:
        write_images(staging / features, labels=labels, image_files=image_files, features=dataset.features)
        if names is not None:
            write_names(staging, names)
        if vectors is not None:
            np.save(staging / ATTRIBUTE_VECTORS, vectors, allow_pickle=False)
        write_splits(staging / SPLITS_FILE, dataset, original_att=original_att)
    validation = ""
    if dataset.split.validation_classes is not None:
        validation = "; within trainval_loc, val_loc are the images of validation classes, train_loc the rest"
    semantics = "att" if dataset.semantics_name == "att" else f"{dataset.semantics_name} as att"
    text = f"{semantics}, {features} of {len(labels)} images{validation}"
    return Exported(tuple(folder / file for file in files), text)


def _write_hdf5(path: Path, dataset: Dataset, original_att: OriginalAtt | None, display: Display) -> str:
    """Write region features, labels, splits and class semantics; returns the contents, in a few words."""
    regions = dataset.regions
    if regions is None:
        raise MissingData(f"data set '{dataset.name}'", ["has no region features to export"])
    provenance = regions.provenance if isinstance(regions, RegionStore) else {}
    images, count, channels = regions.shape
    height, width = grid(count, provenance.get("grid"), path)
    row = count * channels * 4
    require_space(path, images * row + SPARE)
    rows = max(1, BLOCK_BYTES // row)
    small: dict[str, Any] = {"labels": dataset.labels}
    small |= {f"{part}_loc": indices for part, indices in dataset.split.parts.items()}
    small |= {"att": dataset.semantics, "original_att": original_att, "w2v_att": dataset.attribute_vectors}
    task = display.task(f"writing {path.name}", images * row)
    with task, staged_file(path) as part, h5py.File(part, "x") as file:
        features = file.create_dataset("feature_map", (images, channels, height, width), dtype="<f4")
        features.attrs["layout"] = LAYOUTS[0]
        if provenance.get("backbone"):
            features.attrs["backbone"] = provenance["backbone"]
        if provenance.get("simulated") or dataset.extra.get("simulated"):
            features.attrs["simulated"] = True
        for start in range(0, images, rows):
            stop = min(start + rows, images)
            block = regions[np.arange(start, stop)]
            features[start:stop] = block.swapaxes(1, 2).reshape(stop - start, channels, height, width)
            display.advance((stop - start) * row)
        for name, array in small.items():
            if array is not None:
                file[name] = array
        if dataset.image_files is not None:
            file.create_dataset("image_files", data=list(dataset.image_files), dtype=h5py.string_dtype())
    return f"feature_map {images} x {channels} x {height} x {width} float32, {human(path.stat().st_size)}"


def grid(regions: int, given: Sequence[int] | None, where: object) -> tuple[int, int]:
    """Height and width of the map: as given, else a square if possible, else one row.

    Raises:
        DataError: the given grid has another number of cells.
    """
    if given is not None:
        height, width = map(int, given)
        if height * width != regions:
            raise DataError(where, [f"a grid of {height} x {width} does not have {regions} regions"])
        return height, width
    side = math.isqrt(regions)
    return (side, side) if side * side == regions else (1, regions)


def _write_parquet(path: Path, dataset: Dataset) -> str:
    """Write labels, splits and class semantics of every image; returns the contents, in a few words."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    images, attributes = len(dataset.labels), dataset.semantics.shape[1]
    require_space(path, images * attributes * 4 + SPARE)
    parts = np.full(images, None, dtype=object)
    for part in PARTS:
        parts[getattr(dataset.split, part)] = part
    validation = dataset.split.validation_classes
    about = {
        "dataset": dataset.name,
        "semantics": dataset.semantics_name,
        "class_names": dataset.class_names,
        "attribute_names": dataset.attribute_names,
        "validation_classes": None if validation is None else validation.tolist(),
        "simulated": bool(dataset.extra.get("simulated", False)),
    }
    semantics = pa.array(dataset.semantics[dataset.labels].reshape(-1), type=pa.float32())
    columns = {
        "row": pa.array(np.arange(images)),
        "image_file": pa.array(dataset.image_files or [None] * images, pa.string()),
        "label": pa.array(dataset.labels),
        "class_name": pa.array([dataset.class_names[label] for label in dataset.labels], pa.string()),
        "part": pa.array(parts, pa.string()),
        "attributes": pa.FixedSizeListArray.from_arrays(semantics, attributes),
    }
    table = pa.table(columns, metadata={METADATA: json.dumps(about)})
    with staged_file(path) as temporary:
        parquet.write_table(table, temporary, row_group_size=_ROWS)
    return f"{images} images, {human(path.stat().st_size)}"
