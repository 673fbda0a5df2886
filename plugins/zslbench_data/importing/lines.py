"""What the files of a custom data set say of each image: its class, its name, its part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zslbench_data.importing.tables import Table, few, flags, read_table


@dataclass(frozen=True)
class Line:
    """What is known of one image."""

    label: str
    image: str | None
    part: str | None
    val: bool


def read_lines(
    split: Table,
    labels: Path | None,
    images: Sequence[str] | None,
    rows: int | None,
    faults: list[str],
    notes: list[str],
) -> list[Line] | None:
    """What is known of each image, in the order of rows; None: it cannot be told, and ``faults`` says why.

    Args:
        split, labels, images, rows: as for :func:`zslbench_data.importing.custom.plan`.
    """
    parts = split.column("part")
    if parts is None:
        faults.append(f"{split.path.name} has no column 'part' (it has {', '.join(split.names)})")
        return None
    of_images = split.column("image") is not None or split.column("row") is not None
    if not of_images and split.column("class") is None:
        faults.append(f"{split.path.name} has no column 'image', 'row' or 'class': it tells of nothing")
        return None
    source: Table | None = split
    if not of_images:
        source = None if labels is None else read_table(labels, faults)
        if source is None:
            if rows is None and images is not None and labels is None:
                return [Line(PurePosixPath(one).parts[0], one, None, False) for one in sorted(images)]
            if labels is None:
                faults.append(f"{split.path.name} is a split of classes: --labels must say each row's class")
            return None
    assert source is not None
    names, classes = source.column("image"), source.column("class")
    count = len(source.rows)
    if classes is None:
        if names is None or images is None:
            faults.append(f"{source.path.name} has no column 'class', and no image folder says it")
            return None
        classes = tuple((*PurePosixPath(one).parts[:-1], "")[0] for one in names)
        lost = sum(not one for one in classes)
        if lost:
            faults.append(
                f"{source.path.name}: {lost} images are in no sub-folder, which would name their class"
            )
    if images is not None and names is not None:
        _compare_images(source, names, images, faults, notes)
    val = flags(split, faults) if of_images else (False,) * count
    told = parts if of_images else (None,) * count
    order = _order(source, names, rows, faults)
    if order is None:
        return None
    return [Line(classes[k], None if names is None else names[k], told[k], val[k]) for k in order]


def _compare_images(
    source: Table, names: Sequence[str], images: Sequence[str], faults: list[str], notes: list[str]
) -> None:
    twice = len(names) - len(set(names))
    if twice:
        faults.append(f"{source.path.name}: {twice} images stand there twice")
    missing = sorted(set(names) - set(images))
    if missing:
        faults.append(
            f"{len(missing)} images of {source.path.name} are not in the image folder ({few(missing)})"
        )
    extra = sorted(set(images) - set(names))
    if extra:
        notes.append(f"{len(extra)} pictures of the image folder are in no part and left out ({few(extra)})")


def _order(
    source: Table, names: Sequence[str] | None, rows: int | None, faults: list[str]
) -> list[int] | None:
    """Which line tells of each row."""
    numbers = source.column("row")
    count = len(source.rows)
    if rows is None:
        if names is None:
            faults.append(f"{source.path.name} has no column 'image', and there are no arrays")
            return None
        return sorted(range(count), key=lambda one: names[one])
    if numbers is None:
        if count != rows:
            faults.append(f"{source.path.name} tells of {count} rows, the arrays have {rows}")
            return None
        return list(range(count))
    odd = [one for one in numbers if not one.isdecimal() or int(one) >= rows]
    if odd:
        faults.append(
            f"{source.path.name}: {len(odd)} values of row are not from 0 to {rows - 1} ({few(odd)})"
        )
        return None
    places = {int(one): line for line, one in enumerate(numbers)}
    if len(places) != count or len(places) != rows:
        twice, silent = count - len(places), rows - len(places)
        faults.append(
            f"{source.path.name}: {twice} rows stand there twice, {silent} of {rows} rows not at all"
        )
        return None
    return [places[one] for one in range(rows)]
