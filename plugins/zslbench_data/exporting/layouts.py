"""Writers of two layouts that other code reads.

:func:`write_hdf5`: region features as DAZLE and SC-EGG read them (see :mod:`zslbench.data.regions.hdf5`).
``feature_map`` is one float32 array without compression; it is written a block of images at a time.

:func:`write_parquet`: one row per image, for Arrow, pandas and Hugging Face datasets: ``row`` (int64),
``image_file`` (string or null), ``label`` (int64, from 0), ``class_name`` (string), ``part`` (``trainval``,
``test_seen``, ``test_unseen`` or null), ``attributes`` (float32 of fixed length: the semantics of its class).
The schema's metadata, key ``zslbench``, is JSON: data set, semantics, class and attribute names, validation
classes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from zslbench.data import BLOCK_BYTES, PARTS, StoredRegions, require_space
from zslbench.errors import DataError, MissingData
from zslbench.plugin import Dataset
from zslbench_data.progress import SILENT, Display, human
from zslbench_data.staging import staged_file

OriginalAtt = Float[np.ndarray, "classes attributes"]

METADATA = b"zslbench"
SPARE = 1 << 20
"""Bytes for everything but the features."""
_ROWS = 8192
"""Of a row group."""


def write_hdf5(
    path: Path, dataset: Dataset, original_att: OriginalAtt | None = None, display: Display = SILENT
) -> str:
    """Write region features, labels, splits and class semantics.

    Returns:
        The contents, in a few words.

    Raises:
        MissingData: the data set has no region features.
        DataError: it cannot be written, the disk is too full, or the grid does not fit the number of regions.
    """
    regions = dataset.regions
    if regions is None:
        raise MissingData(f"data set '{dataset.name}'", ["has no region features to export"])
    provenance = regions.provenance if isinstance(regions, StoredRegions) else {}
    images, count, channels = regions.shape
    height, width = grid(count, provenance.get("grid"), path)
    row = count * channels * 4
    require_space(path, images * row + SPARE)
    rows = max(1, BLOCK_BYTES // row)
    task = display.task(f"writing {path.name}", images * row)
    with task, staged_file(path) as part, h5py.File(part, "x") as file:
        features = file.create_dataset("feature_map", (images, channels, height, width), dtype="<f4")
        if provenance.get("backbone"):
            features.attrs["backbone"] = provenance["backbone"]
        if provenance.get("simulated") or dataset.extra.get("simulated"):
            features.attrs["simulated"] = True
        for start in range(0, images, rows):
            stop = min(start + rows, images)
            block = regions[np.arange(start, stop)]
            features[start:stop] = block.swapaxes(1, 2).reshape(stop - start, channels, height, width)
            display.advance((stop - start) * row)
        file["labels"] = dataset.labels
        for name in PARTS:
            file[f"{name}_loc"] = getattr(dataset.split, name)
        file["att"] = dataset.semantics
        if original_att is not None:
            file["original_att"] = original_att
        if dataset.attribute_vectors is not None:
            file["w2v_att"] = dataset.attribute_vectors
        if dataset.image_files is not None:
            file.create_dataset("image_files", data=list(dataset.image_files), dtype=h5py.string_dtype())
    return f"feature_map {images} x {channels} x {height} x {width} float32, {human(path.stat().st_size)}"


def grid(regions: int, given: Sequence[int] | None, where: object) -> tuple[int, int]:
    """Height and width of the map: as given, else a square if possible, else one row.

    Raises:
        DataError: the given grid has another number of cells.
    """
    if given is not None:
        height, width = (int(one) for one in given)
        if height * width != regions:
            raise DataError(where, [f"a grid of {height} x {width} does not have {regions} regions"])
        return height, width
    side = math.isqrt(regions)
    return (side, side) if side * side == regions else (1, regions)


def write_parquet(path: Path, dataset: Dataset) -> str:
    """Write labels, splits and class semantics of every image.

    Returns:
        The contents, in a few words.

    Raises:
        DataError: it cannot be written, or the disk is too full.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    images, attributes = len(dataset.labels), dataset.semantics.shape[1]
    require_space(path, images * attributes * 4 + SPARE)
    parts = np.full(images, None, dtype=object)
    for part in PARTS:
        parts[getattr(dataset.split, part)] = part
    names = np.array(dataset.image_files or [None] * images, dtype=object)
    classes = np.array(dataset.class_names, dtype=object)
    validation = dataset.split.validation_classes
    about = {
        "dataset": dataset.name,
        "semantics": dataset.semantics_name,
        "class_names": list(dataset.class_names),
        "attribute_names": None if dataset.attribute_names is None else list(dataset.attribute_names),
        "validation_classes": None if validation is None else validation.tolist(),
        "simulated": bool(dataset.extra.get("simulated", False)),
    }
    semantics = pa.array(dataset.semantics[dataset.labels].reshape(-1), type=pa.float32())
    columns = {
        "row": pa.array(np.arange(images)),
        "image_file": pa.array(names, pa.string()),
        "label": pa.array(dataset.labels),
        "class_name": pa.array(classes[dataset.labels], pa.string()),
        "part": pa.array(parts, pa.string()),
        "attributes": pa.FixedSizeListArray.from_arrays(semantics, attributes),
    }
    table = pa.table(columns, metadata={METADATA: json.dumps(about)})
    with staged_file(path) as temporary:
        parquet.write_table(table, temporary, row_group_size=_ROWS)
    return f"{images} images, {human(path.stat().st_size)}"
