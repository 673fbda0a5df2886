"""The images of a data set in its own order, and where each is below ``<root>/<DS>/images``.

Order and labels come from ``image_files`` and ``labels`` in ``res101.mat``, another features file,
``labels.mat`` or ``att_splits.mat``, in this order. If no file lists the images, they are sorted by path,
their class is the folder named after one, and the split must fit this order.

Listed names are paths on somebody else's machine. They are matched by their last k components, where k is the
smallest number that makes all listed names distinct.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from zslbench.data import IMAGES, SPLITS_FILE, Variables, features_files, read_mat
from zslbench.errors import DataError, MissingData

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
"""Of image files, when no list names them."""

_DEFAULT = "res101"
_SHOWN = 10
_PARTS = ("trainval", "test_seen", "test_unseen")


@dataclass(frozen=True)
class ImageList:
    """The images of a data set, in the order of its rows."""

    names: tuple[str, ...]
    """As in the data set's list."""
    labels: Int[np.ndarray, " images"]
    """Class id of each, 0-based."""
    places: tuple[str, ...]
    """The path of each below ``folder``, with ``/``."""
    folder: Path
    listed_in: str
    """The file that lists them, or ``images``."""

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(self.folder / one for one in self.places)


def list_images(folder: Path, advice: str = "") -> ImageList:
    """The images of the data set in ``folder``.

    Args:
        advice: where to get them, for the message if some are missing.

    Raises:
        MissingData: there are none, or listed ones are missing; counts and lists them.
        DataError: a name fits several files, or the class or row of an image is unknown.
    """
    root = folder / IMAGES
    files = _files(root)
    if not files:
        raise MissingData(root, ["no images here"], advice)
    listed = _listed(folder)
    if listed is None:
        return _by_folder(folder, root, files)
    names, labels, file = listed
    places = match(names, files, root, file, advice)
    return ImageList(names, labels, tuple(places), root, file)


def match(
    names: Sequence[str], files: Sequence[str], root: Path, listed_in: str, advice: str = ""
) -> list[str]:
    """The file of each listed name.

    Args:
        names: paths, of which the beginning does not matter.
        files: paths below ``root``, with ``/``.

    Raises:
        MissingData: names have no file; counts and lists them.
        DataError: a name is listed twice, or several files fit a name equally well.
    """
    wanted = [_parts(one) for one in names]
    if len(set(wanted)) != len(wanted):
        twice = next(one for one, parts in zip(names, wanted, strict=True) if wanted.count(parts) > 1)
        raise DataError(listed_in, [f"lists an image twice: {twice}"])
    least = 1
    while len({parts[-least:] for parts in wanted}) != len(wanted):
        least += 1
    by_end: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for file in files:
        by_end[_parts(file)[-least:]].append(file)
    found: list[str] = []
    missing: list[str] = []
    ambiguous: list[str] = []
    for name, parts in zip(names, wanted, strict=True):
        fits = by_end.get(parts[-least:], [])
        best = [(_shared(parts, _parts(one)), one) for one in fits]
        most = max((count for count, _ in best), default=0)
        chosen = [one for count, one in best if count == most]
        if not chosen:
            missing.append(name)
        elif len(chosen) > 1:
            ambiguous.append(f"{name} could be {' or '.join(chosen)}")
        else:
            found.append(chosen[0])
    if missing:
        shown = ", ".join("/".join(_parts(one)[-least - 1 :]) for one in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise MissingData(
            root,
            [f"{len(missing)} of {len(names)} images listed in {listed_in} are missing: {shown}{more}"],
            advice,
        )
    if ambiguous:
        fault = f"{len(ambiguous)} images listed in {listed_in} fit several files"
        raise DataError(root, [fault, *ambiguous[:_SHOWN]])
    return found


def _listed(folder: Path) -> tuple[tuple[str, ...], np.ndarray, str] | None:
    """Names, labels, and the file that has both."""
    stems = sorted(features_files(folder), key=lambda stem: stem != _DEFAULT)
    for file in [*(f"{stem}.mat" for stem in stems), "labels.mat", SPLITS_FILE]:
        if not (folder / file).is_file():
            continue
        here = read_mat(folder / file, {"image_files", "labels"})
        names = here.get("image_files")
        if not isinstance(names, list) or "labels" not in here:
            continue
        faults: list[str] = []
        labels = Variables(faults).indices(here, file, "labels")
        if labels is not None and len(labels) != len(names):
            faults.append(f"{file}: {len(names)} image_files, {len(labels)} labels")
        if faults or labels is None:
            raise DataError(folder, faults)
        return tuple(names), np.asarray(labels, dtype=np.int64), file
    return None


def _by_folder(folder: Path, root: Path, files: Sequence[str]) -> ImageList:
    """Images sorted by path, their classes from the names of folders."""
    where = folder / SPLITS_FILE
    if not where.is_file():
        raise MissingData(folder, [f"{SPLITS_FILE} is missing, so the classes are unknown"])
    keys = {"allclasses_names", *(f"{part}_loc" for part in _PARTS)}
    splits = read_mat(where, keys)
    classes = splits.get("allclasses_names")
    if not isinstance(classes, list):
        raise DataError(
            folder,
            [f"no file lists the images (image_files, labels), and {SPLITS_FILE} has no allclasses_names"],
        )
    number = {name.strip(): one for one, name in enumerate(classes)}
    images = sorted(one for one in files if one.lower().endswith(_SUFFIXES))
    labels, unplaced = [], []
    for file in images:
        found = {number[part] for part in PurePosixPath(file).parent.parts if part in number}
        if len(found) == 1:
            labels.append(found.pop())
        else:
            unplaced.append(file)
    if unplaced:
        fault = f"{len(unplaced)} images are not in a folder named after exactly one of allclasses_names"
        raise DataError(root, [f"{fault}: {', '.join(unplaced[:_SHOWN])}"])
    ids = np.asarray(labels, dtype=np.int64)
    faults: list[str] = []
    rows = [Variables(faults).indices(splits, SPLITS_FILE, f"{part}_loc") for part in _PARTS]
    if not faults:
        faults = _split_faults(ids, [one for one in rows if one is not None])
    if faults:
        raise DataError(root, faults, f"List the images in {SPLITS_FILE} (image_files, labels)")
    return ImageList(tuple(images), ids, tuple(images), root, IMAGES)


def _split_faults(labels: np.ndarray, rows: Sequence[np.ndarray]) -> list[str]:
    """Why the split cannot belong to images in sorted order."""
    all_rows = np.sort(np.concatenate(rows))
    if not np.array_equal(all_rows, np.arange(len(labels))):
        return [f"{len(labels)} images, but the split in {SPLITS_FILE} has {len(all_rows)}"]
    trained, tested, unseen = (set(labels[one].tolist()) for one in rows)
    mixed = (trained & unseen) | (tested - trained)
    if mixed:
        return [f"images sorted by path do not fit the split: it would mix up {len(mixed)} classes"]
    return []


def _files(root: Path) -> list[str]:
    """Every file below, as a path with ``/``; hidden files and folders are skipped."""
    found = []
    for folder, inner, files in os.walk(root, followlinks=True):
        inner[:] = sorted(one for one in inner if not one.startswith("."))
        below = Path(folder).relative_to(root)
        found += [(below / one).as_posix() for one in files if not one.startswith(".")]
    return sorted(found)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(one for one in name.strip().replace("\\", "/").split("/") if one not in ("", "."))


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """The number of equal components at the end."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count
