"""Plans a custom data set from an image folder or arrays, a table of class attributes and a split.

The class and the part of each image:

* the split file has a column ``part`` and is of images (columns ``image`` or ``row``) or of classes (column
  ``class`` alone). Of images: ``trainval``, ``test_seen`` or ``test_unseen``. Of classes: ``trainval`` (or
  ``seen``) and ``test_unseen`` (or ``unseen``); a fifth of each seen class's images, drawn with a fixed seed,
  becomes ``test_seen``. A column ``val`` marks validation classes with 1.
* an image's class is in the column ``class``, else it is the subfolder of the image folder.
* with arrays, line k of the split file (or of the labels file, if the split is of classes) is about row k,
  unless a column ``row`` says otherwise, counting from 0. Without arrays, rows are images sorted by name.

Classes of the attribute table without any image are left out, with a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from zslbench.data import PARTS, Findings, dataset_findings, duplicated, few, no_features, read_attributes
from zslbench.plugin import Dataset, OfficialSplit
from zslbench.store import checked_name
from zslbench_data.exporting.xlsa17 import TAKEN
from zslbench_data.importing.tables import image_rows, read_split

Attributes = Float[np.ndarray, "classes attributes"]

TEST_SEEN = 0.2
"""Share of a seen class's images that becomes test_seen if the split is of classes (Xian et al. 2018)."""

_CLASS_PARTS = {"trainval": "seen", "seen": "seen", "test_unseen": "unseen", "unseen": "unseen"}


@dataclass(frozen=True)
class CustomFiles:
    """The files of a custom data set, and how to import them."""

    attributes: Path
    """CSV with class attributes."""
    split: Path
    """CSV with the split."""
    labels: Path | None = None
    """CSV with the classes of rows (columns ``class``, perhaps ``image`` and ``row``)."""
    images: Path | None = None
    features: Path | None = None
    regions: Path | None = None
    features_name: str | None = None
    """Stem of the features file; None: that of the array's file."""
    regions_name: str | None = None
    """Name of the region store; None: the stem of the array's file."""
    dtype: str = "keep"
    """What regions are stored in: ``keep``, ``float16``, ``float32``."""
    layout: str | None = None
    """Layout of the region maps; None: recognised from their sizes and the width of the features."""
    seed: int = 0
    """Seed of the automatic test_seen split."""
    link: bool = False
    """Whether to link images instead of copying them."""

    @property
    def stem(self) -> str | None:
        """Stem of the features file; None: there are no features; SettingsError: the name cannot be used."""
        if self.features is None:
            return None
        return checked_name(self.features_name or self.features.stem, "--features-name", taken=TAKEN)

    @property
    def store(self) -> str | None:
        """Name of the region store; None: there are no regions; SettingsError: the name cannot be used."""
        if self.regions is None:
            return None
        return checked_name(self.regions_name or self.regions.stem, "--regions-name")


def plan(
    given: CustomFiles, findings: Findings, images: Sequence[str] | None, rows: int | None
) -> tuple[Dataset, Attributes]:
    """Put a data set together.

    Args:
        findings: faults that are known already; faults and notes join them.
        images: files in the image folder, as ``class/file.jpg``; None: there is no folder.
        rows: number of the arrays' rows; None: there are no arrays.

    Returns:
        The data set, without features, and the attributes as given.

    Raises:
        MissingData: a file does not exist.
        DataError: lists every fault, with counts.
    """
    folder, file = given.split.parent, given.split.name
    attributes, split = read_attributes(given.attributes, findings), read_split(given.split, findings)
    table = None if split is None else image_rows(split, file, given.labels, images, rows, findings)
    if attributes is None or split is None or table is None:
        raise findings.failure(folder)
    if "part" not in table:
        table = _draw_parts(split, table, attributes.index, given.seed, file, findings)
    dataset, original_att = _assemble(attributes, table, file, findings)
    if (dataset.labels >= 0).all():
        findings.extend(dataset_findings(dataset))
    findings.raise_errors(folder)
    return dataset, original_att


def unit_length(attributes: Attributes) -> Attributes:
    """The attributes of each class scaled to unit length."""
    length = np.linalg.norm(attributes, axis=1, keepdims=True)
    return np.asarray(attributes / np.where(length > 0, length, 1))


def _assemble(
    attributes: pd.DataFrame, table: pd.DataFrame, file: str, findings: Findings
) -> tuple[Dataset, Attributes]:
    """The data set of images with their ``class``, ``part`` and ``val``."""
    classes, parts, known = table["class"], table["part"], attributes.index
    if unknown := sorted(set(classes) - set(known)):
        hint = "; transposed? Each row is a class" if set(unknown) <= set(attributes.columns) else ""
        findings.error(f"{len(unknown)} classes of images have no attributes ({few(unknown)}){hint}")
    if len(unused := known[~known.isin(classes)]):
        text = f"{len(unused)} classes of the attribute table have no images and are left out"
        findings.note(f"{text} ({few(unused)})")
    if len(odd := parts[~parts.isin(PARTS)]):
        findings.error(f"{len(odd)} parts are not one of {', '.join(PARTS)} ({few(odd)})", file)
    validation = set(classes[table["val"]])
    if mixed := sorted(validation & set(classes[parts.eq("trainval") & ~table["val"]])):
        findings.error(f"{len(mixed)} classes are marked val in some rows only ({few(mixed)})")
    used = attributes[known.isin(classes)]
    number = {name: label for label, name in enumerate(used.index)}
    labels = np.array([number.get(name, -1) for name in classes], dtype=np.int64)
    ids = np.array(sorted(number[name] for name in validation if name in number), dtype=np.int64)
    rows = {part: np.flatnonzero(parts == part) for part in PARTS}
    original_att = np.ascontiguousarray(used)
    files = tuple(table["image"]) if "image" in table else ()
    dataset = Dataset(
        name="imported",
        features=no_features(len(labels)),
        labels=labels,
        class_names=tuple(used.index),
        semantics=unit_length(original_att).astype(np.float32),
        split=OfficialSplit(**rows, validation_classes=ids if len(ids) else None),
        features_name="none",
        semantics_name="att",
        attribute_names=tuple(used.columns),
        image_files=files if files and all(files) else None,
    )
    return dataset, original_att


def _draw_parts(
    split: pd.DataFrame, table: pd.DataFrame, known: pd.Index, seed: int, file: str, findings: Findings
) -> pd.DataFrame:
    """The table with ``part`` and ``val`` of every image, from those of classes."""
    listed, sides = split["class"], split["part"].map(_CLASS_PARTS)
    for wrong, fault in (
        (split["part"][sides.isna()], f"parts are not one of {', '.join(_CLASS_PARTS)}"),
        (duplicated(listed), "duplicate classes"),
        (known[known.isin(table["class"]) & ~known.isin(listed)], "classes of images are missing"),
        (listed[~listed.isin(known)], "classes have no attributes"),
    ):
        if len(wrong):
            findings.error(f"{len(wrong)} {fault} ({few(wrong)})", file)
    parts = np.full(len(table), "test_unseen", dtype=object)
    for name in listed[sides == "seen"]:
        rows = np.flatnonzero(table["class"] == name)
        parts[rows] = "trainval"
        # A generator for each class: another class more or less changes no other class's images.
        drawn = np.random.default_rng([seed, *name.encode()]).permutation(rows)
        parts[drawn[: round(TEST_SEEN * len(rows))]] = "test_seen"
    return table.assign(part=parts, val=table["class"].isin(listed[split["val"]]))
