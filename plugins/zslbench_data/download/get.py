"""Gets one part of a data set: archive, extraction, files in their place, and the record of their origin."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from zslbench.data import ATTRIBUTE_NAMES, IMAGES, SPLITS_FILE, find_folder, sidecar
from zslbench.errors import DataError, MissingData
from zslbench.store import read_records, sha256_of, sync_folder, write_whole
from zslbench_data.download.archives import Fetched, Fetcher, write_records
from zslbench_data.download.catalogue import Catalogue, Entry, Part
from zslbench_data.download.transfer import check_room
from zslbench_data.download.unpack import STAMP, Unpacked, unpack

LISTING = "images.sha256"
"""sha256 of every image, in the format of ``sha256sum``."""
NAMES_FILE = ATTRIBUTE_NAMES
"""The official attribute names, one per line, in the order of the rows of ``att``."""
SOURCES = "sources.json"
"""Which archive, address, date and bytes each file of a data set comes from."""

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")
_NUMBERED = re.compile(r"\s*(\d+)\s+(\S.*?)\s*")


@dataclass(frozen=True)
class PartResult:
    """What happened to one part."""

    dataset: str
    what: str
    new: bool
    """Whether anything was downloaded or extracted."""
    text: str
    """What is there now, for people."""


def get_part(
    catalogue: Catalogue, entry: Entry, what: str, root: Path, fetcher: Fetcher, *, force: bool = False
) -> PartResult:
    """Get one part of a data set into its folder below ``root``; existing files stay.

    Args:
        what: ``splits``, ``names`` or ``images``.
        force: extract again and replace existing files.

    Raises:
        MissingData: it cannot be downloaded; says what to do by hand.
        DownloadError: every address failed, or the disk is too full.
        DataError: the archive is damaged, incomplete or unsafe.
    """
    folder = find_folder(root, entry.folder) or root / entry.folder
    part = entry.part(what)
    if not force and is_present(folder, part, what):
        return PartResult(entry.name, what, False, f"already in {folder}")
    if part is None:
        advice = entry.by_hand.get(what, "").format(folder=folder / IMAGES)
        raise MissingData(f"{what} of {entry.name}", ["cannot be downloaded"], advice)
    fetched = fetcher.fetch(catalogue.archives[part.archive])
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".get.lock"):
        staging = folder / f".{what}.incoming"
        check_room(folder, 0 if staging.is_dir() else part.unpacked)  # resuming, most of it may be there
        stamp = fetched.record["sha256"]
        files = unpack(
            fetched.path, staging, chooser(part), expected=part.unpacked, stamp=stamp, display=fetcher.display
        )
        place = {"splits": _place_files, "names": _place_names, "images": _place_images}[what]
        try:
            _refuse_incomplete(part, files, fetched)
            if not force:
                _refuse_to_replace(folder, files)
            text = place(entry, part, folder, staging, files, fetched)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        sync_folder(folder)
    return PartResult(entry.name, what, True, f"{text}, from {fetched.path.name}")


def is_present(folder: Path, part: Part | None, what: str) -> bool:
    """Whether a part of a data set is on the disk."""
    if what == "names":
        return sidecar(folder, ATTRIBUTE_NAMES) is not None
    if what == "images":
        return (folder / IMAGES).is_dir()
    members = [SPLITS_FILE] if part is None else [one.rpartition("/")[2] for one in part.members]
    return all((folder / one).is_file() for one in members)


def chooser(part: Part) -> Callable[[tuple[str, ...]], str | None]:
    """A function from the parts of a member's path to the file it becomes; None: it is not part of this."""
    patterns = [PurePosixPath(one).parts for one in (*part.members, *part.optional)]
    below = PurePosixPath(part.below).parts if part.below else None

    def choose(parts: tuple[str, ...]) -> str | None:
        if not parts or "__MACOSX" in parts or parts[-1].startswith("._"):
            return None  # what macOS adds to archives
        if below is not None:
            return _image_path(below, parts)
        return parts[-1] if any(_ends_with(parts, one) for one in patterns) else None

    return choose


def _ends_with(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    tail = parts[-len(pattern) :]
    return len(tail) == len(pattern) and all(map(fnmatchcase, tail, pattern))


def _image_path(below: tuple[str, ...], parts: tuple[str, ...]) -> str | None:
    if parts[-1].lower().endswith(_IMAGE_SUFFIXES):
        for start in range(len(parts) - len(below)):
            if parts[start : start + len(below)] == below:
                return "/".join(parts[start + len(below) :])
    return None


def _refuse_incomplete(part: Part, files: Mapping[str, Unpacked], fetched: Fetched) -> None:
    missing = [one for one in part.members if one.rpartition("/")[2] not in files]
    if part.below and not files:
        missing = [f"images below {part.below}"]
    if missing:
        advice = f"Look at {fetched.archive.page}"
        raise DataError(fetched.path, [f"does not contain {one}" for one in missing], advice)


def _refuse_to_replace(folder: Path, files: Mapping[str, Unpacked]) -> None:
    """Raise DataError if files of another origin would be replaced."""
    others = [
        one
        for one in sorted(files)
        if (folder / one).is_file() and sha256_of(folder / one) != files[one].sha256
    ]
    if others:
        fault = f"existing files differ from the archive's: {', '.join(others)}"
        raise DataError(folder, [fault], "Move them away, or pass --force to replace them")


def _place_files(
    entry: Entry, part: Part, folder: Path, staging: Path, files: Mapping[str, Unpacked], fetched: Fetched
) -> str:
    # The splits file makes the folder a data set, so it comes last.
    order = sorted(files, key=lambda one: (one == SPLITS_FILE, one))
    record_sources(folder, {one: _origin(fetched, files[one]) for one in order}, fetched)
    for one in order:
        (staging / one).replace(folder / one)
    required = [one.rpartition("/")[2] for one in part.members]
    lists = len(files) - len(required)
    return ", ".join(required) + (f" and {lists} class list{'s' if lists > 1 else ''}" if lists else "")


def _place_names(
    entry: Entry, part: Part, folder: Path, staging: Path, files: Mapping[str, Unpacked], fetched: Fetched
) -> str:
    ((file, one),) = files.items()
    names = parse_names(staging / file, part.form or "lines")
    count = entry.counts["attributes"]
    if len(names) != count:
        fault = f"{one.member} has {len(names)} names, {entry.name} has {count} attributes"
        raise DataError(fetched.path, [fault])
    write_names(folder, names)
    path = folder / NAMES_FILE
    written = {"bytes": path.stat().st_size, "sha256": sha256_of(path), "member_sha256": one.sha256}
    record_sources(folder, {NAMES_FILE: {**_origin(fetched, one), **written}}, fetched)
    return f"{len(names)} attribute names in {NAMES_FILE}"


def _place_images(
    entry: Entry, part: Part, folder: Path, staging: Path, files: Mapping[str, Unpacked], fetched: Fetched
) -> str:
    listing = "".join(f"{files[one].sha256}  {IMAGES}/{one}\n" for one in sorted(files))
    write_whole(folder / LISTING, listing.encode("utf-8", "surrogateescape"))
    if (folder / IMAGES).exists():  # with --force, the old ones go once the new ones are complete
        shutil.rmtree(folder / IMAGES)
    staging.replace(folder / IMAGES)
    (folder / IMAGES / STAMP).unlink()
    size = sum(one.size for one in files.values())
    record = {"archive": fetched.archive.file, "member": f"{part.below}/**", "bytes": size}
    record_sources(folder, {IMAGES: {**record, "files": len(files), "listing": LISTING}}, fetched)
    return f"{len(files)} images in {folder / IMAGES}"


def parse_names(path: Path, form: str) -> list[str]:
    """The names in a file.

    Args:
        form: ``numbered`` (a number, blanks, a name: CUB's ``attributes.txt``, AWA's ``predicates.txt``),
            ``lines`` (aPY), or ``mat:<variable>`` (a MATLAB cell array: SUN's ``attributes.mat``).

    Raises:
        DataError: the file has another form.
    """
    if form.startswith("mat:"):
        from zslbench.data import read_mat

        variable = form.removeprefix("mat:")
        found = read_mat(path, {variable}).get(variable)
        if not isinstance(found, list):
            raise DataError(path, [f"has no list of names '{variable}'"])
        return [one.strip() for one in found]
    try:
        lines = [one.strip() for one in path.read_text("utf-8-sig").splitlines() if one.strip()]
    except UnicodeDecodeError:
        raise DataError(path, ["is not UTF-8 text"]) from None
    if form == "lines":
        return lines
    matches = [_NUMBERED.fullmatch(one) for one in lines]
    if [int(one[1]) for one in matches if one] != list(range(1, len(lines) + 1)):
        raise DataError(path, [f"its {len(lines)} lines are not numbered from 1"])
    return [one[2] for one in matches if one]


def write_names(folder: Path, names: list[str]) -> None:
    """Write the file of attribute names."""
    write_whole(folder / NAMES_FILE, ("\n".join(names) + "\n").encode())


def read_sources(folder: Path) -> dict[str, Any]:
    """The records of a data set's folder: ``archives`` and ``files`` by name.

    Raises:
        DataError: the file is damaged.
    """
    return {"archives": {}, "files": {}, **read_records(folder / SOURCES)}


def record_sources(
    folder: Path, files: Mapping[str, Mapping[str, Any]], fetched: Fetched | None = None
) -> None:
    """Add records of files and of their archive, replacing those of the same name."""
    found = read_sources(folder)
    if fetched is not None:
        found["archives"][fetched.archive.file] = fetched.record
    found["files"] |= files
    write_records(folder / SOURCES, found)


def _origin(fetched: Fetched, one: Unpacked) -> dict[str, Any]:
    return {"archive": fetched.archive.file, "member": one.member, "bytes": one.size, "sha256": one.sha256}
