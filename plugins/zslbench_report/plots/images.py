"""Which images a figure shows, and their pictures where those are at hand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from zslbench.errors import DataError, SettingsError
from zslbench.plugin.dataset import Dataset
from zslbench.store.record import RunRecord

_PIXELS = 448
"""Longest side of a shown picture; more only makes files larger."""


def choose_rows(
    record: RunRecord, dataset: Dataset, rows: Sequence[int], count: int
) -> Int[np.ndarray, " n"]:
    """Row numbers of the images to show: those asked for, or ``count`` test images.

    Test images are half of seen and half of unseen classes (as far as there are both), those that the run
    classified correctly before the others, of as many classes as possible. The choice depends on the run
    alone.

    Raises:
        SettingsError: a row is not one of the data set's.
    """
    if rows:
        images = len(dataset.labels)
        if wrong := [row for row in rows if not 0 <= row < images]:
            raise SettingsError(
                f"--image {', '.join(map(str, wrong))}: {dataset.name} has the images 0 to {images - 1}"
            )
        return np.array(list(dict.fromkeys(rows)), dtype=np.int64)
    table = record.table("predictions")
    sides = [_in_turn(table[table["side"] == side]) for side in ("seen", "unseen")]
    unseen = min(count - count // 2, len(sides[1]))
    seen = min(count - unseen, len(sides[0]))
    chosen = [*sides[0][:seen], *sides[1][: count - seen]]
    return np.array(chosen, dtype=np.int64)


def _in_turn(table: pd.DataFrame) -> list[int]:
    """Images of one side in the order of choice: correct ones first, and of these one of each class first."""
    right = "gzsl_correct" if "gzsl_correct" in table else "czsl_correct"
    order = table.assign(wrong=~table[right].astype(bool)).sort_values("image")
    order["turn"] = order.groupby(["wrong", "label"]).cumcount()
    # Classes next to each other in the list are often alike: go through them in a scattered order.
    labels = np.sort(order["label"].unique())
    scattered = dict(zip(np.random.default_rng(0).permutation(labels), range(len(labels)), strict=True))
    order["place"] = order["label"].map(scattered)
    return [int(one) for one in order.sort_values(["wrong", "turn", "place"])["image"]]


def outcomes(record: RunRecord, dataset: Dataset) -> dict[int, str]:
    """What the run made of each image: "right", "taken for" a class, "training image"; by row number.

    An image that it did not score (a seen one, where the method does CZSL alone) is left out.
    """
    table = record.table("predictions")
    task = "gzsl" if "gzsl_prediction" in table else "czsl"
    scored = table[table[f"{task}_prediction"] >= 0]
    trained = dict.fromkeys(dataset.split.trainval.tolist(), "training image")
    return trained | {
        int(row): "right" if right else f"taken for {dataset.class_names[int(found)]}"
        for row, right, found in zip(
            scored["image"], scored[f"{task}_correct"], scored[f"{task}_prediction"], strict=True
        )
    }


def picture_files(folder: Path, names: Sequence[str], rows: Iterable[int]) -> dict[int, Path]:
    """Where the pictures of these rows lie below ``folder``.

    A data set names its images by paths of the machine that made it, so the last two components decide, as
    ``001.Black_footed_Albatross/one.jpg``. A row whose picture is not there is left out.
    """
    wanted = {row: "/".join(PurePosixPath(names[row].replace("\\", "/")).parts[-2:]) for row in rows}
    found = {row: folder / tail for row, tail in wanted.items() if (folder / tail).is_file()}
    missing = {tail: row for row, tail in wanted.items() if row not in found}
    for base, folders, files in os.walk(folder):
        if len(missing) == 0:
            break
        folders.sort()  # of two pictures with one name the same is taken every time
        here = Path(base).name
        for file in files:
            row = missing.pop(f"{here}/{file}", None)
            if row is not None:
                found[row] = Path(base) / file
    return found


def read_picture(path: Path) -> Float[np.ndarray, "h w 3"]:
    """A picture as RGB in [0, 1], at most 448 pixels on its longest side.

    Raises:
        DataError: it cannot be read as a picture.
    """
    from PIL import Image  # comes with matplotlib

    try:
        with Image.open(path) as image:
            rgb: Any = image.convert("RGB")
            rgb.thumbnail((_PIXELS, _PIXELS))
            return np.asarray(rgb, dtype=np.float32) / 255
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(path, [f"cannot be read as a picture ({error})"]) from None
