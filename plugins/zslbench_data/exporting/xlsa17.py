"""Writes ``att_splits.mat`` and features files in the xlsa17 format: indices from 1, columns are classes and
images.

The validation classes are written as ``val_loc``, their images within ``trainval_loc``; ``train_loc`` has the
others. Files have MATLAB's version 5, or 7.3 (HDF5) if a variable has 2 GB or more. Equal contents give equal
bytes. Features are written a block at a time, which SciPy does not do; nor does it write version 7.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import h5py
import numpy as np
import scipy.io
from jaxtyping import Int, Shaped

from zslbench.data import BLOCK_BYTES
from zslbench.plugin import Dataset
from zslbench_data.staging import staged_file

TAKEN = {"att_splits", "sent_splits", "labels", "mean"}
"""Names that features may not have: those of a data set's other files and of the means over regions."""
LARGEST = (1 << 31) - 1
"""Size of the largest variable that version 5 can hold, in bytes."""

Variable: TypeAlias = "np.ndarray | Sequence[str]"

# MathWorks, "MAT-File Format": data types, and the class of single-precision matrices.
_INT8, _INT32, _UINT32, _SINGLE, _MATRIX, _SINGLE_CLASS = 1, 5, 6, 7, 14, 7
_TEXT_BYTES = 116
_CLASSES = {"float64": "double", "float32": "single"}


def write_splits(
    path: Path,
    dataset: Dataset,
    *,
    att: Shaped[np.ndarray, "classes attributes"] | None = None,
    original_att: Shaped[np.ndarray, "classes attributes"] | None = None,
    image_files: bool = False,
) -> None:
    """Write the splits file.

    Args:
        att: None: the data set's semantics.
        image_files: write the labels and image files too, for a data set without a features file.

    Raises:
        DataError: it cannot be written.
    """
    labels, split = dataset.labels, dataset.split
    contents: dict[str, Variable] = {"att": _double(dataset.semantics if att is None else att)}
    if original_att is not None:
        contents["original_att"] = _double(original_att)
    contents["allclasses_names"] = dataset.class_names
    for part, rows in split.parts.items():
        contents[f"{part}_loc"] = _from_one(rows)
    if split.validation_classes is not None:
        is_validation = np.isin(labels[split.trainval], split.validation_classes)
        contents["train_loc"] = _from_one(split.trainval[~is_validation])
        contents["val_loc"] = _from_one(split.trainval[is_validation])
    if image_files and dataset.image_files is not None:
        contents["labels"], contents["image_files"] = _from_one(labels), dataset.image_files
    write_mat(path, contents)


def write_images(
    path: Path,
    *,
    labels: Int[np.ndarray, " images"],
    image_files: Sequence[str] | None,
    features: Shaped[np.ndarray, "images d"],
) -> None:
    """Write a features file.

    Args:
        features: real numbers, perhaps memory-mapped; written as float32, a block at a time.

    Raises:
        DataError: it cannot be written.
    """
    contents: dict[str, Variable] = {"labels": _from_one(labels)}
    if image_files is not None:
        contents["image_files"] = image_files
    write_mat(path, contents, features)


def _double(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.T, dtype=np.float64)


def _from_one(indices: np.ndarray) -> np.ndarray:
    return (indices.reshape(-1, 1) + 1).astype(np.int32)


def write_mat(
    path: Path, variables: Mapping[str, Variable], features: Shaped[np.ndarray, "images d"] | None = None
) -> None:
    """Write a file.

    Args:
        variables: arrays in MATLAB's axis order, and lists of text, which become cell arrays (n x 1).
        features: written as ``features``, transposed and as float32; may be memory-mapped.

    Raises:
        DataError: it cannot be written.
    """
    sizes = [value.nbytes for value in variables.values() if isinstance(value, np.ndarray)]
    sizes.append(0 if features is None else 4 * features.size)
    with staged_file(path) as part:
        if max(sizes) + 1024 <= LARGEST:
            _write5(part, variables, features)
        else:
            _write73(part, variables, features)


def _write5(path: Path, variables: Mapping[str, Variable], features: np.ndarray | None) -> None:
    contents: dict[str, np.ndarray] = {}
    for name, value in variables.items():
        if isinstance(value, np.ndarray):
            contents[name] = value
        else:
            contents[name] = np.empty((len(value), 1), dtype=object)
            contents[name][:, 0] = list(value)
    with path.open("xb") as file:
        scipy.io.savemat(cast(Any, file), contents)
        if features is not None:
            _append_features5(file, features)
        file.seek(0)  # SciPy writes the time there
        file.write(b"MATLAB 5.0 MAT-file, written by zslbench".ljust(_TEXT_BYTES))


def _append_features5(file: IO[bytes], features: np.ndarray) -> None:
    """Append the variable: a file of version 5 is a sequence of them."""
    count, columns = features.shape
    size = 4 * count * columns
    head = struct.pack("<4I", _UINT32, 8, _SINGLE_CLASS, 0)
    head += struct.pack("<2I2i", _INT32, 8, columns, count)
    head += struct.pack("<2I", _INT8, 8) + b"features"
    head += struct.pack("<2I", _SINGLE, size)
    padding = -size % 8
    file.write(struct.pack("<2I", _MATRIX, len(head) + size + padding) + head)
    for block in blocks(features):
        file.write(np.ascontiguousarray(block, dtype="<f4").reshape(-1).view(np.uint8).data)
    file.write(bytes(padding))


def _write73(path: Path, variables: Mapping[str, Variable], features: np.ndarray | None) -> None:
    with h5py.File(path, "x", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, np.ndarray):
                item = file.create_dataset(name, data=np.ascontiguousarray(value.T))
                _mark(item, _CLASSES.get(value.dtype.name, value.dtype.name))
            else:
                _write_cells73(file, name, value)
        if features is not None:
            item = file.create_dataset("features", shape=features.shape, dtype="<f4")
            _mark(item, "single")
            done = 0
            for block in blocks(features):
                item[done : done + len(block)] = block
                done += len(block)
    with path.open("r+b") as raw:
        text = b"MATLAB 7.3 MAT-file, written by zslbench".ljust(_TEXT_BYTES)
        raw.write(text + bytes(8) + b"\x00\x02IM")


def _write_cells73(file: h5py.File, name: str, texts: Sequence[str]) -> None:
    references = np.empty((1, len(texts)), dtype=h5py.ref_dtype)
    for number, text in enumerate(texts):
        units = np.frombuffer(text.encode("utf-16-le"), dtype="<u2").reshape(-1, 1)
        data = units if text else np.zeros(2, dtype=np.uint64)
        cell = file.create_dataset(f"#refs#/{name}_{number}", data=data)
        _mark(cell, "char")
        if not text:
            cell.attrs["MATLAB_empty"] = np.uint8(1)
        references[0, number] = cell.ref
    _mark(file.create_dataset(name, data=references), "cell")


def _mark(item: Any, kind: str) -> None:
    item.attrs["MATLAB_class"] = np.bytes_(kind)


def blocks(array: Shaped[np.ndarray, "images ..."], dtype: Any = np.float32) -> Iterator[np.ndarray]:
    """The array in this type, a bounded number of rows at a time."""
    row = array.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    size = max(1, BLOCK_BYTES // max(1, row))
    for start in range(0, len(array), size):
        with np.errstate(over="ignore"):
            yield np.asarray(array[start : start + size], dtype=dtype)
