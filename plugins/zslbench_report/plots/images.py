"""Which test images a figure shows, their pictures, and the names of attributes."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from zslbench.data import require_file
from zslbench.errors import DataError, SettingsError
from zslbench.experiment import Notify
from zslbench.plugin import Dataset
from zslbench.store import RunRecord

_PIXELS = 448
"""Longest side of a picture in pixels."""
_MOST_LINES = 3


def choose_rows(
    record: RunRecord, dataset: Dataset, rows: Sequence[int], count: int
) -> Int[np.ndarray, " n"]:
    """Row numbers of the images to show: ``rows``, or, if it is empty, ``count`` test images.

    Half of the test images are of seen and half of unseen classes, if there are both. Correctly classified
    ones come first, from as many classes as possible. The choice depends only on the run.

    Raises:
        SettingsError: a row number is out of range.
    """
    if rows:
        images = len(dataset.labels)
        if wrong := [row for row in rows if not 0 <= row < images]:
            raise SettingsError(
                f"--image {', '.join(map(str, wrong))}: {dataset.name} has the images 0 to {images - 1}"
            )
        return np.array(list(dict.fromkeys(rows)), dtype=np.int64)
    table = record.table("predictions")
    seen, unseen = (_ordered(table[table["side"] == side]) for side in ("seen", "unseen"))
    seen = seen[: count - min(count - count // 2, len(unseen))]
    return np.array([*seen, *unseen[: count - len(seen)]], dtype=np.int64)


def _ordered(table: pd.DataFrame) -> list[int]:
    """Images of one side: correct ones first, and among these one of each class before a second of any."""
    correct = "gzsl_correct" if "gzsl_correct" in table else "czsl_correct"
    order = table.assign(wrong=~table[correct].astype(bool)).sort_values("image")
    order["turn"] = order.groupby(["wrong", "label"]).cumcount()
    # Classes that are close in the list are often similar, so their order is shuffled.
    labels = np.sort(order["label"].unique())
    shuffled = dict(zip(np.random.default_rng(0).permutation(labels), range(len(labels)), strict=True))
    order["place"] = order["label"].map(shuffled)
    return [int(image) for image in order.sort_values(["wrong", "turn", "place"])["image"]]


def outcomes(record: RunRecord, dataset: Dataset) -> dict[int, str]:
    """By row number how the run classified an image: "correct", "predicted as" a class, or "training image".

    Images without scores (seen ones, for a method that does CZSL only) are left out.
    """
    table = record.table("predictions")
    names = record.table("classes").set_index("class_id")["name"]
    task = "gzsl" if "gzsl_prediction" in table else "czsl"
    columns = table[table[f"{task}_prediction"] >= 0][["image", f"{task}_correct", f"{task}_prediction"]]
    trained = dict.fromkeys(dataset.split.trainval.tolist(), "training image")
    return trained | {
        int(row): "correct" if correct else f"predicted as {names[int(predicted)]}"
        for row, correct, predicted in columns.itertuples(index=False)
    }


def pictures_of(
    dataset: Dataset, rows: Sequence[int], folder: str | Path | None, notify: Notify
) -> dict[int, Float[np.ndarray, "_ _ 3"]]:
    """The pictures found below ``folder``, by row number; missing ones are reported to ``notify``."""
    if folder is None:
        return {}
    names = dataset.image_files
    if names is None:
        notify(f"data set '{dataset.name}' does not name its image files; showing region activations instead")
        return {}
    found = picture_files(Path(folder), names, rows)
    if missing := [row for row in rows if row not in found]:
        notify(
            f"{len(missing)} of {len(rows)} images not found below {folder} (first: {names[missing[0]]}); "
            "showing region activations instead"
        )
    return {row: read_picture(path) for row, path in found.items()}


def picture_files(folder: Path, names: Sequence[str], rows: Sequence[int]) -> dict[int, Path]:
    """Files of these rows' pictures below ``folder``; rows without one are left out.

    Data sets name images by paths on the machine that made them, so a file is matched by the longest end of
    its path that exists below ``folder``, at least the last two components, as
    ``001.Black_footed_Albatross/one.jpg``; then by these two anywhere below ``folder``. An end that several
    images share matches none of them.
    """
    paths = {name: PurePosixPath(name.replace("\\", "/").lstrip("/")).parts for name in names}
    counts = Counter(end for parts in paths.values() for end in _ends(parts))
    found: dict[str, Path] = {}
    anywhere: dict[tuple[str, ...], str] = {}
    for name in (names[row] for row in rows):
        ends = [end for end in _ends(paths[name]) if counts[end] == 1]
        below = [file for end in ends if (file := folder.joinpath(*end)).is_file()]
        if below:
            found[name] = below[0]
        elif ends and len(ends[-1]) == 2:  # its last two components are its own
            anywhere[ends[-1]] = name
    for base, folders, files in os.walk(folder):
        if not anywhere:
            break
        folders.sort()  # of two pictures with the same name, always take the same one
        for end in anywhere.keys() & {(Path(base).name, file) for file in files}:
            found[anywhere.pop(end)] = Path(base, end[1])
    return {row: found[names[row]] for row in rows if names[row] in found}


def _ends(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The path itself and its ends down to two components."""
    return [parts[start:] for start in range(max(len(parts) - 1, 1))]


def read_picture(path: Path) -> Float[np.ndarray, "h w 3"]:
    """A picture as RGB in [0, 1], at most 448 pixels on its longest side; DataError: it cannot be read."""
    from PIL import Image  # comes with matplotlib

    require_file(path)
    try:
        with Image.open(path) as image:
            rgb: Any = image.convert("RGB")
            rgb.thumbnail((_PIXELS, _PIXELS))
            return np.asarray(rgb, dtype=np.float32) / 255
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(path, [f"cannot be read as an image ({error})"]) from None


def read_attribute_names(path: Path) -> tuple[str, ...]:
    """Attribute names from a UTF-8 file, one per line, in the order of the class semantics."""
    try:
        text = path.read_text(encoding="utf-8").rstrip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, [f"cannot be read as text ({error})"], "Give one name per line") from None
    return tuple(line.strip() for line in text.splitlines())


def attribute_names_of(dataset: Dataset, given: Sequence[str] | None = None) -> tuple[str, ...]:
    """The given names, else the data set's own, else "attribute 17" (counting from 0)."""
    attributes = dataset.semantics.shape[1]
    names = given if given is not None else dataset.attribute_names or [""] * attributes
    if len(names) != attributes:
        raise SettingsError(
            f"{len(names)} attribute names, but data set '{dataset.name}' has {attributes} attributes; "
            "give one name for each, in the order of its class semantics"
        )
    return tuple(name or f"attribute {number}" for number, name in enumerate(names))


def readable(name: str) -> str:
    """The name with spaces where official names join words by "::" and "_"."""
    return name.replace("::", ": ").replace("_", " ")


def wrapped(name: str, width: int) -> str:
    """The readable name on at most three lines of ``width`` characters; the rest becomes "…"."""
    return "\n".join(textwrap.wrap(readable(name), width, max_lines=_MOST_LINES, placeholder=" …"))
