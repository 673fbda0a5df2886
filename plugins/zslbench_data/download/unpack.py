"""Unpacks chosen files of a zip or tar archive.

Files are written to a staging folder, each complete or absent, and moved by the caller; the next call resumes
a killed one. tarfile's data filter judges the members of tar archives. What neither it nor zipfile refuses is
checked here: names that leave the folder, links, and implausible sizes.
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
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from zslbench.errors import DataError
from zslbench.store import sha256_of, write_whole
from zslbench_data.download.catalogue import DownloadPart
from zslbench_data.progress import Display, human

STAMP = ".unpacked"
"""File in the staging folder that identifies the archive."""

_BLOCK = 1 << 20
_SLACK = 64 << 20
_FACTOR = 4
"""Largest acceptable size of the chosen files, as a multiple of the expected size; plus ``_SLACK``."""
_RATIO = 50
"""Largest acceptable content of a tar, as a multiple of the archive's size; plus ``_SLACK``."""

_UNSAFE = "The archive cannot be trusted"
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, NotImplementedError)


@dataclass(frozen=True)
class _Member:
    """A file in an archive."""

    name: str
    size: int
    regular: bool
    """Whether it is an ordinary file, not a link or a device."""
    open: Callable[[], IO[bytes]]


def unpack(
    archive: Path, sha256: str, part: DownloadPart, staging: Path, display: Display
) -> dict[str, dict[str, Any]]:
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
        write_whole(mark, sha256.encode())
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
    except (DataError, *_DAMAGED) as error:
        shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, DataError):
            raise
        advice = "Download it again with --force"
        raise DataError(archive, [f"the archive is damaged ({error})"], advice) from None
    return done


def _write(member: _Member, target: Path, display: Display) -> str:
    """Write one member, unless an earlier call finished it; returns its sha256."""
    if target.is_file() and target.stat().st_size == member.size:
        display.advance(member.size)
        return sha256_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    digest, size = hashlib.sha256(), 0
    with contextlib.closing(member.open()) as source, part.open("wb") as file:
        while block := source.read(_BLOCK):
            file.write(block)
            digest.update(block)
            size += len(block)
            display.advance(len(block))
        file.flush()
        os.fsync(file.fileno())
    if size != member.size:
        raise EOFError(f"member '{member.name}' has {size} bytes and claims {member.size}")
    part.replace(target)
    return digest.hexdigest()


def _members(archive: Path, staging: Path) -> Iterator[_Member]:
    """The files in the archive's order; each must be read before the next."""
    with archive.open("rb") as raw:
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
