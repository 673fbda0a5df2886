"""Checks every data set, whichever plugin read it, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zslbench.errors import DataError
from zslbench.plugin.dataset import Dataset

_EXAMPLES = 5
_CHUNK = 4096  # rows of features looked at together; keeps the memory for the check small


def check(dataset: Dataset, where: object) -> None:
    """Refuse a data set that has faults.

    Args:
        where: what the message names first, as the folder the data set was read from.

    Raises:
        DataError: lists every fault with its count.
    """
    found = faults(dataset)
    if found:
        raise DataError(where, found)


def faults(dataset: Dataset) -> list[str]:
    """Everything that makes a data set unusable, one sentence each, with counts; empty: nothing.

    Wrong types and shapes are reported alone, since nothing else can be examined with them.
    """
    return list(_types(dataset)) or [*_shapes(dataset), *_values(dataset), *_split(dataset)]


def _types(dataset: Dataset) -> Iterator[str]:
    split = dataset.split
    expected = [
        ("features", dataset.features, 2, "float32"),
        ("semantics", dataset.semantics, 2, "float32"),
        ("labels", dataset.labels, 1, "int64"),
        ("trainval", split.trainval, 1, "int64"),
        ("test_seen", split.test_seen, 1, "int64"),
        ("test_unseen", split.test_unseen, 1, "int64"),
    ]
    if split.validation_classes is not None:
        expected.append(("validation classes", split.validation_classes, 1, "int64"))
    if dataset.attribute_vectors is not None:
        expected.append(("attribute vectors", dataset.attribute_vectors, 2, "float32"))
    for name, array, ndim, dtype in expected:
        if not isinstance(array, np.ndarray):
            yield f"{name}: {type(array).__name__} instead of a NumPy array"
        elif array.ndim != ndim:
            yield f"{name}: {array.ndim} axes instead of {ndim}"
        elif array.dtype != np.dtype(dtype):
            yield f"{name}: {array.dtype} instead of {dtype}"


def _shapes(dataset: Dataset) -> Iterator[str]:
    images, (classes, attributes) = len(dataset.labels), dataset.semantics.shape
    counts = [
        ("features of", dataset.features.shape[0], "images, labels of", images),
        ("semantics of", classes, "classes, names of", len(dataset.class_names)),
    ]
    if dataset.regions is not None:
        counts.append(("regions of", dataset.regions.shape[0], "images, labels of", images))
    if dataset.image_files is not None:
        counts.append(("file names of", len(dataset.image_files), "images, labels of", images))
    if dataset.attribute_names is not None:
        counts.append(("semantics with", attributes, "attributes, names of", len(dataset.attribute_names)))
    if dataset.attribute_vectors is not None:
        counts.append(
            ("semantics with", attributes, "attributes, vectors of", len(dataset.attribute_vectors))
        )
    for one, first, other, second in counts:
        if first != second:
            yield f"{one} {first} {other} {second}"
    if 0 in dataset.features.shape or 0 in dataset.semantics.shape:
        yield f"no data: features {dataset.features.shape}, semantics {dataset.semantics.shape}"
    repeated = len(dataset.class_names) - len(set(dataset.class_names))
    if repeated:
        twice = sorted({one for one in dataset.class_names if dataset.class_names.count(one) > 1})
        yield f"{repeated} duplicate class names ({_few(twice)})"


def _values(dataset: Dataset) -> Iterator[str]:
    for name, array in (
        ("features", dataset.features),
        ("semantics", dataset.semantics),
        ("attribute vectors", dataset.attribute_vectors),
    ):
        if array is None:
            continue
        nan = inf = 0
        for start in range(0, len(array), _CHUNK):
            chunk = array[start : start + _CHUNK]
            if not np.isfinite(chunk).all():
                nan += int(np.count_nonzero(np.isnan(chunk)))
                inf += int(np.count_nonzero(np.isinf(chunk)))
        if nan or inf:
            yield f"{name}: {nan} NaN and {inf} infinite values"
    empty = np.flatnonzero((np.nan_to_num(dataset.semantics) == 0).all(axis=1))
    if len(empty):
        yield f"{len(empty)} classes without a semantic vector ({_few(_names(dataset, empty))})"
    wrong = (dataset.labels < 0) | (dataset.labels >= len(dataset.class_names))
    if wrong.any():
        classes = len(dataset.class_names)
        values = np.unique(dataset.labels[wrong]).tolist()
        yield f"{np.count_nonzero(wrong)} labels outside 0 to {classes - 1} ({_few(values)})"


def _split(dataset: Dataset) -> Iterator[str]:
    split, images = dataset.split, len(dataset.labels)
    parts = {"trainval": split.trainval, "test_seen": split.test_seen, "test_unseen": split.test_unseen}
    labels: dict[str, np.ndarray] = {}
    for name, rows in parts.items():
        inside = rows[(rows >= 0) & (rows < images)]
        labels[name] = np.unique(dataset.labels[inside])
        if not len(rows):
            yield f"{name} is empty"
        if len(inside) < len(rows):
            yield f"{name}: {len(rows) - len(inside)} indices outside 0 to {images - 1}"
        if len(np.unique(rows)) < len(rows):
            yield f"{name}: {len(rows) - len(np.unique(rows))} duplicate indices"
    names = list(parts)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            shared = np.intersect1d(parts[one], parts[other])
            if len(shared):
                yield f"{one} and {other} share {len(shared)} images"
    leaked = np.intersect1d(labels["test_unseen"], labels["trainval"])
    if len(leaked):
        yield f"{len(leaked)} unseen classes have training images ({_few(_names(dataset, leaked))})"
    strangers = np.setdiff1d(labels["test_seen"], labels["trainval"])
    if len(strangers):
        named = _few(_names(dataset, strangers))
        yield f"{len(strangers)} classes of test_seen have no training images ({named})"
    validation = split.validation_classes
    if validation is not None:
        foreign = np.setdiff1d(validation, labels["trainval"])
        if len(foreign):
            yield f"{len(foreign)} validation classes are not seen classes ({_few(_names(dataset, foreign))})"
        if len(labels["trainval"]) and not len(np.setdiff1d(labels["trainval"], validation)):
            yield "every seen class is a validation class, none is left to train on"
        if not len(validation):
            yield "validation classes are given but empty; None says that there are none"


def _names(dataset: Dataset, classes: np.ndarray) -> list[str]:
    known = dataset.class_names
    return [known[one] if 0 <= one < len(known) else f"class id {one}" for one in classes.tolist()]


def _few(items: list[str] | list[int]) -> str:
    shown = ", ".join(str(one) for one in items[:_EXAMPLES])
    return shown if len(items) <= _EXAMPLES else f"{shown}, ..."
