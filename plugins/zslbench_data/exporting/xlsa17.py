"""Writes ``att_splits.mat`` and features files in the xlsa17 format: indices from 1, columns are classes and
images.

The validation classes are written as ``val_loc``, their images within ``trainval_loc``; ``train_loc`` has the
others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped

from zslbench.plugin import OfficialSplit
from zslbench_data.exporting.mat import Rows, Small, write_mat

_BLOCK_BYTES = 1 << 26


def write_splits(
    path: Path,
    *,
    att: Shaped[np.ndarray, "classes attributes"],
    class_names: Sequence[str],
    labels: Int[np.ndarray, " images"],
    split: OfficialSplit,
    original_att: Shaped[np.ndarray, "classes attributes"] | None = None,
    image_files: Sequence[str] | None = None,
) -> None:
    """Write the splits file.

    Args:
        labels: class ids from 0; they tell which images belong to validation classes.
        image_files: written with the labels, for data sets without a features file.

    Raises:
        DataError: it cannot be written.
    """
    contents: dict[str, Small] = {"att": _double(att)}
    if original_att is not None:
        contents["original_att"] = _double(original_att)
    contents["allclasses_names"] = list(class_names)
    for part in ("trainval", "test_seen", "test_unseen"):
        contents[f"{part}_loc"] = _from_one(getattr(split, part))
    if split.validation_classes is not None:
        is_validation = np.isin(labels[split.trainval], split.validation_classes)
        contents["train_loc"] = _from_one(split.trainval[~is_validation])
        contents["val_loc"] = _from_one(split.trainval[is_validation])
    if image_files is not None:
        contents["labels"], contents["image_files"] = _from_one(labels), list(image_files)
    write_mat(path, contents)


def write_images(
    path: Path,
    *,
    labels: Int[np.ndarray, " images"],
    image_files: Sequence[str] | None = None,
    features: Shaped[np.ndarray, "images d"] | None = None,
) -> None:
    """Write a features file, or without ``features`` the same file without them (``labels.mat``).

    Args:
        features: real numbers, perhaps memory-mapped; written as float32, a block at a time.

    Raises:
        DataError: it cannot be written.
    """
    contents: dict[str, Small] = {"labels": _from_one(labels)}
    if image_files is not None:
        contents["image_files"] = list(image_files)
    rows = (
        {}
        if features is None
        else {"features": Rows((features.shape[0], features.shape[1]), lambda: blocks(features))}
    )
    write_mat(path, contents, rows)


def blocks(array: Shaped[np.ndarray, "images ..."]) -> Iterator[np.ndarray]:
    """The array as float32, a limited number of rows at a time."""
    row = max(1, int(np.prod(array.shape[1:], dtype=np.int64))) * 8
    size = max(1, _BLOCK_BYTES // row)
    for start in range(0, len(array), size):
        with np.errstate(over="ignore"):
            yield np.asarray(array[start : start + size], dtype=np.float32)


def _double(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.T, dtype=np.float64)


def _from_one(indices: np.ndarray) -> np.ndarray:
    return (indices.reshape(-1, 1) + 1).astype(np.int32)
