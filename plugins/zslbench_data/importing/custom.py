"""Plans a custom data set from an image folder or arrays, a table of class attributes and a split.

The class and the part of each image:

* the split file has a column ``part`` and is of images (columns ``image`` or ``row``) or of classes (column
  ``class`` alone). Of images: ``trainval``, ``test_seen`` or ``test_unseen``. Of classes: ``trainval`` (or
  ``seen``) and ``test_unseen`` (or ``unseen``); a fifth of each seen class's images, drawn with a fixed seed,
  becomes ``test_seen``. A column ``val`` marks validation classes with 1.
* an image's class is in the column ``class``, else it is the sub-folder of the image folder.
* with arrays, line k of the split file (or of the labels file, if the split is of classes) is about row k,
  unless
  a column ``row`` says otherwise, counting from 0. Without arrays, rows are images sorted by name.

Classes of the attribute table without any image are left out, with a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from zslbench.data import PARTS, Findings, dataset_findings, few, no_features
from zslbench.plugin import Dataset, OfficialSplit
from zslbench_data.importing.tables import (
    ClassAttributes,
    ImageRow,
    Table,
    duplicated,
    read_attributes,
    read_rows,
    read_table,
    validation_flags,
)

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
    """Of the region store; None: the stem of the array's file."""
    dtype: str = "keep"
    """What regions are stored in: ``keep``, ``float16``, ``float32``."""
    seed: int = 0
    """Of the automatic test_seen."""
    link: bool = False
    """Whether to link images instead of copying them."""

    @property
    def stem(self) -> str | None:
        """Of the features file; None: there are no features."""
        return None if self.features is None else self.features_name or self.features.stem


@dataclass(frozen=True)
class Planned:
    """A custom data set without its features."""

    dataset: Dataset
    """With attributes scaled to unit length as semantics."""
    original_att: Float[np.ndarray, "classes attributes"]
    """As given, float64."""
    att: Float[np.ndarray, "classes attributes"]
    """Scaled to unit length, float64."""


def plan(given: CustomFiles, findings: Findings, images: Sequence[str] | None, rows: int | None) -> Planned:
    """Put a data set together.

    Args:
        findings: faults that are known already; faults and notes join them.
        images: files in the image folder, as ``class/file.jpg``; None: there is no folder.
        rows: number of the arrays' rows; None: there are no arrays.

    Raises:
        MissingData: a file does not exist.
        DataError: lists every fault, with counts.
    """
    attributes, folder = read_attributes(given.attributes, findings), given.split.parent
    table = read_table(given.split, findings)
    lines = None if table is None else read_rows(table, given.labels, images, rows, findings)
    if attributes is None or lines is None or table is None:
        raise findings.failure(folder)
    planned = _assemble(attributes, table, lines, given.seed, findings)
    if (planned.dataset.labels >= 0).all():
        findings.extend(dataset_findings(planned.dataset))
    findings.raise_errors(folder)
    return planned


def _assemble(
    given: ClassAttributes, table: Table, lines: list[ImageRow], seed: int, findings: Findings
) -> Planned:
    names = [line.class_name for line in lines]
    if unknown := sorted(set(names) - set(given.classes)):
        findings.error(f"{len(unknown)} classes of images have no attributes ({few(unknown)})")
    used = [name for name in given.classes if name in set(names)]
    if unused := [name for name in given.classes if name not in set(used)]:
        findings.note(
            f"{len(unused)} classes of the attribute table have no images and are left out ({few(unused)})"
        )
    number = {name: index for index, name in enumerate(used)}
    labels = np.array([number.get(name, -1) for name in names], dtype=np.int64)
    if lines and lines[0].part is None:
        parts, validation = _parts_of_classes(table, labels, used, given.classes, seed, findings)
    else:
        parts = np.array([line.part or "" for line in lines])
        validation = {line.class_name for line in lines if line.validation}
        if odd := [part for part in parts.tolist() if part not in PARTS]:
            text = f"{len(odd)} parts are not one of {', '.join(PARTS)} ({few(odd)})"
            findings.error(text, table.path.name)
        trained = {line.class_name for line in lines if line.part == "trainval" and not line.validation}
        if mixed := sorted(trained & validation):
            findings.error(f"{len(mixed)} classes are marked val in some rows only ({few(mixed)})")
    rows = [np.flatnonzero(parts == part) for part in PARTS]
    ids = np.array(sorted(number[name] for name in validation if name in number), dtype=np.int64)
    original = given.values[[given.classes.index(name) for name in used]]
    length = np.linalg.norm(original, axis=1, keepdims=True)
    att = original / np.where(length > 0, length, 1)
    files = tuple(line.image or "" for line in lines)
    dataset = Dataset(
        name="imported",
        features=no_features(len(labels)),
        labels=labels,
        class_names=tuple(used),
        semantics=att.astype(np.float32),
        split=OfficialSplit(rows[0], rows[1], rows[2], ids if len(ids) else None),
        features_name="none",
        semantics_name="att",
        attribute_names=given.names,
        image_files=files if files and all(files) else None,
    )
    return Planned(dataset, original, att)


def _parts_of_classes(
    table: Table,
    labels: Int[np.ndarray, " images"],
    used: list[str],
    known: tuple[str, ...],
    seed: int,
    findings: Findings,
) -> tuple[np.ndarray, set[str]]:
    """The part of every image from those of classes, and the validation classes."""
    classes, given = table.column("class") or (), table.column("part") or ()
    side = {name: _CLASS_PARTS.get(part, "") for name, part in zip(classes, given, strict=True)}
    allowed = ", ".join(_CLASS_PARTS)
    for wrong, fault in (
        ([part for part in given if part not in _CLASS_PARTS], f"parts are not one of {allowed}"),
        (duplicated(classes), "duplicate classes"),
        ([name for name in used if name not in side], "classes of images are missing"),
        ([name for name in classes if name not in known], "classes have no attributes"),
    ):
        if wrong:
            findings.error(f"{len(wrong)} {fault} ({few(wrong)})", table.path.name)
    parts = np.full(len(labels), "test_unseen", dtype="<U11")
    for number, name in enumerate(used):
        rows = np.flatnonzero(labels == number)
        if side.get(name) == "seen":
            parts[rows] = "trainval"
            # A generator for each class: another class more or less changes no other class's images.
            drawn = np.random.default_rng([seed, *name.encode()]).permutation(rows)
            parts[drawn[: round(TEST_SEEN * len(rows))]] = "test_seen"
    validation = {name for name, flag in zip(classes, validation_flags(table, findings), strict=True) if flag}
    return parts, validation
