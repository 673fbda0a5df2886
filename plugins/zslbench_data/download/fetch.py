"""An archive of the catalogue, whole and checked, in the folder of archives."""

from __future__ import annotations

import datetime
import gzip
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock, Timeout

from zslbench.errors import DataError, MissingData, ZslbenchError
from zslbench.store import read_records, sync_folder
from zslbench_data.download.catalogue import Archive
from zslbench_data.download.display import Display, Silent, human
from zslbench_data.download.faults import DownloadError
from zslbench_data.download.ledger import LEDGER, digests, write_records
from zslbench_data.download.transfer import Policy, forget, part_path, transfer

ARCHIVES = "archives"
"""Folder below the data root that keeps archives, shared by all data sets."""

_BLOCK = 1 << 20
_FACTOR = 4
"""An archive of about so many bytes may have so many times as many."""


@dataclass(frozen=True)
class Fetched:
    """An archive on disk."""

    archive: Archive
    path: Path
    record: dict[str, Any]
    """``url`` (None: brought by hand), ``date``, ``bytes``, ``sha256``, and what was ``checked``."""


@dataclass(frozen=True)
class Fetcher:
    """How archives are had.

    Args:
        folder: where they are kept.
        mirrors: addresses tried first; of a folder on the web, or of the archive itself.
        offline: take only what is there.
        force: download again even what is there, and record it anew.
    """

    folder: Path
    mirrors: Sequence[str] = ()
    offline: bool = False
    force: bool = False
    display: Display = field(default_factory=Silent)
    policy: Policy = field(default_factory=Policy)
    _tried: dict[str, Fetched | ZslbenchError] = field(default_factory=dict)
    """What this fetcher did already: several parts come from one archive."""

    def fetch(self, archive: Archive) -> Fetched:
        """The archive, downloaded if need be; its bytes are compared with what is known of them.

        Raises:
            MissingData: it is not there and ``offline``.
            DownloadError: no address gave it; names all of them and a page to look at by hand.
            DataError: the file that is there is not the one that is known.
        """
        if archive.key not in self._tried:
            try:
                self._tried[archive.key] = self._locked(archive)
            except ZslbenchError as error:
                self._tried[archive.key] = error
        outcome = self._tried[archive.key]
        if isinstance(outcome, ZslbenchError):
            raise outcome
        return outcome

    def drop(self) -> None:
        """Remove the archives that this fetcher used and that can be downloaded again; records stay."""
        for one in self._tried.values():
            if isinstance(one, Fetched) and one.record["url"]:
                one.path.unlink(missing_ok=True)

    def addresses(self, archive: Archive) -> tuple[str, ...]:
        """Where the archive is looked for, in this order."""
        given = [
            one if one.rpartition("/")[2] == archive.file else f"{one.rstrip('/')}/{archive.file}"
            for one in self.mirrors
        ]
        return tuple(dict.fromkeys([*given, *archive.urls]))

    def _locked(self, archive: Archive) -> Fetched:
        """Have the archive while no other process is busy with it."""
        if self.offline and not (self.folder / archive.file).is_file():
            raise MissingData(
                self.folder / archive.file,
                ["not there, and --offline allows no download"],
                f"Bring it from {archive.urls[0]} ({human(archive.size)})",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / f".{archive.file}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.display.say(f"another process is busy with {archive.file}; waiting for it")
            lock.acquire()
        try:
            return self._fetch(archive)
        finally:
            lock.release()

    def _fetch(self, archive: Archive) -> Fetched:
        target = self.folder / archive.file
        if target.is_file() and (self.offline or not self.force):
            return self._present(archive, target)
        faults: list[str] = []
        with requests.Session() as session:
            for url in self.addresses(archive):
                try:
                    return self._download(session, archive, url, target)
                except DownloadError as error:
                    faults.append(str(error))
                    self.display.say(f"{error}")
        raise DownloadError(
            f"{archive.file} could not be had: {'; '.join(faults)}. Look at {archive.page} by hand and put "
            f"the file at {target}, or give another address with --mirror"
        )

    def _present(self, archive: Archive, target: Path) -> Fetched:
        """A file that lies there, downloaded earlier or brought by hand."""
        records = read_records(self.folder / LEDGER)
        found = _measured(archive, target)
        known = records.get(archive.file)
        fault = _mismatch(archive, found, known) or (None if known else _unreadable(archive, target))
        if fault:
            raise DataError(
                target, [fault], "Move it away, or pass --force to download it again and record it anew"
            )
        record = known or _record(archive, found, None)
        if not known:
            write_records(self.folder / LEDGER, {**records, archive.file: record})
        return Fetched(archive, target, record)

    def _download(self, session: requests.Session, archive: Archive, url: str, target: Path) -> Fetched:
        part = part_path(target, url)
        records = read_records(self.folder / LEDGER)
        known = None if self.force else records.get(archive.file)
        while True:
            final, resumed = transfer(
                session, url, part, policy=self.policy, display=self.display, most=_most(archive)
            )
            found = _measured(archive, part)
            fault = _mismatch(archive, found, known) or _unreadable(archive, part)
            if fault is None:
                break
            forget(part)
            if not resumed:
                raise DownloadError(f"{url}: what came {fault}")
            self.display.say(f"{url}: what was put together {fault}; starting again")
        record = _record(archive, found, final) | ({"asked": url} if final != url else {})
        part.replace(target)
        sync_folder(self.folder)
        for one in self.addresses(archive):
            forget(part_path(target, one))
        write_records(self.folder / LEDGER, {**records, archive.file: record})
        return Fetched(archive, target, record)


def _most(archive: Archive) -> int | None:
    """How many bytes an archive may have; None: nobody knows."""
    if archive.size is None or archive.exact:
        return archive.size
    return _FACTOR * archive.size + _BLOCK


def _measured(archive: Archive, path: Path) -> dict[str, Any]:
    """Length, sha256 and the digest that the catalogue knows."""
    algorithm = archive.checksum.partition(":")[0] if archive.checksum else "sha256"
    found = digests(path, {"sha256", algorithm})
    return {
        "bytes": path.stat().st_size,
        "sha256": found["sha256"],
        "digest": f"{algorithm}:{found[algorithm]}",
    }


def _mismatch(archive: Archive, found: dict[str, Any], known: dict[str, Any] | None) -> str | None:
    """What differs from what is known of the archive; None: nothing."""
    if archive.exact and found["bytes"] != archive.size:
        return f"has {found['bytes']} bytes, the published archive {archive.size}"
    if archive.checksum and found["digest"] != archive.checksum:
        return f"is not the published archive ({found['digest']}, published {archive.checksum})"
    if known and found["sha256"] != known.get("sha256"):
        first = str(known.get("date", ""))[:10]
        return (
            f"is not the archive first seen on {first} (sha256 {found['sha256']}, then {known.get('sha256')})"
        )
    return None


def _unreadable(archive: Archive, path: Path) -> str | None:
    """Why the file is no whole archive; None: it is one. A moved page answers with HTML, say."""
    if archive.checksum:
        return None  # it has the published bytes
    with path.open("rb") as file:
        head = file.read(512)
    try:
        if head.startswith(b"PK"):
            with zipfile.ZipFile(path) as pack:
                pack.infolist()
            return None
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as tape:
                while tape.read(_BLOCK):
                    pass
            return None
    except (zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        return f"is a damaged archive ({error})"
    if head.lstrip()[:1] == b"<":
        return "is a web page, no archive"
    return "is no zip or gzip archive" if head else "is empty"


def _record(archive: Archive, found: dict[str, Any], url: str | None) -> dict[str, Any]:
    return {
        "url": url,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "bytes": found["bytes"],
        "sha256": found["sha256"],
        "checked": archive.checksum or "first seen, nothing to compare with",
    }
