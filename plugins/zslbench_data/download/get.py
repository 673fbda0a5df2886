"""Gets one part of a data set: the archive, the wanted files from it, their place, and the record of both."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from zslbench.data import ATTRIBUTE_NAMES, IMAGES, SPLITS_FILE, find_folder, sidecar
from zslbench.errors import DataError, MissingData
from zslbench.store import sha256_of, sync_folder, write_whole
from zslbench_data.download import sources
from zslbench_data.download.catalogue import Catalogue, Entry, Part
from zslbench_data.download.fetch import Fetched, Fetcher
from zslbench_data.download.names import NAMES_FILE, parse_names, write_names
from zslbench_data.download.transfer import check_room
from zslbench_data.download.unpack import STAMP, Unpacked, unpack
from zslbench_data.download.wanted import chooser

LISTING = "images.sha256"
"""sha256 of every picture, as ``sha256sum`` writes and checks it."""


@dataclass(frozen=True)
class Got:
    """What became of one part."""

    dataset: str
    what: str
    new: bool
    """Whether anything was fetched or unpacked."""
    text: str
    """What lies there, for people."""


def get_part(
    catalogue: Catalogue, entry: Entry, what: str, root: Path, fetcher: Fetcher, *, force: bool = False
) -> Got:
    """Bring one part of a data set below ``root``; what is there already is left alone.

    Args:
        what: ``splits``, ``names`` or ``images``.
        force: unpack again even what is there.

    Raises:
        MissingData: it cannot be downloaded; says what to do by hand.
        DownloadError: no address gave the archive, or there is no room for it.
        DataError: the archive is damaged, lacks the files, or is not to be trusted.
    """
    folder = find_folder(root, entry.folder) or root / entry.folder
    part = entry.part(what)
    if not force and present(folder, part, what):
        return Got(entry.name, what, False, f"already in {folder}")
    if part is None:
        advice = entry.by_hand.get(what, "").format(folder=folder / IMAGES)
        raise MissingData(f"{what} of {entry.name}", ["cannot be downloaded"], advice)
    fetched = fetcher.fetch(catalogue.archives[part.archive])
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".get.lock"):
        staging = folder / f".{what}.incoming"
        check_room(folder, 0 if staging.is_dir() else part.unpacked)  # what was begun may have most of it
        files = unpack(
            fetched.path,
            staging,
            chooser(part),
            expected=part.unpacked,
            stamp=fetched.record["sha256"],
            display=fetcher.display,
        )
        place = {"splits": _place_files, "names": _place_names, "images": _place_images}[what]
        try:
            _complete(part, files, fetched)
            if not force:
                _keep_others(folder, files)
            text = place(entry, part, folder, staging, files, fetched)
        finally:  # a stop while files are moved loses little; a fault is the archive's or the folder's
            shutil.rmtree(staging, ignore_errors=True)
        sync_folder(folder)
    return Got(entry.name, what, True, f"{text}, from {fetched.path.name}")


def present(folder: Path, part: Part | None, what: str) -> bool:
    """Whether a part of a data set is there."""
    if what == "names":
        return sidecar(folder, ATTRIBUTE_NAMES) is not None
    if what == "images":
        return (folder / IMAGES).is_dir()
    members = [SPLITS_FILE] if part is None else [one.rpartition("/")[2] for one in part.members]
    return all((folder / one).is_file() for one in members)


def _complete(part: Part, files: Mapping[str, Unpacked], fetched: Fetched) -> None:
    """Raise DataError where the archive lacks what was wanted."""
    missing = [one for one in part.members if one.rpartition("/")[2] not in files]
    if part.below and not files:
        missing = [f"pictures below {part.below}"]
    if missing:
        raise DataError(
            fetched.path, [f"holds no {one}" for one in missing], f"Look at {fetched.archive.page} by hand"
        )


def _keep_others(folder: Path, files: Mapping[str, Unpacked]) -> None:
    """Raise DataError where files of another origin would be replaced."""
    strange = [
        one
        for one in sorted(files)
        if (folder / one).is_file() and sha256_of(folder / one) != files[one].sha256
    ]
    if strange:
        raise DataError(
            folder,
            [f"{', '.join(strange)} there differ from the archive's"],
            "Move them away, or pass --force to replace them",
        )


def _place_files(
    entry: Entry, part: Part, folder: Path, staging: Path, files: Mapping[str, Unpacked], fetched: Fetched
) -> str:
    # The splits file makes the folder a data set: it comes last.
    order = sorted(files, key=lambda one: (one == SPLITS_FILE, one))
    origins = {one: sources.origin(fetched, files[one].member, files[one]) for one in order}
    sources.record(folder, origins, fetched)
    for one in order:
        (staging / one).replace(folder / one)
    wanted = [one.rpartition("/")[2] for one in part.members]
    lists = len(files) - len(wanted)
    return ", ".join(wanted) + (f" and {lists} class list{'s' if lists > 1 else ''}" if lists else "")


def _place_names(
    entry: Entry, part: Part, folder: Path, staging: Path, files: Mapping[str, Unpacked], fetched: Fetched
) -> str:
    ((file, one),) = files.items()
    names = parse_names(staging / file, part.form or "lines")
    if len(names) != entry.counts["attributes"]:
        faults = [
            f"{one.member} has {len(names)} names, {entry.name} has {entry.counts['attributes']} attributes"
        ]
        raise DataError(fetched.path, faults)
    write_names(folder, names)
    path = folder / NAMES_FILE
    written = {"bytes": path.stat().st_size, "sha256": sha256_of(path), "member_sha256": one.sha256}
    sources.record(folder, {NAMES_FILE: {**sources.origin(fetched, one.member, one), **written}}, fetched)
    return f"{len(names)} attribute names in {NAMES_FILE}"


def _place_images(
    entry: Entry, part: Part, folder: Path, staging: Path, files: Mapping[str, Unpacked], fetched: Fetched
) -> str:
    listing = "".join(f"{files[one].sha256}  {IMAGES}/{one}\n" for one in sorted(files))
    write_whole(folder / LISTING, listing.encode("utf-8", "surrogateescape"))
    if (folder / IMAGES).exists():  # forced: the old ones go once the new ones are whole
        shutil.rmtree(folder / IMAGES)
    staging.replace(folder / IMAGES)
    (folder / IMAGES / STAMP).unlink()
    size = sum(one.size for one in files.values())
    record = {"archive": fetched.archive.file, "member": f"{part.below}/**", "bytes": size}
    sources.record(folder, {IMAGES: {**record, "files": len(files), "listing": LISTING}}, fetched)
    return f"{len(files)} pictures in {folder / IMAGES}"
