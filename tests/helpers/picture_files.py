"""Small images, and a data set made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox")
PER_CLASS = 8
ATTRIBUTES = 6


def make(number: int, width: int = 48, height: int = 40) -> Image.Image:
    """Coloured blobs: no two numbers give the same image."""
    random = np.random.default_rng(number)
    small = random.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def make_image() -> Callable[..., Image.Image]:
    return make


def write_zoo(root: Path) -> Path:
    """``<root>/Zoo``: images in folders of their classes, a split, and no list of them.

    The last two classes are unseen; of each seen class six images are for training.
    """
    folder = root / "Zoo"
    number = 0
    for name in CLASSES:
        (folder / "images" / name).mkdir(parents=True)
        for one in range(PER_CLASS):
            make(number, 48 + number % 7, 40 + number % 5).save(folder / "images" / name / f"{one:02d}.jpg")
            number += 1
    rows = 1 + np.arange(number).reshape(len(CLASSES), PER_CLASS)
    names = np.empty((len(CLASSES), 1), dtype=object)
    names[:, 0] = CLASSES
    scipy.io.savemat(
        folder / "att_splits.mat",
        {
            "att": np.random.default_rng(0).random((ATTRIBUTES, len(CLASSES))) + 0.1,
            "allclasses_names": names,
            "trainval_loc": rows[:4, :6].reshape(-1, 1),
            "test_seen_loc": rows[:4, 6:].reshape(-1, 1),
            "test_unseen_loc": rows[4:].reshape(-1, 1),
        },
    )
    return root


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """See :func:`write_zoo`."""
    return write_zoo(tmp_path / "data")
