"""Finds the images of a data set, in its own order, below ``<root>/<DS>/images`` or another folder.

Order and labels come from ``image_files`` and ``labels`` in ``res101.mat``, another features file,
``labels.mat`` or ``att_splits.mat``, in this order. If no file lists the images, they are sorted by path,
their class is the folder named after one, and the split must fit this order.

Listed names are paths on another machine. They are matched by their last k components, where k is the
smallest number that makes all listed names distinct.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from zslbench.data.folder import FolderContents, label_files
from zslbench.data.kinds import absence
from zslbench.data.locations import IMAGES, SPLITS_FILE
from zslbench.data.validate import PARTS, Findings
from zslbench.errors import DataError, MissingData

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
"""Suffixes of image files, for folders without a list of images."""

_SHOWN = 10
_MOST_LINKS = 1000
"""How many links to one folder are followed."""
_DEEPEST = 100
"""How many levels of folders are searched."""


@dataclass(frozen=True)
class ImageList:
    """The images of a data set, in the order of its rows."""

    names: tuple[str, ...]
    """As in the data set's list."""
    labels: Int[np.ndarray, " images"]
    """Class id of each, 0-based."""
    files: tuple[str, ...]
    """The path of each below ``folder``, with ``/``."""
    folder: Path
    listed_in: str
    """The file that lists them, or ``images``."""

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(self.folder / file for file in self.files)


def list_images(folder: Path, advice: str = "", root: Path | None = None) -> ImageList:
    """The images of the data set in ``folder``.

    Args:
        root: the folder that they are in; None: ``images`` in ``folder``.
        advice: where to get them, for the message if some are missing.

    Raises:
        MissingData: there are none, or listed ones are missing; counts and lists them.
        DataError: a name fits several files, or the class or row of an image is unknown.
    """
    root = root or folder / IMAGES
    files = files_below(root)
    if not files:
        raise MissingData(root, ["no images here"], advice)
    findings = Findings()
    for listed in label_files(folder, findings, unreadable="warning"):
        findings.raise_errors(folder)
        if (names := listed.image_files) is not None:
            matched = match(names, files, root, listed.file, advice)
            return ImageList(names, listed.labels, tuple(matched), root, listed.file)
    findings.raise_errors(folder)
    return _by_folder(folder, root, files)


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
    endings = [_ending(name) for name in names]
    if len(set(endings)) != len(endings):
        twice = next(name for name, ending in zip(names, endings, strict=True) if endings.count(ending) > 1)
        raise DataError(listed_in, [f"lists an image twice: {twice}"])
    least = 1
    while len({ending[:least] for ending in endings}) != len(endings):
        least += 1
    candidates: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for file in files:
        candidates[_ending(file)[:least]].append(file)
    found: dict[str, list[str]] = {}
    for name, ending in zip(names, endings, strict=True):
        near = candidates.get(ending[:least], [])
        shared = [len(os.path.commonprefix([ending, _ending(file)])) for file in near]  # noqa: RUF071 (tuples)
        found[name] = [file for file, count in zip(near, shared, strict=True) if count == max(shared)]
    if missing := [name for name, fits in found.items() if not fits]:
        shown = ", ".join("/".join(_ending(name)[least::-1]) for name in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        fault = f"{len(missing)} of {len(names)} images listed in {listed_in} are missing: {shown}{more}"
        raise MissingData(root, [fault], advice)
    if unclear := [f"{name} could be {' or '.join(fits)}" for name, fits in found.items() if len(fits) > 1]:
        fault = f"{len(unclear)} images listed in {listed_in} fit several files"
        raise DataError(root, [fault, *unclear[:_SHOWN]])
    return [fits[0] for fits in found.values()]


def _by_folder(folder: Path, root: Path, files: Sequence[str]) -> ImageList:
    """Images sorted by path, their classes from the names of folders."""
    if not (folder / SPLITS_FILE).is_file():
        raise MissingData(folder, [f"{SPLITS_FILE} is missing, so the classes are unknown"])
    contents = FolderContents(folder)
    if contents.variables and not contents.class_names:
        fault = f"no file lists the images (image_files, labels), and {SPLITS_FILE} has no allclasses_names"
        raise DataError(folder, [fault])
    contents.findings.raise_errors(folder)
    number = {name: label for label, name in enumerate(contents.class_names)}
    names = [file for file in files if file.lower().endswith(IMAGE_SUFFIXES)]
    found = [{number[part] for part in PurePosixPath(file).parent.parts if part in number} for file in names]
    if unclear := [file for file, classes in zip(names, found, strict=True) if len(classes) != 1]:
        fault = f"{len(unclear)} images are not in a folder named after exactly one of allclasses_names"
        raise DataError(root, [f"{fault}: {', '.join(unclear[:_SHOWN])}"])
    labels = np.array([classes.pop() for classes in found], dtype=np.int64)
    advice, parts = f"List the images in {SPLITS_FILE} (image_files, labels)", contents.parts
    rows = np.sort(np.concatenate(list(parts.values())))
    if not np.array_equal(rows, np.arange(len(labels))):
        fault = f"{len(labels)} images, but the split in {SPLITS_FILE} has {len(rows)}"
        raise DataError(root, [fault], advice)
    trained, tested, unseen = (set(labels[parts[part]].tolist()) for part in PARTS)
    if mixed := (trained & unseen) | (tested - trained):
        fault = f"images sorted by path do not fit the split: it would mix up {len(mixed)} classes"
        raise DataError(root, [fault], advice)
    return ImageList(tuple(names), labels, tuple(names), root, IMAGES)


def files_below(root: Path) -> list[str]:
    """Every file below a folder, as a path with ``/``, sorted; hidden files and folders are skipped.

    Raises:
        DataError: a link leads to a folder that contains it, or links multiply; or an entry is a named pipe,
            a socket or a device.
    """
    found: list[str] = []
    times: Counter[tuple[int, int]] = Counter()

    def walk(folder: str, below: str, outside: tuple[tuple[int, int], ...]) -> None:
        status = Path(folder).stat()
        own = status.st_dev, status.st_ino
        times[own] += 1
        if own in outside:
            raise DataError(folder, ["is a link to a folder that contains it"], "Remove the link")
        if times[own] > _MOST_LINKS or len(outside) > _DEEPEST:
            raise DataError(folder, ["is linked too many times, or nested too deeply"])
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{below}{entry.name}"
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    walk(entry.path, f"{name}/", (*outside, own))
                elif entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists()):
                    found.append(name)  # also a link to nothing, which is reported where it is read
                else:
                    raise DataError(entry.path, [absence(Path(entry.path))], "Remove it")

    if root.is_dir():
        walk(str(root), "", ())
    return sorted(found)


def _ending(name: str) -> tuple[str, ...]:
    """The components of a path from the last to the first."""
    parts = name.strip().replace("\\", "/").split("/")
    return tuple(part for part in reversed(parts) if part not in ("", "."))
