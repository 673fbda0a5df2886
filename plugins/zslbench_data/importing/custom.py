"""A custom data set put together from an image folder or arrays, a table of class attributes and a split.

Which image is of which class, in which part:

* the split file has a column ``part`` and tells of images (columns ``image`` or ``row``) or of classes
  (column ``class`` alone). Of images: ``trainval``, ``test_seen`` or ``test_unseen``. Of classes:
  ``trainval`` (or ``seen``) and ``test_unseen`` (or ``unseen``); of each seen class a fifth of the images,
  drawn with a fixed seed, becomes ``test_seen``. A column ``val`` marks validation classes with 1.
* an image's class is what the column ``class`` says, else the sub-folder of the image folder that it is in.
* with arrays, line k of the split file (or of the labels file, where the split is of classes) tells of row k,
  unless a column ``row`` says otherwise, counting from 0. Without arrays, rows are images sorted by name.

Classes of the attribute table without any image are left out, and told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from zslbench.data import dataset_faults, no_features
from zslbench.errors import DataError
from zslbench.plugin import Dataset, OfficialSplit
from zslbench_data.importing.lines import Line, read_lines
from zslbench_data.importing.tables import Attributes, Table, few, flags, read_attributes, read_table

PARTS = ("trainval", "test_seen", "test_unseen")
TEST_SEEN = 0.2
"""Share of a seen class's images that becomes test_seen where the split is of classes (Xian et al. 2018)."""

CLASS_PARTS = {"trainval": "seen", "seen": "seen", "test_unseen": "unseen", "unseen": "unseen"}


@dataclass(frozen=True)
class Plan:
    """Everything of a custom data set but its features."""

    labels: Int[np.ndarray, " images"]
    class_names: tuple[str, ...]
    attribute_names: tuple[str, ...]
    original_att: Float[np.ndarray, "classes attributes"]
    """As given."""
    att: Float[np.ndarray, "classes attributes"]
    """Of unit length, as the field's files have them."""
    split: OfficialSplit
    image_files: tuple[str, ...] | None
    """Below the image folder where there is one."""
    notes: tuple[str, ...]


def plan(
    attributes: Path,
    split: Path,
    *,
    labels: Path | None = None,
    images: Sequence[str] | None = None,
    rows: int | None = None,
    seed: int = 0,
    found: Sequence[str] = (),
) -> Plan:
    """Put a data set together.

    Args:
        attributes: CSV with class attributes.
        split: CSV with the split.
        labels: CSV that tells of rows (columns ``class``, perhaps ``image`` and ``row``).
        images: pictures below the image folder, as ``class/file.jpg``; None: there is none.
        rows: of the arrays; None: there are none.
        seed: of the automatic test_seen.
        found: faults that are known already.

    Raises:
        MissingData: a file is not there.
        DataError: lists every fault, with counts.
    """
    faults, notes = list(found), list[str]()
    given = read_attributes(attributes, faults)
    table = read_table(split, faults)
    lines = None if table is None else read_lines(table, labels, images, rows, faults, notes)
    if given is None or lines is None or table is None:
        raise DataError(split.parent, faults)
    made = _assemble(given, table, lines, seed, faults, notes)
    if (made.labels >= 0).all():
        faults += dataset_faults(placeholder(made))
    if faults:
        raise DataError(split.parent, faults)
    return made


def placeholder(plan: Plan) -> Dataset:
    """The planned data set with features of zeros: for the checks that do not look at features."""
    return Dataset(
        name="imported",
        features=no_features(len(plan.labels)),
        labels=plan.labels,
        class_names=plan.class_names,
        semantics=plan.att.astype(np.float32),
        split=plan.split,
        features_name="none",
        semantics_name="att",
        attribute_names=plan.attribute_names,
        image_files=plan.image_files,
    )


def _assemble(
    given: Attributes, table: Table, lines: list[Line], seed: int, faults: list[str], notes: list[str]
) -> Plan:
    names = [one.label for one in lines]
    unknown = sorted(set(names) - set(given.classes))
    if unknown:
        faults.append(f"{len(unknown)} classes of images have no attributes ({few(unknown)})")
    used = [one for one in given.classes if one in set(names)]
    if len(used) < len(given.classes):
        idle = [one for one in given.classes if one not in set(used)]
        notes.append(
            f"{len(idle)} classes of the attribute table have no images and are left out ({few(idle)})"
        )
    number = {name: one for one, name in enumerate(used)}
    labels = np.array([number.get(one, -1) for one in names], dtype=np.int64)
    parts = np.array([one.part or "" for one in lines])
    held = {one.label for one in lines if one.val}
    if lines and lines[0].part is None:
        parts, held = _parts_of_classes(table, labels, used, given.classes, seed, faults)
    else:
        odd = [one for one in parts.tolist() if one not in PARTS]
        if odd:
            faults.append(f"{table.path.name}: {len(odd)} parts are none of {', '.join(PARTS)} ({few(odd)})")
        mixed = {one.label for one in lines if not one.val and one.part == "trainval"} & held
        if mixed:
            faults.append(f"{len(mixed)} classes are marked val in some rows only ({few(sorted(mixed))})")
    where = [np.flatnonzero(parts == part) for part in PARTS]
    validation = np.array(sorted(number[one] for one in held if one in number), dtype=np.int64)
    rows = [given.classes.index(one) for one in used]
    original = given.values[rows]
    length = np.linalg.norm(original, axis=1, keepdims=True)
    files = tuple(one.image or "" for one in lines)
    return Plan(
        labels,
        tuple(used),
        given.names,
        original,
        original / np.where(length > 0, length, 1),
        OfficialSplit(where[0], where[1], where[2], validation if len(validation) else None),
        files if files and all(files) else None,
        tuple(notes),
    )


def _parts_of_classes(
    table: Table,
    labels: Int[np.ndarray, " images"],
    used: list[str],
    known: tuple[str, ...],
    seed: int,
    faults: list[str],
) -> tuple[np.ndarray, set[str]]:
    """The part of every image from those of classes, and the validation classes."""
    classes, told = table.column("class") or (), table.column("part") or ()
    odd = [one for one in told if one not in CLASS_PARTS]
    if odd:
        faults.append(
            f"{table.path.name}: {len(odd)} parts are none of {', '.join(CLASS_PARTS)} ({few(odd)})"
        )
    twice = sorted({one for one in classes if classes.count(one) > 1})
    if twice:
        faults.append(f"{table.path.name}: {len(twice)} classes stand there twice ({few(twice)})")
    side = {one: CLASS_PARTS.get(part, "") for one, part in zip(classes, told, strict=True)}
    absent = [one for one in used if one not in side]
    if absent:
        faults.append(f"{table.path.name} does not name {len(absent)} classes of images ({few(absent)})")
    strange = [one for one in classes if one not in known]
    if strange:
        faults.append(f"{len(strange)} classes of {table.path.name} have no attributes ({few(strange)})")
    parts = np.full(len(labels), "test_unseen", dtype="<U11")
    for one, name in enumerate(used):
        rows = np.flatnonzero(labels == one)
        if side.get(name) == "seen":
            parts[rows] = "trainval"
            # A generator of each class's own: another class more or less changes no other class's images.
            drawn = np.random.default_rng([seed, *name.encode()]).permutation(rows)
            parts[drawn[: round(TEST_SEEN * len(rows))]] = "test_seen"
    held = {one for one, val in zip(classes, flags(table, faults), strict=True) if val}
    return parts, held
