"""The folder of downloaded archives: each is complete, verified and recorded with its checksum."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import hashlib
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock, Timeout

from zslbench.errors import DataError, MissingData, ZslbenchError
from zslbench.store import read_records, sync_folder, write_whole
from zslbench_data.download.catalogue import Archive
from zslbench_data.download.transfer import DownloadError, Policy, Transfer, discard, part_path
from zslbench_data.progress import SILENT, Display, human

ARCHIVES = "archives"
"""Folder of archives below the data root, shared by all data sets."""
CHECKSUMS = "checksums.json"
"""In that folder: the record of each archive, made when it was first seen."""

_BLOCK = 1 << 20
_FACTOR = 4
"""Largest acceptable size of an archive, as a multiple of its approximate size."""


@dataclass(frozen=True)
class Fetched:
    """An archive on disk."""

    archive: Archive
    path: Path
    record: dict[str, Any]
    """``url`` (None: not downloaded), ``date``, ``bytes``, ``sha256``, and the checksum ``checked``."""


@dataclass(frozen=True)
class Fetcher:
    """Downloads archives.

    Args:
        folder: where they are stored.
        mirrors: addresses to try first: of a folder that holds the archives, or of an archive.
        offline: use only what is on disk.
        force: download again what is on disk, and replace its record.
    """

    folder: Path
    mirrors: Sequence[str] = ()
    offline: bool = False
    force: bool = False
    display: Display = SILENT
    policy: Policy = field(default_factory=Policy)
    _outcomes: dict[str, Fetched | ZslbenchError] = field(default_factory=dict)
    """The result for each archive so far: several parts come from one archive."""

    def fetch(self, archive: Archive) -> Fetched:
        """The archive, downloaded if necessary and compared with what is known of it.

        Raises:
            MissingData: it is not on disk and ``offline`` is set.
            DownloadError: every address failed; names them all and the archive's web page.
            DataError: the file on disk is not the known one, or the disk is too full.
        """
        if archive.key not in self._outcomes:
            try:
                self._outcomes[archive.key] = self._locked(archive)
            except ZslbenchError as error:
                self._outcomes[archive.key] = error
        outcome = self._outcomes[archive.key]
        if isinstance(outcome, ZslbenchError):
            raise outcome
        return outcome

    def remove_downloaded(self) -> None:
        """Remove the archives that this fetcher used and that can be downloaded again; records stay."""
        for one in self._outcomes.values():
            if isinstance(one, Fetched) and one.record["url"]:
                one.path.unlink(missing_ok=True)

    def addresses(self, archive: Archive) -> tuple[str, ...]:
        """Where to look for the archive, in this order."""
        mirrors = [
            one if one.rpartition("/")[2] == archive.file else f"{one.rstrip('/')}/{archive.file}"
            for one in self.mirrors
        ]
        return tuple(dict.fromkeys([*mirrors, *archive.urls]))

    def _locked(self, archive: Archive) -> Fetched:
        """Fetch while no other process works on the archive."""
        if self.offline and not (self.folder / archive.file).is_file():
            raise MissingData(
                self.folder / archive.file,
                ["does not exist, and --offline allows no download"],
                f"Download {archive.urls[0]} ({human(archive.size)}) to this path",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / f".{archive.file}.lock")
        with contextlib.suppress(Timeout), lock.acquire(timeout=0):
            return self._fetch(archive)
        self.display.message(f"another process is using {archive.file}; waiting for it")
        with lock:
            return self._fetch(archive)

    def _fetch(self, archive: Archive) -> Fetched:
        target = self.folder / archive.file
        if target.is_file() and (self.offline or not self.force):
            return self._check_existing(archive, target)
        failures: list[str] = []
        with requests.Session() as session:
            for url in self.addresses(archive):
                try:
                    return self._download(session, archive, url, target)
                except DownloadError as error:
                    failures.append(str(error))
                    self.display.message(str(error))
        raise DownloadError(
            f"{archive.file} could not be downloaded: {'; '.join(failures)}. Download it by hand from "
            f"{archive.page} to {target}, or pass another address with --mirror"
        )

    def _check_existing(self, archive: Archive, target: Path) -> Fetched:
        """A file that was downloaded earlier or put there by hand."""
        known = read_records(self.folder / CHECKSUMS).get(archive.file)
        found = _measure(archive, target)
        fault = _mismatch(archive, found, known) or (None if known else _unreadable(archive, target))
        if fault:
            advice = "Move it away, or pass --force to download it again and replace its record"
            raise DataError(target, [fault], advice)
        return Fetched(archive, target, known or self._record(archive, found))

    def _download(self, session: requests.Session, archive: Archive, url: str, target: Path) -> Fetched:
        part = part_path(target, url)
        known = None if self.force else read_records(self.folder / CHECKSUMS).get(archive.file)
        limit = archive.size
        if limit is not None and not archive.exact:
            limit = _FACTOR * limit + _BLOCK
        while True:
            final, resumed = Transfer(session, url, part, self.policy, self.display, limit).run()
            found = _measure(archive, part)
            fault = _mismatch(archive, found, known) or _unreadable(archive, part)
            if fault is None:
                break
            discard(part)
            if not resumed:
                raise DownloadError(f"{url}: the download {fault}")
            self.display.message(f"{url}: the resumed download {fault}; starting over")
        part.replace(target)
        sync_folder(self.folder)
        for one in self.addresses(archive):
            discard(part_path(target, one))
        redirected = {"asked": url} if final != url else {}
        return Fetched(archive, target, self._record(archive, found, final, **redirected))

    def _record(
        self, archive: Archive, found: dict[str, Any], url: str | None = None, **redirected: str
    ) -> dict[str, Any]:
        record = {
            "url": url,
            **redirected,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "bytes": found["bytes"],
            "sha256": found["sha256"],
            "checked": archive.checksum or "first seen, nothing to compare with",
        }
        path = self.folder / CHECKSUMS
        write_records(path, {**read_records(path), archive.file: record})
        return record


def write_records(path: Path, records: dict[str, Any]) -> None:
    """Replace a JSON file of records."""
    write_whole(path, (json.dumps(records, indent=1, sort_keys=True) + "\n").encode())


def _measure(archive: Archive, path: Path) -> dict[str, Any]:
    """Length, sha256, and the digest that the catalogue has; the file is read once."""
    algorithm = archive.checksum.partition(":")[0] if archive.checksum else "sha256"
    digests = {name: hashlib.new(name) for name in ("sha256", algorithm)}
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for one in digests.values():
                one.update(block)
    return {
        "bytes": path.stat().st_size,
        "sha256": digests["sha256"].hexdigest(),
        "digest": f"{algorithm}:{digests[algorithm].hexdigest()}",
    }


def _mismatch(archive: Archive, found: dict[str, Any], known: dict[str, Any] | None) -> str | None:
    """How the file differs from what is known of the archive; None: it does not."""
    if archive.exact and found["bytes"] != archive.size:
        return f"has {found['bytes']} bytes, the published archive {archive.size}"
    if archive.checksum and found["digest"] != archive.checksum:
        return f"is not the published archive ({found['digest']}, published {archive.checksum})"
    if known and found["sha256"] != known.get("sha256"):
        first = str(known.get("date", ""))[:10]
        digests = f"sha256 {found['sha256']}, then {known.get('sha256')}"
        return f"is not the archive first seen on {first} ({digests})"
    return None


def _unreadable(archive: Archive, path: Path) -> str | None:
    """Why the file is not a complete archive (moved pages, for example, answer with HTML); None: it is."""
    if archive.checksum:
        return None  # it has the published bytes
    with path.open("rb") as file:
        head = file.read(512)
    try:
        if head.startswith(b"PK"):
            zipfile.ZipFile(path).close()
            return None
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as content:
                while content.read(_BLOCK):
                    pass
            return None
    except (zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        return f"is a damaged archive ({error})"
    if head.lstrip()[:1] == b"<":
        return "is a web page, not an archive"
    return "is not a zip or gzip archive" if head else "is empty"
