"""Runs as one file: a ZIP archive of their folders, ``runs/<id>/<file>``, for another store.

An archive of figures has only the ``run.json`` of each run and an empty file that says so. The same runs make
the same bytes. An archive from elsewhere is not trusted: members other than files of runs are refused, every
file must have the sha256 in its ``run.json``, and a run's id must be that of its identity. Checksums cannot
tell who computed a run, or whether somebody invented its figures together with them.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from zslbench.errors import DataError, ZslbenchError
from zslbench.store import FIGURES_ONLY, RUN_FILE, RunRecord, Store, explained, run_id, sync_folder

_MEMBER = re.compile(
    r"runs/([A-Za-z0-9_-]{1,64})/(run\.json|figures-only|[A-Za-z0-9_-]{1,100}\.(?:parquet|safetensors))"
)
_FOLDER = re.compile(r"runs/(?:[A-Za-z0-9_-]{1,64}/)?")
_MAX_RUN_FILE = 16 << 20
"""A ``run.json`` is at most this large: it is parsed in memory."""
_MAX_EXPANSION = 100
"""How many times its compressed size a file may have. Records shrink to a fifth, tables not at all."""
_CHUNK = 1 << 20
_LISTED_FAULTS = 5
_MEMBER_DATE = (1980, 1, 1, 0, 0, 0)
_ZIP_ERRORS = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)


@dataclass
class Imported:
    """What became of an archive's runs."""

    added: list[RunRecord] = field(default_factory=list)
    equal: list[RunRecord] = field(default_factory=list)
    """Runs of the store that the archive has with the same results; they were skipped."""
    differing: list[tuple[RunRecord, Mapping[str, object]]] = field(default_factory=list)
    """Runs of the store that the archive has with different results, with the metrics in the archive."""


def export_runs(records: Sequence[RunRecord], path: Path, *, figures: bool = False) -> int:
    """Write finished runs to a new archive and return its size in bytes.

    Args:
        figures: leave out tables and networks; about 2 kB per run remain.

    Raises:
        DataError: a run is damaged.
        ZslbenchError: the file exists or cannot be written; no part of it is left.
    """
    if os.path.lexists(path):
        raise ZslbenchError(f"{path}: exists already; remove it, or choose another name")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with _writable(path), part.open("xb") as file:
            with ZipFile(file, "w") as archive:
                for record in sorted(records, key=lambda one: one.info.id):
                    _pack(archive, record, figures)
            file.flush()
            os.fsync(file.fileno())
        with _writable(path):
            part.replace(path)
            sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path.stat().st_size


def import_runs(path: Path, store: Store) -> Imported:
    """Add the runs of an archive to a store; none if one of its files is not as recorded.

    Runs whose id the store has are skipped, but tables are added to those that have only figures. Each run
    appears whole; after an interruption, the same call adds those that are missing.

    Raises:
        DataError: the archive is damaged, contains anything but runs, or does not fit on the store's disk.
    """
    done = Imported()
    with _readable(path) as archive, store.incoming() as own, explained(store.root, "write the run store"):
        members = _members(archive, path, room=shutil.disk_usage(own).free)
        (own / "runs").mkdir()
        for run, files in members.items():
            folder = own / "runs" / run
            folder.mkdir()
            for name, member in files.items():
                _unpack(archive, member, folder / name, path)
            sync_folder(folder)
        found = _checked([own / "runs" / run for run in members], path)
        for record in found:
            run = record.info.id
            stored = store.find(run)
            if stored is None and store.add(record.folder, run):
                done.added.append(store.resolve(run))
            elif (stored := stored or store.resolve(run)).same_results(record):
                if stored.figures_only and not record.figures_only:
                    store.add(record.folder, run, replace=True)
                    done.added.append(store.resolve(run))
                else:
                    done.equal.append(stored)
            else:
                done.differing.append((stored, record.metrics))
    return done


# --- writing -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ZslbenchError(f"{path}: cannot be written ({error.strerror or error})") from None


def _pack(archive: ZipFile, record: RunRecord, figures: bool) -> None:
    if faults := record.verify():
        raise DataError(record.folder, faults, "Compute the run again with --force, or leave it out")
    partial = record.figures_only
    names = [] if figures else [name for name in sorted(record.digests) if not partial or _has(record, name)]
    for name in (RUN_FILE, *names):
        source = record.folder / name
        member = _member(record, name)
        member.compress_type = ZIP_DEFLATED if name == RUN_FILE else ZIP_STORED
        digest = sha256()
        try:
            with source.open("rb") as file:
                member.file_size = os.fstat(file.fileno()).st_size  # tells whether it needs 64 bits
                with archive.open(member, "w") as out:
                    while piece := file.read(_CHUNK):
                        digest.update(piece)
                        out.write(piece)
        except FileNotFoundError:
            raise DataError(
                source, ["the run was replaced or removed while it was exported"], "Export again"
            ) from None
        if digest.hexdigest() != record.digests.get(name, digest.hexdigest()):
            raise DataError(source, ["changed while it was read"], "Export again")
    if figures or partial:
        archive.writestr(_member(record, FIGURES_ONLY), b"")


def _has(record: RunRecord, name: str) -> bool:
    return (record.folder / name).exists()


def _member(record: RunRecord, name: str) -> ZipInfo:
    member = ZipInfo(f"runs/{record.info.id}/{name}", _MEMBER_DATE)
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    return member


# --- reading -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[ZipFile]:
    try:
        if not path.is_file():
            raise DataError(path, ["no such file" if not path.exists() else "is not a file"])
        archive = ZipFile(path)
    except OSError as error:
        raise DataError(path, [f"cannot be read: {error.strerror or error}"]) from None
    except _ZIP_ERRORS as error:
        raise DataError(path, [f"is not a ZIP archive, or damaged: {error}"]) from None
    with archive:
        yield archive


def _members(archive: ZipFile, path: Path, room: int) -> dict[str, dict[str, ZipInfo]]:
    """The files by run and name, after checks that all of them may be unpacked."""
    found: dict[str, dict[str, ZipInfo]] = {}
    faults = []
    for one in archive.infolist():
        if _FOLDER.fullmatch(one.filename):
            continue
        if fault := _member_fault(one):
            faults.append(f"{one.filename[:100]}: {fault}")
            continue
        _, run, name = one.filename.split("/")
        if name in found.setdefault(run, {}):
            faults.append(f"{one.filename}: occurs twice")
        found[run][name] = one
    faults += [f"runs/{run}: has no {RUN_FILE}" for run, files in found.items() if RUN_FILE not in files]
    if faults:
        raise DataError(path, _first_faults(faults), "It was not written by 'zslbench runs export'")
    if not found:
        raise DataError(path, ["has no runs"])
    size = sum(one.file_size for one in archive.infolist())
    if size > room:
        raise DataError(path, [f"unpacks to {size:,} bytes, but the store's disk has {room:,} free"])
    return found


def _member_fault(member: ZipInfo) -> str:
    """Why this cannot be a file of a run; empty if it can."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    if not _MEMBER.fullmatch(member.filename):
        return "is not a file of a run"
    if kind not in (0, stat.S_IFREG):
        return "is a link or another special file"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return "is compressed with an unsupported method"
    if member.filename.endswith(FIGURES_ONLY) and member.file_size:
        return "is not empty"
    if member.filename.endswith(RUN_FILE) and member.file_size > _MAX_RUN_FILE:
        return f"has {member.file_size:,} bytes, more than {_MAX_RUN_FILE:,}"
    if member.file_size > _CHUNK and member.file_size > _MAX_EXPANSION * member.compress_size:
        return f"expands to {member.file_size:,} bytes, more than {_MAX_EXPANSION} times its size"
    return ""


def _unpack(archive: ZipFile, member: ZipInfo, target: Path, path: Path) -> None:
    try:
        source = archive.open(member)
        with source, target.open("xb") as out:
            _copy(source, out, member.file_size)  # type: ignore[arg-type]
    except _ZIP_ERRORS as error:
        raise DataError(path, [f"{member.filename}: damaged: {error}"]) from None


def _copy(source: BinaryIO, out: BinaryIO, size: int) -> None:
    while piece := source.read(_CHUNK):
        size -= len(piece)
        if size < 0:
            raise BadZipFile("it is larger than the archive says")
        out.write(piece)
    out.flush()
    os.fsync(out.fileno())


def _checked(folders: Sequence[Path], path: Path) -> list[RunRecord]:
    """The runs in these folders, after checks that each is whole and consistent."""
    found, faults = [], []
    for folder in folders:
        where = f"runs/{folder.name}"
        try:
            record = RunRecord(folder)
            wrong = [*record.verify(), *_contradictions(record, folder.name)]
        except DataError as error:
            wrong = list(error.faults)
        else:
            found.append(record)
        faults += [f"{where}/{one}" if one.startswith(RUN_FILE) else f"{where}: {one}" for one in wrong]
    if faults:
        raise DataError(path, _first_faults(faults), "Nothing was imported; ask for the archive again")
    return found


def _contradictions(record: RunRecord, run: str) -> list[str]:
    """Where a record contradicts itself or the name of its folder."""
    info, identity = record.info, record.info.identity
    try:
        computed = run_id(identity)
    except (TypeError, ValueError) as error:
        return [f"its identity is invalid: {error}"]
    stated = {
        "id": (info.id, run),
        "identity": (info.id, computed),
        "method": (info.method, identity["method"]),
        "variant": (info.variant, identity["variant"]),
        "reading": (info.reading, identity.get("reading")),
        "data set": (info.dataset, identity["components"].get("dataset", info.dataset)),
        "selection": (info.selection, identity["selection"].get("mode", info.selection)),
        "seed": (info.seed, identity.get("seed", info.seed)),
    }
    apart = {name: pair for name, pair in stated.items() if pair[0] != pair[1]}
    return [f"its {name} is both {one!r:.60} and {other!r:.60}" for name, (one, other) in apart.items()]


def _first_faults(faults: Sequence[str]) -> list[str]:
    more = len(faults) - _LISTED_FAULTS
    return [*faults[:_LISTED_FAULTS], *([f"and {more} more faults"] if more > 0 else [])]
