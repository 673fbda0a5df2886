"""Which pictures a data set has, in its own order, and where each lies below ``<root>/<DS>/images``.

The order and the labels are those of ``image_files`` and ``labels`` in ``res101.mat``, else in another
features file, else in ``labels.mat`` or ``att_splits.mat``. Where no file lists the pictures, they are taken
in the sorted order of their paths, with the class that a folder on the way is named after; the split must
then fit that order.

Listed names are paths of somebody else's machine. They are matched from their end: the last k components
must be equal, k being the least number that tells all listed names apart.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from zslbench.data import IMAGES, SPLITS_FILE, features_files, read_mat
from zslbench.data.xlsa17_variables import Variables
from zslbench.errors import DataError, MissingData

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
"""Endings of pictures where no list says which files are meant."""

_DEFAULT = "res101"
_SHOWN = 10
_PARTS = ("trainval", "test_seen", "test_unseen")


@dataclass(frozen=True)
class Pictures:
    """The pictures of a data set, in the order of its rows."""

    names: tuple[str, ...]
    """As the data set calls them."""
    labels: Int[np.ndarray, " images"]
    """Class id of each, 0-based."""
    places: tuple[str, ...]
    """Where each lies below ``folder``, with ``/``."""
    folder: Path
    listed_in: str
    """The file that lists them, or the folder."""

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(self.folder / one for one in self.places)


def pictures_of(folder: Path, advice: str = "") -> Pictures:
    """The pictures of the data set in ``folder``.

    Args:
        advice: where to get them, for the message when some are missing.

    Raises:
        MissingData: there are none, or some that the data set lists; counts and lists those.
        DataError: names fit several files, or nothing says which class and row a picture belongs to.
    """
    place = folder / IMAGES
    files = _files(place)
    if not files:
        raise MissingData(place, ["no pictures here"], advice)
    listed = _listed(folder)
    if listed is None:
        return _by_folder(folder, place, files)
    names, labels, file = listed
    places = match(names, files, place, file, advice)
    return Pictures(names, labels, tuple(places), place, file)


def match(
    names: Sequence[str], files: Sequence[str], place: Path, listed_in: str, advice: str = ""
) -> list[str]:
    """The file of each listed name.

    Args:
        names: paths, whose beginnings do not matter.
        files: paths below ``place``, with ``/``.

    Raises:
        MissingData: some names have no file; counts and lists them.
        DataError: a name is listed twice, or several files fit one equally well.
    """
    wanted = [_parts(one) for one in names]
    if len(set(wanted)) != len(wanted):
        twice = next(one for one, parts in zip(names, wanted, strict=True) if wanted.count(parts) > 1)
        raise DataError(listed_in, [f"lists a picture twice: {twice}"])
    least = 1
    while len({parts[-least:] for parts in wanted}) != len(wanted):
        least += 1
    by_end: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for file in files:
        by_end[_parts(file)[-least:]].append(file)
    found: list[str] = []
    missing: list[str] = []
    unclear: list[str] = []
    for name, parts in zip(names, wanted, strict=True):
        fits = by_end.get(parts[-least:], [])
        best = [(_shared(parts, _parts(one)), one) for one in fits]
        most = max((count for count, _ in best), default=0)
        chosen = [one for count, one in best if count == most]
        if not chosen:
            missing.append(name)
        elif len(chosen) > 1:
            unclear.append(f"{name} may be {' or '.join(chosen)}")
        else:
            found.append(chosen[0])
    if missing:
        shown = ", ".join("/".join(_parts(one)[-least - 1 :]) for one in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise MissingData(
            place,
            [f"{len(missing)} of {len(names)} pictures of {listed_in} are missing: {shown}{more}"],
            advice,
        )
    if unclear:
        raise DataError(
            place, [f"{len(unclear)} pictures of {listed_in} fit several files", *unclear[:_SHOWN]]
        )
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


def _by_folder(folder: Path, place: Path, files: Sequence[str]) -> Pictures:
    """Pictures in the sorted order of their paths, of the classes that their folders are named after."""
    where = folder / SPLITS_FILE
    if not where.is_file():
        raise MissingData(folder, [f"{SPLITS_FILE} is missing: nothing says which classes there are"])
    keys = {"allclasses_names", *(f"{part}_loc" for part in _PARTS)}
    splits = read_mat(where, keys)
    classes = splits.get("allclasses_names")
    if not isinstance(classes, list):
        raise DataError(
            folder,
            [f"no file lists the pictures (image_files, labels), {SPLITS_FILE} has no allclasses_names"],
        )
    number = {name.strip(): one for one, name in enumerate(classes)}
    kept = sorted(one for one in files if one.lower().endswith(SUFFIXES))
    labels, homeless = [], []
    for file in kept:
        of = {number[part] for part in PurePosixPath(file).parent.parts if part in number}
        if len(of) == 1:
            labels.append(of.pop())
        else:
            homeless.append(file)
    if homeless:
        raise DataError(
            place,
            [
                f"{len(homeless)} pictures lie in no folder named after one class of allclasses_names: "
                + ", ".join(homeless[:_SHOWN])
            ],
        )
    ids = np.asarray(labels, dtype=np.int64)
    faults: list[str] = []
    rows = [Variables(faults).indices(splits, SPLITS_FILE, f"{part}_loc") for part in _PARTS]
    if not faults:
        faults = _misfits(ids, [one for one in rows if one is not None])
    if faults:
        raise DataError(place, faults, f"List the pictures in {SPLITS_FILE} (image_files, labels)")
    return Pictures(tuple(kept), ids, tuple(kept), place, IMAGES)


def _misfits(labels: np.ndarray, rows: Sequence[np.ndarray]) -> list[str]:
    """Why the split cannot be that of pictures in sorted order."""
    all_rows = np.sort(np.concatenate(rows))
    if not np.array_equal(all_rows, np.arange(len(labels))):
        return [f"{len(labels)} pictures, but the split of {SPLITS_FILE} is of {len(all_rows)} images"]
    trained, tested, unseen = (set(labels[one].tolist()) for one in rows)
    strange = (trained & unseen) | (tested - trained)
    if strange:
        return [f"pictures sorted by name do not fit the split: it would mix up {len(strange)} classes"]
    return []


def _files(place: Path) -> list[str]:
    """Every file below, as a path with ``/``; what begins with a dot is none of ours."""
    found = []
    for folder, inner, files in os.walk(place, followlinks=True):
        inner[:] = sorted(one for one in inner if not one.startswith("."))
        below = Path(folder).relative_to(place)
        found += [(below / one).as_posix() for one in files if not one.startswith(".")]
    return sorted(found)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(one for one in name.strip().replace("\\", "/").split("/") if one not in ("", "."))


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many components are equal from the end."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count
