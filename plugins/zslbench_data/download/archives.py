"""The folder of downloaded archives: each is complete, verified and recorded with its checksum."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock, Timeout

from zslbench.errors import DataError, MissingData, ZslbenchError
from zslbench.store import read_records, sha256_of, sync_folder, write_atomically
from zslbench_data.download.catalogue import Archive
from zslbench_data.download.transfer import DownloadError, Transfer, discard, part_path
from zslbench_data.progress import SILENT, Display, human

ARCHIVES = "archives"
"""Folder of archives below the data root, shared by all data sets."""
CHECKSUMS = "checksums.json"
"""The file in that folder with a record of each archive, made when it was first seen."""

_BLOCK = 1 << 20
RESTARTS = 2
"""How often a download from one address starts over because resuming gave a wrong file."""
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
    _outcomes: dict[Archive, Fetched | ZslbenchError] = field(default_factory=dict)
    """The result for each archive so far: several parts come from one archive."""

    def fetch(self, archive: Archive) -> Fetched:
        """The archive, downloaded if necessary and compared with what is known of it.

        Raises:
            MissingData: it is not on disk and ``offline`` is set.
            DownloadError: every address failed; names them all and the archive's web page.
            DataError: the file on disk is not the known one, or the disk is too full.
        """
        if archive not in self._outcomes:
            try:
                self._outcomes[archive] = self._fetch(archive)
            except ZslbenchError as error:
                self._outcomes[archive] = error
        outcome = self._outcomes[archive]
        if isinstance(outcome, ZslbenchError):
            raise outcome
        return outcome

    def remove_downloaded(self) -> None:
        """Remove the archives that this fetcher used and that can be downloaded again; records stay."""
        for one in self._outcomes.values():
            if isinstance(one, Fetched) and one.record["url"]:
                one.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def opened(self, fetched: Fetched) -> Iterator[None]:
        """Read an archive: errors say what to do, and a faulty archive from a mirror is removed."""
        try:
            yield
        except DataError as error:
            advice = ". ".join(filter(None, (error.advice, self._reject(fetched))))
            self._outcomes[fetched.archive] = advised = DataError(error.where, error.faults, advice)
            raise advised from None

    def _reject(self, fetched: Fetched) -> str:
        origin = _origin(fetched.record)
        if origin is None or origin in fetched.archive.urls or fetched.archive.checksum:
            return "Pass --force to download it again"
        fetched.path.unlink(missing_ok=True)
        records = read_records(self.folder / CHECKSUMS)
        records.pop(fetched.archive.file, None)
        write_records(self.folder / CHECKSUMS, records)
        return f"It came from {origin} and was removed; leave out --mirror to download the published one"

    def _fetch(self, archive: Archive) -> Fetched:
        target = self.folder / archive.file
        if self.offline and not target.is_file():
            raise MissingData(
                target,
                ["does not exist, and --offline allows no download"],
                f"Download {archive.urls[0]} ({human(archive.size)}) to this path",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / f".{archive.file}.lock")
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            self.display.message(f"another process is using {archive.file}; waiting for it")
            held = lock.acquire()
        with held:
            known = read_records(self.folder / CHECKSUMS).get(archive.file)
            if not target.is_file() or (self.force and not self.offline):
                return self._download(archive, target, None if self.force else known)
            found, fault = _inspect(archive, target, known)  # downloaded earlier or put there by hand
            if fault:
                advice = "Move it away, or pass --force to download it again and replace its record"
                raise DataError(target, [fault], advice)
            return Fetched(archive, target, known or self._record(archive, {"url": None, **found}))

    def _download(self, archive: Archive, target: Path, known: dict[str, Any] | None) -> Fetched:
        mirrors = [
            one if one.rpartition("/")[2] == archive.file else f"{one.rstrip('/')}/{archive.file}"
            for one in self.mirrors
        ]
        addresses = tuple(dict.fromkeys([*mirrors, *archive.urls]))
        failures: list[str] = []
        with requests.Session() as session:
            for url in addresses:
                try:
                    # An archive from a mirror says nothing about those of other addresses.
                    trusted = known if _origin(known) in (url, *archive.urls) else None
                    found = self._download_from(session, url, archive, part_path(target, url), trusted)
                except DownloadError as error:
                    failures.append(str(error))
                    self.display.message(str(error))
                    continue
                part_path(target, url).replace(target)
                sync_folder(self.folder)
                for one in addresses:
                    discard(part_path(target, one))
                if known and known.get("sha256") != found["sha256"]:
                    self.display.message(
                        f"{archive.file} differs from the one that was here before, from {_origin(known)}: "
                        "pass --force to replace what was unpacked from that one"
                    )
                return Fetched(archive, target, self._record(archive, found))
        changed = "; --force accepts an archive that differs from the recorded one" if known else ""
        raise DownloadError(
            f"{archive.file} could not be downloaded: {'; '.join(failures)}. Download it by hand from "
            f"{archive.page} to {target}, or pass another address with --mirror{changed}"
        )

    def _download_from(
        self,
        session: requests.Session,
        url: str,
        archive: Archive,
        part: Path,
        known: dict[str, Any] | None,
    ) -> dict[str, Any]:
        """Download the archive from one address; returns its address after redirects, length and sha256."""
        limit = archive.size
        if limit is not None and not archive.exact:
            limit = _FACTOR * limit + _BLOCK
        for restarts in range(RESTARTS + 1):
            final, resumed = Transfer(session, url, part, self.display, limit).run()
            found, fault = _inspect(archive, part, known)
            if fault is None:
                return {"url": final, **found, **({"asked": url} if final != url else {})}
            discard(part)
            if not resumed or restarts == RESTARTS:
                break
            self.display.message(f"{url}: the resumed download {fault}; starting over")
        raise DownloadError(f"{url}: the download {fault}")

    def _record(self, archive: Archive, found: dict[str, Any]) -> dict[str, Any]:
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        checked = archive.checksum or "first seen, nothing to compare with"
        record = {**found, "date": date, "checked": checked}
        path = self.folder / CHECKSUMS
        write_records(path, {**read_records(path), archive.file: record})
        return record


def _origin(record: dict[str, Any] | None) -> str | None:
    """The address from which a recorded archive was requested; None: it was put there by hand."""
    return record.get("asked") or record.get("url") if record else None


def write_records(path: Path, records: dict[str, Any]) -> None:
    """Replace a JSON file of records."""
    write_atomically(path, (json.dumps(records, indent=1, sort_keys=True) + "\n").encode())


def _inspect(archive: Archive, path: Path, known: dict[str, Any] | None) -> tuple[dict[str, Any], str | None]:
    """A file's length and sha256, and how it differs from the known archive (None: it does not)."""
    size, sha256, fault = path.stat().st_size, sha256_of(path), None
    algorithm, _, published = (archive.checksum or "").partition(":")
    digest = sha256
    if algorithm not in ("", "sha256"):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, algorithm).hexdigest()
    if archive.exact and size != archive.size:
        fault = f"has {size} bytes, the published archive {archive.size}"
    elif published and digest != published:
        fault = f"is not the published archive ({algorithm}:{digest}, published {archive.checksum})"
    elif known and not published and sha256 != known.get("sha256"):
        digests = f"sha256 {sha256}, then {known.get('sha256')}"
        fault = f"is not the archive first seen on {str(known.get('date', ''))[:10]} ({digests})"
    elif not known and not published:
        fault = _unreadable(path)
    return {"bytes": size, "sha256": sha256}, fault


def _unreadable(path: Path) -> str | None:
    """Why the file is not a complete archive (moved pages, for example, answer with HTML); None: it is."""
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
