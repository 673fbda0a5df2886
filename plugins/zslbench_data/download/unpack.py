"""Takes the wanted files out of a zip or tar archive, and nothing else.

Files are written to a folder aside (``staging``), each whole or absent, and moved into place by the caller;
a call that was killed goes on where it stopped. An archive with a name that would leave the folder is refused
whole, and so are wanted links and devices, and archives that claim far more bytes than expected.
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
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from zslbench.errors import DataError
from zslbench.store import write_whole
from zslbench_data.download.display import Display, human

STAMP = ".archive"
"""In the staging folder: which archive its files come from."""

_BLOCK = 1 << 20
_SLACK = 64 << 20
_FACTOR = 4
"""Wanted files may have so many times the bytes that the catalogue expects, and ``_SLACK``."""
_RATIO = 50
"""A tar's whole content may have so many times the bytes of the archive, and ``_SLACK``."""


@runtime_checkable
class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Entry:
    """One member of an archive."""

    name: str
    parts: tuple[str, ...]
    size: int
    regular: bool
    open: Callable[[], Readable]


@dataclass(frozen=True)
class Unpacked:
    """A file that was taken out."""

    member: str
    size: int
    sha256: str


def unpack(
    archive: Path,
    staging: Path,
    choose: Callable[[tuple[str, ...]], str | None],
    *,
    expected: int,
    stamp: str,
    display: Display,
) -> dict[str, Unpacked]:
    """Write the chosen members below ``staging``.

    Args:
        choose: where a member goes, from the parts of its path: a path below ``staging``; None: nowhere.
        expected: about how many bytes they have together.
        stamp: identifies the archive (its sha256). What an earlier call left of another archive is removed.

    Returns:
        What was written, by path below ``staging``.

    Raises:
        DataError: the archive is damaged or not to be trusted; what came before the fault is removed.
        OSError: a file cannot be written.
    """
    mark = staging / STAMP
    if not mark.is_file() or mark.read_text("utf-8") != stamp:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        write_whole(mark, stamp.encode())
    most = _FACTOR * expected + _SLACK
    done: dict[str, Unpacked] = {}
    depths: dict[str, int] = {}
    claimed = 0
    display.begin(f"unpacking {archive.name}", expected)
    try:
        for entry in _entries(archive):
            target = choose(entry.parts)
            if target is None:
                continue
            if not entry.regular:
                raise DataError(archive, [f"member '{entry.name}' is a link or a device, no file"], _DISTRUST)
            if target in done and depths[target] <= len(entry.parts):
                continue
            claimed += entry.size
            if claimed > most:
                raise DataError(
                    archive,
                    [f"claims {human(claimed)} and more where {human(expected)} are expected"],
                    _DISTRUST,
                )
            keep = target not in done  # a shallower match replaces what was written for a deeper one
            depths[target] = len(entry.parts)
            done[target] = _write(entry, staging / target, keep, display)
    except DataError:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    except _DAMAGE as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise DataError(archive, [f"the archive is damaged ({error})"], "Get it again with --force") from None
    finally:
        display.end()
    return done


_DISTRUST = "The archive is not to be trusted"
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, NotImplementedError)


def _write(entry: Entry, target: Path, keep: bool, display: Display) -> Unpacked:
    """Write one member; one that an earlier call finished is kept (its name says that it is whole)."""
    if keep and target.is_file() and target.stat().st_size == entry.size:
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        display.advance(entry.size)
        return Unpacked(entry.name, entry.size, digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    made, size = hashlib.sha256(), 0
    with contextlib.closing(entry.open()) as source, aside.open("wb") as file:
        while block := source.read(_BLOCK):
            file.write(block)
            made.update(block)
            size += len(block)
            display.advance(len(block))
        file.flush()
        os.fsync(file.fileno())
    if size != entry.size:
        raise EOFError(f"member '{entry.name}' has {size} bytes and claims {entry.size}")
    aside.replace(target)
    return Unpacked(entry.name, size, made.hexdigest())


def _entries(archive: Path) -> Iterator[Entry]:
    """The members in the archive's order; each must be read before the next is asked for."""
    with archive.open("rb") as file:
        if file.read(2) == b"PK":
            yield from _zip_entries(archive)
        else:
            yield from _tar_entries(archive)


def _zip_entries(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as pack:
        for info in pack.infolist():
            mode = info.external_attr >> 16
            regular = not info.is_dir() and (not stat.S_IFMT(mode) or stat.S_ISREG(mode))
            if info.flag_bits & 1:
                raise DataError(archive, [f"member '{info.filename}' is encrypted"], _DISTRUST)

            def read(info: zipfile.ZipInfo = info) -> Readable:
                return pack.open(info)

            parts = _parts(archive, info.orig_filename)
            if not info.is_dir():
                yield Entry(info.filename, parts, info.file_size, regular, read)


def _tar_entries(archive: Path) -> Iterator[Entry]:
    with archive.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        source: Readable = gzip.GzipFile(fileobj=raw) if packed else raw
        limited = _Limited(source, archive, _RATIO * archive.stat().st_size + _SLACK)
        with tarfile.open(fileobj=cast(Any, limited), mode="r|") as tape:
            for info in tape:

                def read(info: tarfile.TarInfo = info) -> Readable:
                    return cast(Readable, tape.extractfile(info))

                parts = _parts(archive, info.name)
                if not info.isdir():
                    yield Entry(info.name, parts, info.size, info.isreg() and not info.issparse(), read)


class _Limited:
    """Reads a stream up to a number of bytes: a small file can claim to hold any number."""

    def __init__(self, source: Readable, archive: Path, most: int) -> None:
        self._source, self._archive, self._left = source, archive, most

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise DataError(self._archive, [f"holds over {_RATIO} times its own bytes"], _DISTRUST)
        return data


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    """The folders and the file of a member's name; a name that leads elsewhere is an error."""
    parts = tuple(one for one in name.rstrip("/").split("/") if one not in ("", "."))
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or re.match("[A-Za-z]:", name):
        raise DataError(archive, [f"member {name[:200]!r} would leave its folder"], _DISTRUST)
    return parts
