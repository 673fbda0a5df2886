"""Gets one part of a data set: fetches and unpacks its archive, moves the files, records their origin."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from zslbench.data import ATTRIBUTE_NAMES, IMAGES, SPLITS_FILE, find_folder, require_space, sidecar
from zslbench.errors import DataError, MissingData
from zslbench.store import read_records, sha256_of, sync_folder, write_whole
from zslbench_data.download.archives import Fetched, Fetcher, write_records
from zslbench_data.download.catalogue import Catalogue, CatalogueEntry, DownloadPart
from zslbench_data.download.unpack import STAMP, Unpacked, unpack

LISTING = "images.sha256"
"""sha256 of every image, in the format of ``sha256sum``."""
SOURCES = "sources.json"
"""Which archive, address, date and bytes each file of a data set comes from."""

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")
_NUMBERED = re.compile(r"\s*(\d+)\s+(\S.*?)\s*")


@dataclass(frozen=True)
class _Unpacking:
    """The unpacked files of one part."""

    entry: CatalogueEntry
    part: DownloadPart
    folder: Path
    staging: Path
    files: Mapping[str, Unpacked]
    """By path below ``staging``."""
    fetched: Fetched

    def origin(self, file: str) -> dict[str, Any]:
        """The record of where a file comes from."""
        one = self.files[file]
        archive = self.fetched.archive.file
        return {"archive": archive, "member": one.member, "bytes": one.size, "sha256": one.sha256}


def get_part(
    catalogue: Catalogue,
    entry: CatalogueEntry,
    what: str,
    root: Path,
    fetcher: Fetcher,
    *,
    force: bool = False,
) -> str:
    """Get one part of a data set into its folder below ``root``; existing files stay.

    Args:
        what: ``splits``, ``names`` or ``images``.
        force: unpack again and replace existing files.

    Returns:
        What exists now, in a few words.

    Raises:
        MissingData: it cannot be downloaded; says what to do by hand.
        DownloadError: every address failed.
        DataError: the archive is damaged, incomplete or unsafe; or the disk is too full.
    """
    folder = find_folder(root, entry.folder) or root / entry.folder
    part = entry.part(what)
    if not force and is_present(folder, part, what):
        return f"already in {folder}"
    if part is None:
        advice = entry.by_hand.get(what, "").format(folder=folder / IMAGES)
        raise MissingData(f"{what} of {entry.name}", ["cannot be downloaded"], advice)
    fetched = fetcher.fetch(catalogue.archives[part.archive])
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".get.lock"):
        staging = folder / f".{what}.incoming"
        if not staging.is_dir():  # otherwise most may exist
            require_space(folder / what, part.unpacked)
        stamp = fetched.record["sha256"]
        files = unpack(
            fetched.path, staging, chooser(part), expected=part.unpacked, stamp=stamp, display=fetcher.display
        )
        install = {"splits": _install_files, "names": _install_names, "images": _install_images}[what]
        try:
            _refuse_incomplete(part, files, fetched)
            if not force:
                _refuse_to_replace(folder, files)
            text = install(_Unpacking(entry, part, folder, staging, files, fetched))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        sync_folder(folder)
    return f"{text}, from {fetched.path.name}"


def is_present(folder: Path, part: DownloadPart | None, what: str) -> bool:
    """Whether a part of a data set is on the disk."""
    if what == "names":
        return sidecar(folder, ATTRIBUTE_NAMES) is not None
    if what == "images":
        return (folder / IMAGES).is_dir()
    members = [SPLITS_FILE] if part is None else [one.rpartition("/")[2] for one in part.members]
    return all((folder / one).is_file() for one in members)


def chooser(part: DownloadPart) -> Callable[[tuple[str, ...]], str | None]:
    """A function from the parts of a member's path to the file it becomes; None: it is not part of this."""

    def choose(parts: tuple[str, ...]) -> str | None:
        if not parts or "__MACOSX" in parts or parts[-1].startswith("._"):
            return None  # what macOS adds to archives
        if part.below:
            rest = f"/{'/'.join(parts)}".partition(f"/{part.below}/")[2]
            return rest if rest.lower().endswith(_IMAGE_SUFFIXES) else None
        path = PurePosixPath(*parts)
        return path.name if any(map(path.match, (*part.members, *part.optional))) else None

    return choose


def _refuse_incomplete(part: DownloadPart, files: Mapping[str, Unpacked], fetched: Fetched) -> None:
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


def _install_files(new: _Unpacking) -> str:
    # The splits file makes the folder a data set, so it comes last.
    order = sorted(new.files, key=lambda one: (one == SPLITS_FILE, one))
    record_sources(new.folder, {one: new.origin(one) for one in order}, new.fetched)
    for one in order:
        (new.staging / one).replace(new.folder / one)
    required = [one.rpartition("/")[2] for one in new.part.members]
    lists = len(order) - len(required)
    return ", ".join(required) + (f" and {lists} class list{'s' if lists > 1 else ''}" if lists else "")


def _install_names(new: _Unpacking) -> str:
    ((file, one),) = new.files.items()
    names = parse_names(new.staging / file, new.part.form or "lines")
    count = new.entry.counts["attributes"]
    if len(names) != count:
        fault = f"{one.member} has {len(names)} names, {new.entry.name} has {count} attributes"
        raise DataError(new.fetched.path, [fault])
    write_names(new.folder, names)
    path = new.folder / ATTRIBUTE_NAMES
    written = {"bytes": path.stat().st_size, "sha256": sha256_of(path), "member_sha256": one.sha256}
    record_sources(new.folder, {ATTRIBUTE_NAMES: {**new.origin(file), **written}}, new.fetched)
    return f"{len(names)} attribute names in {ATTRIBUTE_NAMES}"


def _install_images(new: _Unpacking) -> str:
    listing = "".join(f"{one.sha256}  {IMAGES}/{file}\n" for file, one in sorted(new.files.items()))
    write_whole(new.folder / LISTING, listing.encode("utf-8", "surrogateescape"))
    target = new.folder / IMAGES
    if target.exists():  # with --force, the old ones go once the new ones are complete
        shutil.rmtree(target)
    new.staging.replace(target)
    (target / STAMP).unlink()
    size = sum(one.size for one in new.files.values())
    record = {"archive": new.fetched.archive.file, "member": f"{new.part.below}/**", "bytes": size}
    record_sources(new.folder, {IMAGES: {**record, "files": len(new.files), "listing": LISTING}}, new.fetched)
    return f"{len(new.files)} images in {target}"


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


def record_sources(
    folder: Path, files: Mapping[str, Mapping[str, Any]], fetched: Fetched | None = None
) -> None:
    """Add records of files and of their archive, replacing those of the same name."""
    found = read_sources(folder)
    if fetched is not None:
        found["archives"][fetched.archive.file] = fetched.record
    found["files"] |= files
    write_records(folder / SOURCES, found)
