"""A small data set in the xlsa17 format that methods can learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen")
"""``gnu`` and ``hen`` are unseen."""
IMAGES = 10
"""Of each class."""


def cells(names: tuple[str, ...]) -> np.ndarray:
    array = np.empty((len(names), 1), dtype=object)
    array[:, 0] = names
    return array


def contents(extra: tuple[str, ...] = ()) -> dict[str, Any]:
    """The variables of both files; ``extra`` are classes without images, described last."""
    random = np.random.default_rng(3)
    names = CLASSES + extra
    att = np.random.default_rng(4).random((len(names), 5)).T
    labels = np.repeat(np.arange(len(CLASSES)), IMAGES)
    features = random.normal(size=(12, 5)) @ att[:, labels] + 0.1 * random.normal(size=(12, len(labels)))
    rows = np.arange(1, len(labels) + 1).reshape(len(CLASSES), IMAGES)
    return {
        "features": features,
        "labels": labels[:, None] + 1,
        "att": att,
        "allclasses_names": cells(names),
        "trainval_loc": rows[:6, :8].reshape(-1, 1),
        "test_seen_loc": rows[:6, 8:].reshape(-1, 1),
        "test_unseen_loc": rows[6:].reshape(-1, 1),
        "train_loc": rows[:4].reshape(-1, 1),
        "val_loc": rows[4:6].reshape(-1, 1),
    }


def write_folder(root: Path, variables: dict[str, Any], name: str = "SMALL") -> Path:
    """Write the data set to a folder below ``root``; a variable that is None is left out."""
    folder = root / name
    folder.mkdir(exist_ok=True, parents=True)
    given = {key: value for key, value in variables.items() if value is not None}
    images = {key: given.pop(key) for key in ("features", "labels") if key in given}
    scipy.io.savemat(folder / "res101.mat", images)
    scipy.io.savemat(folder / "att_splits.mat", given)
    return folder
