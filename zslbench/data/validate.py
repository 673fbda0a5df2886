"""Checks every data set, whichever plugin read it, before anything is computed from it.

The reader of folders, ``data check`` and ``data import`` collect what they find in :class:`Findings` too.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partialmethod
from typing import Any, Literal

import numpy as np

from zslbench.errors import DataError, ZslbenchError
from zslbench.plugin.dataset import Dataset

PARTS = ("trainval", "test_seen", "test_unseen")
"""The parts of a split, as :class:`~zslbench.plugin.dataset.OfficialSplit` names them."""

Severity = Literal["error", "warning", "note", "ok"]
"""An error makes data unusable, a warning questionable; a note is worth knowing; ok: checked and sound."""

_EXAMPLES = 5
_CHUNK = 4096  # rows of features examined together; keeps the memory for the check small


@dataclass(frozen=True)
class Finding:
    """One thing that was found out about a data set's files."""

    severity: Severity
    what: str
    where: str = ""
    """File or folder, relative to the data set if it is inside, or empty for the data set as a whole."""
    count: int | None = None
    """The number of images, values, classes, ... concerned."""
    fix: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what

    def row(self) -> dict[str, Any]:
        """As a row of a table."""
        what = f"{self.what}. {self.fix}" if self.fix else self.what
        return {"severity": self.severity, "what": what, "where": self.where, "count": self.count}


class Findings:
    """Findings in the order in which they were made, each once."""

    def __init__(self, rows: Iterable[Finding] = ()) -> None:
        self.rows = list(rows)

    def add(self, severity: Severity, what: str, where: object = "", count: int | None = None) -> None:
        self.extend([Finding(severity, what, str(where), count)])

    error = partialmethod(add, "error")
    warning = partialmethod(add, "warning")
    note = partialmethod(add, "note")
    ok = partialmethod(add, "ok")

    def extend(self, found: Iterable[Finding], where: object = "") -> None:
        """Add findings; those without a ``where`` get this one."""
        for one in found:
            row = one if one.where else replace(one, where=str(where))
            if row not in self.rows:
                self.rows.append(row)

    @property
    def errors(self) -> list[Finding]:
        return [one for one in self.rows if one.severity == "error"]

    @property
    def notes(self) -> tuple[str, ...]:
        """The texts of all notes."""
        return tuple(one.what for one in self.rows if one.severity == "note")

    @contextlib.contextmanager
    def guard(self, where: object, severity: Severity = "error") -> Iterator[None]:
        """Turn a fault that ends the block into a finding about ``where``, so that a check can continue."""
        try:
            yield
        except DataError as error:
            self.extend(Finding(severity, fault, str(where), fix=error.advice) for fault in error.faults)
        except (ZslbenchError, OSError, RuntimeError, ValueError, KeyError, MemoryError) as error:
            self.add(severity, f"cannot be read ({type(error).__name__}: {error})", where)

    def failure(self, where: object, advice: str = "") -> DataError:
        """All errors as one about ``where``; without ``advice``, with what the errors advise."""
        fixes = dict.fromkeys(error.fix for error in self.errors if error.fix)
        return DataError(where, [str(error) for error in self.errors], advice or "; ".join(fixes))

    def raise_errors(self, where: object, advice: str = "") -> None:
        """Raise :meth:`failure` if there are errors."""
        if self.errors:
            raise self.failure(where, advice)


def require_valid(dataset: Dataset, where: object, advice: str = "") -> None:
    """Raise DataError with every fault of a data set and its count, if there are any.

    Args:
        where: what the message names first, such as the folder that the data set was read from.
        advice: what to do.
    """
    Findings(dataset_findings(dataset)).raise_errors(where, advice)


def dataset_faults(dataset: Dataset) -> list[str]:
    """Everything that makes a data set unusable, one sentence each, with counts; empty if it is sound."""
    return [finding.what for finding in dataset_findings(dataset)]


def dataset_findings(dataset: Dataset) -> list[Finding]:
    """Everything that makes a data set unusable; wrong types alone, since they prevent all other checks."""
    findings = Findings()
    _check_types(dataset, findings)
    if not findings.rows:
        _check_shapes(dataset, findings)
        _check_values(dataset, findings)
        _check_split(dataset, findings)
    return findings.rows


def _check_types(dataset: Dataset, findings: Findings) -> None:
    split, vectors = dataset.split, dataset.attribute_vectors
    matrices = {"features": dataset.features, "semantics": dataset.semantics}
    if vectors is not None:
        matrices["attribute vectors"] = vectors
    indices = {"labels": dataset.labels, **{part: getattr(split, part) for part in PARTS}}
    if split.validation_classes is not None:
        indices["validation classes"] = split.validation_classes
    expected = [(name, array, 2, "float32") for name, array in matrices.items()]
    expected += [(name, array, 1, "int64") for name, array in indices.items()]
    for name, array, ndim, dtype in expected:
        if not isinstance(array, np.ndarray):
            findings.error(f"{name}: {type(array).__name__} instead of a NumPy array")
        elif array.ndim != ndim:
            findings.error(f"{name}: {array.ndim} axes instead of {ndim}")
        elif array.dtype != np.dtype(dtype):
            findings.error(f"{name}: {array.dtype} instead of {dtype}")


def _check_shapes(dataset: Dataset, findings: Findings) -> None:
    images, attributes = len(dataset.labels), dataset.semantics.shape[1]
    regions = None if dataset.regions is None else range(dataset.regions.shape[0])
    for what, given, other, count in (
        ("features of", dataset.features, "images, labels of", images),
        ("regions of", regions, "images, labels of", images),
        ("file names of", dataset.image_files, "images, labels of", images),
        ("semantics of", dataset.semantics, "classes, names of", len(dataset.class_names)),
        ("names of", dataset.attribute_names, "attributes, semantics with", attributes),
        ("vectors of", dataset.attribute_vectors, "attributes, semantics with", attributes),
    ):
        if given is not None and len(given) != count:
            # Whether the count would fit if the semantics were transposed.
            exchanged = attributes if given is dataset.semantics else len(given)
            fits = count if given is dataset.semantics else len(dataset.semantics)
            hint = " (transposed?)" if "semantics" in f"{what} {other}" and exchanged == fits else ""
            findings.error(f"{what} {len(given)} {other} {count}{hint}")
    if 0 in dataset.features.shape or 0 in dataset.semantics.shape:
        findings.error(f"no data: features {dataset.features.shape}, semantics {dataset.semantics.shape}")
    names = dataset.class_names
    if repeated := len(names) - len(set(names)):
        duplicates = few(sorted(name for name, count in Counter(names).items() if count > 1))
        findings.error(f"{repeated} duplicate class names ({duplicates})", count=repeated)
    every = (*names, *(dataset.attribute_names or ()))
    if broken := [name for name in every if name.encode("utf-8", "ignore").decode() != name]:
        findings.error(f"{len(broken)} names are not Unicode text ({few(broken)})", count=len(broken))


def _check_values(dataset: Dataset, findings: Findings) -> None:
    arrays = {"features": dataset.features, "semantics": dataset.semantics}
    if dataset.attribute_vectors is not None:
        arrays["attribute vectors"] = dataset.attribute_vectors
    for name, array in arrays.items():
        chunks = (array[start : start + _CHUNK] for start in range(0, len(array), _CHUNK))
        bad = np.concatenate([np.zeros(0), *(chunk[~np.isfinite(chunk)] for chunk in chunks)])
        if len(bad):
            nan = int(np.count_nonzero(np.isnan(bad)))
            findings.error(f"{name}: {nan} NaN and {len(bad) - nan} infinite values", count=len(bad))
    empty = np.flatnonzero((np.nan_to_num(dataset.semantics) == 0).all(axis=1))
    if len(empty):
        shown = few(_names(dataset, empty))
        findings.error(f"{len(empty)} classes without a semantic vector ({shown})", count=len(empty))
    classes = len(dataset.class_names)
    wrong = dataset.labels[(dataset.labels < 0) | (dataset.labels >= classes)]
    if len(wrong):
        shown = few(np.unique(wrong).tolist())
        hint = ", semantics transposed?" if dataset.labels.max() + 1 == dataset.semantics.shape[1] else ""
        text = f"{len(wrong)} labels outside 0 to {classes - 1} ({shown}{hint})"
        findings.error(text, count=len(wrong))


def _check_split(dataset: Dataset, findings: Findings) -> None:
    parts, images = dataset.split.parts, len(dataset.labels)
    classes: dict[str, np.ndarray] = {}
    for name, rows in parts.items():
        inside = rows[(rows >= 0) & (rows < images)]
        classes[name] = np.unique(dataset.labels[inside])
        if not len(rows) and name != "test_seen":  # without test_seen only CZSL is evaluated
            findings.error(f"{name} is empty")
        if outside := len(rows) - len(inside):
            findings.error(f"{name}: {outside} indices outside 0 to {images - 1}", count=outside)
        if repeated := len(rows) - len(np.unique(rows)):
            findings.error(f"{name}: {repeated} duplicate indices", count=repeated)
    for first, second in itertools.combinations(PARTS, 2):
        if shared := len(np.intersect1d(parts[first], parts[second])):
            findings.error(f"{first} and {second} share {shared} images", count=shared)
    trained, validation = classes["trainval"], dataset.split.validation_classes
    wrong = [
        (np.intersect1d(classes["test_unseen"], trained), "unseen classes have training images"),
        (np.setdiff1d(classes["test_seen"], trained), "classes of test_seen have no training images"),
    ]
    if validation is not None:
        wrong.append((np.setdiff1d(validation, trained), "validation classes are not seen classes"))
    for found, what in wrong:
        if len(found):
            findings.error(f"{len(found)} {what} ({few(_names(dataset, found))})", count=len(found))
    if validation is not None:
        if len(trained) and not len(np.setdiff1d(trained, validation)):
            findings.error("every seen class is a validation class, which leaves none to train on")
        if not len(validation):
            findings.error("validation classes are given but empty; None means that there are none")


def _names(dataset: Dataset, classes: np.ndarray) -> list[str]:
    return [class_name(dataset.class_names, one) for one in classes.tolist()]


def class_name(names: tuple[str, ...], number: int) -> str:
    """The name of a class, or its number if there is no such class."""
    return names[number] if 0 <= number < len(names) else f"class id {number}"


def few(items: Iterable[object]) -> str:
    """The first five of some items, at most 80 characters of each, for a message.

    >>> few(range(7))
    '0, 1, 2, 3, 4, ...'
    """
    texts = [str(one) for one in items]
    shown = [one if len(one) <= 80 else f"{one[:77]}..." for one in texts]
    return ", ".join(shown[:_EXAMPLES]) + (", ..." if len(shown) > _EXAMPLES else "")
