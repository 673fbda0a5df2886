"""Gets one part of a data set: fetches and unpacks its archive, moves the files, records their origin."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from filelock import FileLock

from zslbench.data import ATTRIBUTE_NAMES, IMAGES, SPLITS_FILE, find_folder, require_space, sidecar
from zslbench.errors import DataError, MissingData
from zslbench.store import read_records, sha256_of, sync_folder, write_whole
from zslbench_data.download.archives import Fetched, Fetcher, write_records
from zslbench_data.download.catalogue import CatalogueEntry, DownloadPart
from zslbench_data.download.unpack import unpack

LISTING = "images.sha256"
"""sha256 of every image, in the format of ``sha256sum``."""
SOURCES = "sources.json"
"""Which archive, address, date and bytes each file of a data set comes from."""

Records: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Of files: the archive and member they come from, length and sha256."""

_NUMBERED = re.compile(r"\s*(\d+)\s+(\S.*?)\s*")


def get_part(entry: CatalogueEntry, what: str, root: Path, fetcher: Fetcher) -> str:
    """Get one part of a data set into its folder below ``root``.

    Existing files stay, unless the fetcher is to ``force`` a fresh copy.

    Args:
        what: ``splits``, ``names`` or ``images``.

    Returns:
        What exists now, in a few words.

    Raises:
        MissingData: it cannot be downloaded; says what to do by hand.
        DownloadError: every address failed.
        DataError: the archive is damaged, incomplete or unsafe; or the disk is too full.
    """
    folder = find_folder(root, entry.folder) or root / entry.folder
    part = entry.part(what)
    required = part.files if part else [SPLITS_FILE]
    present = {
        "splits": all((folder / one).is_file() for one in required),
        "names": sidecar(folder, ATTRIBUTE_NAMES) is not None,
        "images": (folder / IMAGES).is_dir(),
    }
    if not fetcher.force and present[what]:
        return f"already in {folder}"
    if part is None:
        advice = entry.by_hand.get(what, "").format(folder=folder / IMAGES)
        raise MissingData(f"{what} of {entry.name}", ["cannot be downloaded"], advice)
    fetched = fetcher.fetch(part.archive)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".get.lock"):
        staging = folder / f".{what}.incoming"
        if not staging.is_dir():  # otherwise most may exist
            require_space(folder / what, part.unpacked)
        files = unpack(fetched.path, fetched.record["sha256"], part, staging, fetcher.display)
        try:
            text, records = _prepare(entry, part, staging, files)
            if not fetcher.force:
                _refuse_to_replace(folder, records)
            archive = {"archive": part.archive.file}
            origins = {name: {**archive, **one} for name, one in records.items()}
            record_sources(folder, origins, fetched)
            # What makes the part present comes last.
            for new in sorted(staging.glob("[!.]*"), key=lambda one: one.name in (SPLITS_FILE, IMAGES)):
                old = folder / new.name
                if old.is_dir():  # with --force, the old images go once the new ones are complete
                    shutil.rmtree(old)
                new.replace(old)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        sync_folder(folder)
    return f"{text}, from {fetched.path.name}"


def _refuse_to_replace(folder: Path, records: Records) -> None:
    """Raise DataError if files of another origin would be replaced."""
    others = [
        name
        for name, one in sorted(records.items())
        if (folder / name).is_file() and sha256_of(folder / name) != one["sha256"]
    ]
    if others:
        fault = f"existing files differ from the archive's: {', '.join(others)}"
        raise DataError(folder, [fault], "Move them away, or pass --force to replace them")


def _prepare(entry: CatalogueEntry, part: DownloadPart, staging: Path, files: Records) -> tuple[str, Records]:
    """Turn unpacked files into those of the data set; returns them in words, and their records."""
    if part.what == "images":
        listing = "".join(f"{one['sha256']}  {file}\n" for file, one in sorted(files.items()))
        write_whole(staging / LISTING, listing.encode("utf-8", "surrogateescape"))
        size = sum(one["bytes"] for one in files.values())
        record = {"member": f"{part.below}/**", "bytes": size, "files": len(files), "listing": LISTING}
        return f"{len(files)} images in {staging.parent / IMAGES}", {IMAGES: record}
    if part.what == "names":
        ((file, one),) = files.items()
        names = parse_names(staging / file, part.form or "lines")
        count = entry.counts["attributes"]
        if len(names) != count:
            fault = f"{one['member']} has {len(names)} names, {entry.name} has {count} attributes"
            raise DataError(part.archive.file, [fault])
        (staging / file).unlink()
        write_names(staging, names)
        path = staging / ATTRIBUTE_NAMES
        written = {"bytes": path.stat().st_size, "sha256": sha256_of(path), "member_sha256": one["sha256"]}
        return f"{len(names)} attribute names in {ATTRIBUTE_NAMES}", {ATTRIBUTE_NAMES: {**one, **written}}
    lists = len(files) - len(part.files)
    others = f" and {lists} class list{'s' if lists > 1 else ''}" if lists else ""
    return ", ".join(part.files) + others, files


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


def write_names(folder: Path, names: Iterable[str]) -> None:
    """Write the file of attribute names."""
    write_whole(folder / ATTRIBUTE_NAMES, ("\n".join(names) + "\n").encode())


def read_sources(folder: Path) -> dict[str, Any]:
    """The records of a data set's folder: ``archives`` and ``files`` by name.

    Raises:
        DataError: the file is damaged.
    """
    return {"archives": {}, "files": {}, **read_records(folder / SOURCES)}


def record_sources(folder: Path, files: Records, fetched: Fetched | None = None) -> None:
    """Add records of files and of their archive, replacing those of the same name."""
    found = read_sources(folder)
    if fetched is not None:
        found["archives"][fetched.archive.file] = fetched.record
    found["files"] |= files
    write_records(folder / SOURCES, found)
