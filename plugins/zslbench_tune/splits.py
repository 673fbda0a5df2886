"""Several validation splits of one data set, so that a choice does not rest on one set of classes.

The first is the data set's own. The others have as many validation classes. They are drawn by digests, as
:mod:`zslbench.evaluation.splits` does where a data set has none: in draw n = 1, 2, ... they are the seen
classes whose sha256("zslbench validation split <n> class <id>") is smallest, ids counted from 0; a draw that
gives the classes of an earlier split is skipped. So a split depends only on the data set's own and on which
classes have trainval images: not on a run's seed, on test images, or on how many splits there are.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import replace

import numpy as np

from zslbench.errors import SettingsError
from zslbench.evaluation import validation_split
from zslbench.experiment import Job
from zslbench.plugin import Dataset

MOST_SPLITS = 100


def class_splits(dataset: Dataset, count: int) -> list[Dataset]:
    """The data set, and ``count`` - 1 times the same with other validation classes.

    Raises:
        SettingsError: ``count`` is not from 1 to 100, or there are not so many splits.
        DataError: there are too few classes to validate on.
    """
    if not 1 <= count <= MOST_SPLITS:
        raise SettingsError(f"{count} validation splits: must be from 1 to {MOST_SPLITS}")
    own = validation_split(dataset)
    seen = np.concatenate([own.seen_classes, own.unseen_classes])
    size = len(own.unseen_classes)
    if count > (possible := math.comb(len(seen), size)):
        raise SettingsError(
            f"{count} validation splits: in data set '{dataset.name}' {size} of {len(seen)} seen classes are "
            f"for validation, and there are only {possible} such splits; ask for fewer"
        )
    chosen = [frozenset(own.unseen_classes.tolist())]
    for number in itertools.count(1):
        if len(chosen) == count:
            break
        drawn = frozenset(sorted(seen.tolist(), key=lambda one: _digest(number, one))[:size])
        if drawn not in chosen:
            chosen.append(drawn)
    others = [np.array(sorted(classes), dtype=np.int64) for classes in chosen[1:]]
    return [
        dataset,
        *(replace(dataset, split=replace(dataset.split, validation_classes=one)) for one in others),
    ]


def on_split(job: Job, dataset: Dataset) -> Job:
    """The job on its data set with other validation classes."""
    split = validation_split(dataset)
    note = f"{len(split.unseen_classes)} seen classes, drawn by zslbench tune"
    changes = {"validation_fingerprint": split.fingerprint(), "validation_note": note}
    return replace(job, dataset=dataset, data={**job.data, **changes})


def _digest(number: int, label: int) -> bytes:
    return hashlib.sha256(f"zslbench validation split {number} class {label}".encode()).digest()
