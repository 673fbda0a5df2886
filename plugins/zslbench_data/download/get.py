"""Gets one part of a data set: fetches its archive, unpacks its files, moves them and records their origin.

Files are unpacked into a staging folder, each complete or absent; the next call resumes a killed one.
tarfile's data filter judges the members of tar archives. What neither it nor zipfile refuses is checked here:
names that leave the folder, links, and implausible sizes.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeAlias, cast

from zslbench.data import ATTRIBUTE_NAMES, IMAGES, SPLITS_FILE, find_folder, require_space, sidecar
from zslbench.errors import DataError, MissingData
from zslbench.store import read_records, sha256_of, sync_folder, write_atomically
from zslbench_data.download.archives import Fetched, Fetcher, write_records
from zslbench_data.download.catalogue import CatalogueEntry, DownloadPart
from zslbench_data.progress import Display, human
from zslbench_data.staging import locked

LISTING = "images.sha256"
"""sha256 of every image, in the format of ``sha256sum``."""
SOURCES = "sources.json"
"""Which archive, address, date and bytes each file of a data set comes from."""

Records: TypeAlias = Mapping[str, Mapping[str, Any]]
"""By file: the archive and member that it comes from, length and sha256."""

_NUMBERED = re.compile(r"\s*(\d{1,18})\s+(\S.*?)\s*")
STAMP = ".unpacked"
"""File in the staging folder that identifies the archive."""

_BLOCK = 1 << 20
_SLACK = 64 << 20
_FACTOR = 4
"""Largest acceptable size of the chosen files, as a multiple of the expected size; plus ``_SLACK``."""
_RATIO = 50
"""Largest acceptable content of a tar, as a multiple of the archive's size; plus ``_SLACK``."""

_UNSAFE = "The archive cannot be trusted"


class _Damaged(Exception):
    """What is wrong with an archive."""


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Report any error while reading an archive as damage; nothing is written inside."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise _Damaged(" ".join(f"{error or type(error).__name__}".split())[:300]) from None


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
    with locked(folder / "get"):
        staging = folder / f".{what}.incoming"
        if not staging.is_dir():  # otherwise most may exist
            require_space(folder / what, part.unpacked)
        with fetcher.opened(fetched):
            files = unpack(fetched.path, fetched.record["sha256"], part, staging, fetcher.display)
        try:
            with fetcher.opened(fetched):
                text, records = _prepare(entry, part, staging, files)
            others = [
                name
                for name, one in sorted(records.items())
                if (folder / name).is_file() and sha256_of(folder / name) != one["sha256"]
            ]
            if others and not fetcher.force:
                fault = f"existing files differ from the archive's: {', '.join(others)}"
                raise DataError(folder, [fault], "Move them away, or pass --force to replace them")
            record_sources(folder, records, fetched)
            # What makes the part present comes last.
            for new in sorted(staging.glob("[!.]*"), key=lambda one: one.name in (SPLITS_FILE, IMAGES)):
                old = folder / new.name
                if old.is_symlink():  # of an import: what it refers to stays
                    old.unlink()
                elif old.is_dir():  # with --force, the old images go once the new ones are complete
                    shutil.rmtree(old)
                new.replace(old)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        sync_folder(folder)
    return f"{text}, from {fetched.path.name}"


def _prepare(entry: CatalogueEntry, part: DownloadPart, staging: Path, files: Records) -> tuple[str, Records]:
    """Turn unpacked files into those of the data set; returns them in words, and their records."""
    if part.what == "images":
        listing = "".join(f"{one['sha256']}  {file}\n" for file, one in sorted(files.items()))
        write_atomically(staging / LISTING, listing.encode("utf-8", "surrogateescape"))
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


@dataclass(frozen=True)
class _Member:
    """A file in an archive."""

    name: str
    size: int
    regular: bool
    """Whether it is an ordinary file, not a link or a device."""
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, sha256: str, part: DownloadPart, staging: Path, display: Display) -> Records:
    """Write the members of one part of a data set below ``staging``.

    Args:
        sha256: of the archive. What an earlier call left of another archive is removed.

    Returns:
        ``member``, ``bytes`` and ``sha256`` of what was written, by path below ``staging``.

    Raises:
        DataError: the archive is damaged, incomplete or unsafe; everything written is removed.
        OSError: a file cannot be written.
    """
    mark = staging / STAMP
    if not mark.is_file() or mark.read_text("utf-8") != sha256:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        write_atomically(mark, sha256.encode())
    done: dict[str, dict[str, Any]] = {}
    claimed = 0
    try:
        with display.task(f"unpacking {archive.name}", part.unpacked):
            for member in _members(archive, staging):
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or re.search(r"\\|\0|^[A-Za-z]:", member.name):
                    fault = f"member {member.name[:200]!r} would leave its folder"
                    raise DataError(archive, [fault], _UNSAFE)
                target = part.target(path)
                if target is None:
                    continue
                if not member.regular:
                    raise DataError(archive, [f"member '{member.name}' is not an ordinary file"], _UNSAFE)
                if target in done:  # the shallowest match counts
                    if len(PurePosixPath(done[target]["member"]).parts) <= len(path.parts):
                        continue
                    (staging / target).unlink()
                claimed += member.size
                if claimed > _FACTOR * part.unpacked + _SLACK:
                    fault = f"claims to hold {human(claimed)} or more, expected {human(part.unpacked)}"
                    raise DataError(archive, [fault], _UNSAFE)
                digest = _write(member, staging / target, display)
                done[target] = {"member": member.name, "bytes": member.size, "sha256": digest}
        missing = [one for one, file in zip(part.members, part.files, strict=True) if file not in done]
        if part.below and not done:
            missing = [f"images below {part.below}"]
        if missing:
            faults = [f"does not contain {one}" for one in missing]
            raise DataError(archive, faults, f"Look at {part.archive.page}")
    except (DataError, _Damaged) as error:
        shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, DataError):
            raise
        raise DataError(archive, [f"the archive is damaged ({error})"]) from None
    return done


def _write(member: _Member, target: Path, display: Display) -> str:
    """Write one member, unless an earlier call finished it; returns its sha256."""
    if target.is_file() and target.stat().st_size == member.size:
        display.advance(member.size)
        return sha256_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    digest, size = hashlib.sha256(), 0
    with part.open("wb") as file:
        for block in _blocks(member):
            file.write(block)
            digest.update(block)
            size += len(block)
            display.advance(len(block))
        file.flush()
        os.fsync(file.fileno())
    if size != member.size:
        raise _Damaged(f"member '{member.name}' has {size} bytes but claims {member.size}")
    part.replace(target)
    return digest.hexdigest()


def _blocks(member: _Member) -> Iterator[bytes]:
    with _reading(), contextlib.closing(member.open()) as source:
        while block := source.read(_BLOCK):
            yield block


def _members(archive: Path, staging: Path) -> Iterator[_Member]:
    """The files in the archive's order; each must be read before the next."""
    with _reading(), archive.open("rb") as raw:
        head = raw.read(2)
        raw.seek(0)
        if head == b"PK":
            yield from _zip_members(archive)
            return
        source = _Limited(gzip.GzipFile(fileobj=raw) if head == b"\x1f\x8b" else raw, archive)
        with tarfile.open(fileobj=cast(Any, source), mode="r|") as content:
            for info in content:
                if not info.isdir():
                    regular = False
                    with contextlib.suppress(tarfile.FilterError):
                        safe = tarfile.data_filter(info, str(staging)) is not None
                        regular = safe and info.isreg() and not info.issparse()
                    read = cast(Callable[[], IO[bytes]], partial(content.extractfile, info))
                    yield _Member(info.name, info.size, regular, read)
        while source.read(_BLOCK):  # to the end, where gzip has its checksum
            pass


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as content:
        for info in content.infolist():
            if info.flag_bits & 1:
                raise DataError(archive, [f"member '{info.filename}' is encrypted"], _UNSAFE)
            regular = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
            if not info.is_dir():  # zipfile's own name ends at a NUL and hides backslashes on Windows
                yield _Member(info.orig_filename, info.file_size, regular, partial(content.open, info))


class _Limited:
    """Reads a stream up to a limit: a small compressed file can expand to any size."""

    def __init__(self, source: Any, archive: Path) -> None:
        self._source, self._archive = source, archive
        self._left = _RATIO * archive.stat().st_size + _SLACK

    def read(self, size: int) -> bytes:
        data: bytes = self._source.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise DataError(self._archive, [f"expands to over {_RATIO} times its size"], _UNSAFE)
        return data


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
    write_atomically(folder / ATTRIBUTE_NAMES, ("\n".join(names) + "\n").encode())


def read_sources(folder: Path) -> dict[str, Any]:
    """The records of a data set's folder: ``archives`` and ``files`` by name.

    Raises:
        DataError: the file is damaged.
    """
    return {"archives": {}, "files": {}, **read_records(folder / SOURCES)}


def record_sources(folder: Path, files: Records, fetched: Fetched | None = None) -> None:
    """Add records of files and of the archive that they are from, replacing those of the same name."""
    found = read_sources(folder)
    if fetched is not None:
        found["archives"][fetched.archive.file] = fetched.record
        files = {name: {"archive": fetched.archive.file, **one} for name, one in files.items()}
    found["files"] |= files
    write_records(folder / SOURCES, found)
