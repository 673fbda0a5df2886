"""Fingerprints of splits, and the validation split on which hyper-parameters are chosen.

The final split is the proposed split of Xian et al. (TPAMI 2018). The validation split is defined here.

**Definition of the validation split.** It divides only the trainval images, since the official ``train_loc``
and ``val_loc`` contain every test_seen image.

1. *Pseudo-unseen classes* are the official validation classes that have trainval images. If a data set
   has none, they are the third of the seen classes (rounded down, at least one) whose
   sha256("zslbench validation class <id>") is smallest, ids counted from 0.
2. *Pseudo-unseen images* (``test_unseen_rows``) are all trainval images of these classes.
3. *Pseudo-seen images* (``test_seen_rows``) are, of each other seen class with n trainval images, the
   max(1, round(n / 5)) whose sha256("zslbench validation image <row>") is smallest, rows counted from 0
   (halves round up; of a class with a single image none is held out).
4. Models are fitted on what remains (``fit_rows``): every pseudo-seen class keeps at least one image.

Digests replace random numbers because they depend on nothing else: not on the run's seed, the order of the
file, the test images or the version of a random generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zslbench.errors import DataError
from zslbench.plugin.dataset import Dataset, Indices, OfficialSplit

WITHOUT = "zslbench run --select last needs no validation"

HOLD_OUT = 5
"""One in this many images of each pseudo-seen class is held out."""


@dataclass(frozen=True)
class FoldSplit:
    """Rows (of the data set) and classes of a fold."""

    fit_rows: Indices
    test_seen_rows: Indices
    """Images of ``seen_classes`` that are not fitted on."""
    test_unseen_rows: Indices
    """Images of ``unseen_classes``."""
    seen_classes: Indices
    """Ascending, as ``unseen_classes``."""
    unseen_classes: Indices
    note: str = ""
    """Where the unseen classes of a validation split came from."""

    def fingerprint(self) -> str:
        """12 hex digits that identify the rows of the split."""
        rows = {"fit": self.fit_rows, "test_seen": self.test_seen_rows, "test_unseen": self.test_unseen_rows}
        return _combined(rows)


def fingerprint(indices: Indices) -> str:
    """First 12 hex digits of sha256 of the 1-based indices, ascending, joined by commas.

    ``indices`` are 0-based. The form of the published fingerprints of the proposed split.
    """
    return hashlib.sha256(",".join(map(str, sorted((indices + 1).tolist()))).encode()).hexdigest()[:12]


def split_fingerprint(split: OfficialSplit) -> str:
    """12 hex digits of sha256 of ``trainval=<fingerprint>,test_seen=<...>,test_unseen=<...>``."""
    return _combined(split.parts)


def _combined(parts: Mapping[str, Indices]) -> str:
    text = ",".join(f"{name}={fingerprint(rows)}" for name, rows in parts.items())
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def validation_split(dataset: Dataset) -> FoldSplit:
    """The validation split that this module defines; DataError if there are too few classes.

    Reads only the labels of trainval images; no test features, test labels or test indices.
    """
    rows = np.unique(dataset.split.trainval).astype(np.int64)
    labels = dataset.labels[rows]
    seen = np.unique(labels).astype(np.int64)
    if len(seen) < 2:
        raise DataError(dataset.name, [f"{len(seen)} seen class; validation needs two"], WITHOUT)
    official = dataset.split.validation_classes
    if official is None:
        unseen = _smallest("class", seen, max(1, len(seen) // 3))
        note = f"{len(unseen)} of {len(seen)} seen classes, chosen by zslbench (the data set has none)"
    else:
        unseen = np.intersect1d(seen, official)
        note = f"{len(unseen)} of {len(seen)} seen classes, the data set's own validation classes"
    if len(unseen) in (0, len(seen)):
        fault = f"{len(unseen)} of {len(seen)} seen classes are validation classes"
        raise DataError(dataset.name, [fault], WITHOUT)
    kept = np.setdiff1d(seen, unseen)
    by_class = np.split(rows[np.argsort(labels, kind="stable")], np.cumsum(np.bincount(labels)))
    held_out = np.concatenate([_held_out(by_class[one]) for one in kept])
    pseudo_unseen = rows[np.isin(labels, unseen)]
    return FoldSplit(
        fit_rows=np.setdiff1d(rows, np.concatenate([held_out, pseudo_unseen])),
        test_seen_rows=np.sort(held_out),
        test_unseen_rows=pseudo_unseen,
        seen_classes=kept,
        unseen_classes=unseen,
        note=note,
    )


def _held_out(rows: Indices) -> Indices:
    if len(rows) < 2:
        return rows[:0]
    return _smallest("image", rows, max(1, (2 * len(rows) + HOLD_OUT) // (2 * HOLD_OUT)))


def _smallest(what: str, numbers: Indices, count: int) -> Indices:
    """The ``count`` numbers with the smallest digests, ascending."""

    def digest(number: int) -> bytes:
        return hashlib.sha256(f"zslbench validation {what} {number}".encode()).digest()

    return np.array(sorted(sorted(numbers.tolist(), key=digest)[:count]), dtype=np.int64)
