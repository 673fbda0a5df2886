"""Candidates: the unseen classes that are scored: those that test images can be assigned to.

By default they are the classes of the test_unseen images, as is usual in the field. A data set may describe
many more, such as all classes of ImageNet, few of which have images. Scoring those as well makes the task
harder, so runs that do are marked and never ranked with others.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from zslbench.data.validate import few
from zslbench.errors import DataError, SettingsError, did_you_mean
from zslbench.plugin.dataset import Candidates, Dataset, Indices

TEST, ALL = "test", "all"
"""Names of candidates: the classes of the test_unseen images, and all classes that are not seen."""


def candidates_of(dataset: Dataset) -> Candidates:
    """The data set's candidates; by default those of the test_unseen images."""
    return dataset.candidates or Candidates(TEST, _classes(dataset, dataset.split.test_unseen))


def with_candidates(dataset: Dataset, requested: str | Path | None = None) -> Dataset:
    """The data set with its candidates chosen and :func:`protocol_notes` added.

    Args:
        requested: ``test``, ``all``, or a file with a class name on each line; None: the data set's own
            choice. The classes decide what it is called: only those of ``test`` are ``test``, only those of
            ``all`` are ``all``, whatever a file or a plugin calls its own.

    Raises:
        SettingsError: there is no such file.
        DataError: it names unknown or seen classes, or lacks a class of the test_unseen images; a plugin's
            choice is not an array of class ids.
    """
    tested, untested = _classes(dataset, dataset.split.test_unseen), untested_classes(dataset)
    named = {TEST: tested, ALL: np.union1d(tested, untested)}
    if requested is None:
        chosen, origin = _own(dataset), "plugin"
    elif requested in named:
        chosen, origin = Candidates(str(requested), named[str(requested)]), ""
    else:
        chosen, origin = _listed(dataset, Path(requested)), "file"
    wrong = (
        (np.intersect1d(_classes(dataset, dataset.split.trainval), chosen.classes), "are seen classes"),
        (np.setdiff1d(tested, chosen.classes), "classes of test_unseen images are missing"),
    )
    faults = [
        f"{len(classes)} {what} ({few(dataset.class_names[one] for one in classes.tolist())})"
        for classes, what in wrong
        if len(classes)
    ]
    if faults:
        raise DataError(
            f"candidates {chosen.name}",
            faults,
            "List only unseen classes, including every class with test_unseen images",
        )
    same = (name for name, classes in named.items() if np.array_equal(chosen.classes, classes))
    other = f"{origin}:{chosen.name}" if chosen.name in named else chosen.name
    chosen = replace(chosen, name=next(same, other))
    found = replace(dataset, candidates=chosen)
    return replace(found, notes=(*dataset.notes, *protocol_notes(found)))


def untested_classes(dataset: Dataset) -> Indices:
    """Classes with neither training nor test images."""
    used = [_classes(dataset, rows) for rows in dataset.split.parts.values()]
    return np.setdiff1d(np.arange(len(dataset.class_names)), np.concatenate(used))


def protocol_notes(dataset: Dataset) -> list[str]:
    """Which parts of the field's protocol the data set lacks images for: GZSL, or some of the classes."""
    notes = [] if len(dataset.split.test_seen) else ["there are no test_seen images: only CZSL is evaluated"]
    untested, chosen = untested_classes(dataset), candidates_of(dataset)
    if not len(untested):
        return notes
    text = f"{len(untested)} of {len(dataset.class_names)} classes have neither training nor test images"
    names = few(dataset.class_names[one] for one in untested.tolist())
    added = len(np.intersect1d(untested, chosen.classes))
    effect = "they are not candidates for test images; --candidates all adds them"
    if added:
        effect = f"{added} of them are candidates for test images (--candidates {chosen.name})"
    return [*notes, f"{text} ({names}): {effect}"]


def _own(dataset: Dataset) -> Candidates:
    """What :func:`candidates_of` finds, checked: ascending ids, each once."""
    own = candidates_of(dataset)
    ids, count = np.asarray(own.classes), len(dataset.class_names)
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or np.any((ids < 0) | (ids >= count)):
        fault = f"they must be class ids from 0 to {count - 1} in an array of one axis"
        raise DataError(f"data set '{dataset.name}', candidates {own.name}", [fault])
    return replace(own, classes=np.unique(ids).astype(np.int64))


def _listed(dataset: Dataset, path: Path) -> Candidates:
    try:
        lines = path.expanduser().read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise SettingsError(
            f"--candidates {path}: {reason}; give all, or a file with a class name on each line"
        ) from None
    number = {name: place for place, name in enumerate(dataset.class_names)}
    names = {line.strip() for line in lines} - {""}
    if unknown := sorted(names - number.keys()):
        hint = did_you_mean(unknown[0], number)
        fault = f"{len(unknown)} unknown classes ({few(unknown)}); {few(unknown[:1])}: {hint}"
        raise DataError(path, [fault])
    return Candidates(path.name, np.array(sorted(number[name] for name in names), dtype=np.int64))


def _classes(dataset: Dataset, rows: Indices) -> Indices:
    inside = rows[(rows >= 0) & (rows < len(dataset.labels))]  # the data set may not have been validated yet
    return np.unique(dataset.labels[inside]).astype(np.int64)
