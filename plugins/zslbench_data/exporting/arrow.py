"""Writes what is known of each image as a Parquet file, which Arrow, pandas and Hugging Face datasets read.

One row per image: ``row`` (int64), ``image_file`` (string or null), ``label`` (int64, from 0), ``class_name``
(string), ``part`` (``trainval``, ``test_seen``, ``test_unseen`` or null), ``attributes`` (float32 of fixed
length: the semantics of its class). The schema's metadata, key ``zslbench``, is JSON: data set, semantics,
class names, attribute names, validation classes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zslbench.plugin import Dataset
from zslbench_data.exporting.aside import aside

METADATA = b"zslbench"
_PARTS = ("trainval", "test_seen", "test_unseen")
_ROWS = 8192


def write_parquet(path: Path, dataset: Dataset, image_files: Sequence[str] | None) -> None:
    """Write the file, whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    images, attributes = len(dataset.labels), dataset.semantics.shape[1]
    parts = np.full(images, -1)
    for number, part in enumerate(_PARTS):
        parts[getattr(dataset.split, part)] = number
    validation = dataset.split.validation_classes
    about = {
        "dataset": dataset.name,
        "semantics": dataset.semantics_name,
        "class_names": list(dataset.class_names),
        "attribute_names": None if dataset.attribute_names is None else list(dataset.attribute_names),
        "validation_classes": None if validation is None else validation.tolist(),
        "simulated": bool(dataset.extra.get("simulated", False)),
    }
    schema = pa.schema(
        [
            pa.field("row", pa.int64()),
            pa.field("image_file", pa.string()),
            pa.field("label", pa.int64()),
            pa.field("class_name", pa.string()),
            pa.field("part", pa.string()),
            pa.field("attributes", pa.list_(pa.float32(), attributes)),
        ],
        metadata={METADATA: json.dumps(about)},
    )
    with aside(path) as part_path, parquet.ParquetWriter(part_path, schema) as writer:
        for start in range(0, images, _ROWS):
            rows = np.arange(start, min(start + _ROWS, images))
            labels = dataset.labels[rows]
            values = pa.array(dataset.semantics[labels].reshape(-1), type=pa.float32())
            columns = [
                pa.array(rows),
                pa.array(
                    [None if image_files is None else image_files[one] for one in rows.tolist()], pa.string()
                ),
                pa.array(labels),
                pa.array([dataset.class_names[one] for one in labels], pa.string()),
                pa.array([None if one < 0 else _PARTS[one] for one in parts[rows]], pa.string()),
                pa.FixedSizeListArray.from_arrays(values, attributes),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
