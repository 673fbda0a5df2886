"""What imports share: the target folder, copying, and the record of what was done, in ``sources.json``."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zslbench.data import (
    STORED_TYPES,
    RegionStore,
    dataset_name,
    files_below,
    find_folder,
    folder_key,
    is_complete,
    is_region_store,
)
from zslbench.errors import DataError, SettingsError
from zslbench.plugin import registry
from zslbench.store import checked_name, name_fault, sha256_of
from zslbench_data.download.archives import write_records
from zslbench_data.download.get import SOURCES, read_sources
from zslbench_data.progress import Display

_IMPORTS = "imports"


@dataclass(frozen=True)
class Imported:
    """The outcome of an import."""

    target: Target
    text: str
    """What was imported, in words."""
    next_commands: Sequence[str]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Target:
    """Where a data set is imported to."""

    folder: Path
    """Its folder below the data root, which need not exist."""
    key: str
    """Its lower-case name."""

    @property
    def name(self) -> str:
        """What ``--dataset`` takes."""
        return dataset_name(registry(), self.key)

    def command(self, words: str, *options: str) -> str:
        """A command on it: ``words``, its name as the shell needs it, and ``options``."""
        return shlex.join([*words.split(), self.name, *options])


def target(root: Path, name: str) -> Target:
    """The folder of a data set below the data root; ``UCF101/split_1`` is a folder in a folder.

    Raises:
        SettingsError: the name cannot be used for a folder, or the outer folder is a data set itself.
    """
    folder, parts = root, checked_name(name, "--name", nested=True).split("/")
    for part in parts:
        if folder != root and is_complete(folder):
            raise SettingsError(f"--name {name}: {folder} is a data set itself; choose another name")
        folder = find_folder(folder, part) or folder / part
    return Target(folder, folder_key("/".join(parts)))


def stored_as(given: np.dtype[Any], dtype: str) -> np.dtype[Any]:
    """The stored type that ``keep``, ``float16`` or ``float32`` means for values of a type."""
    return STORED_TYPES.get(given.name, STORED_TYPES["float32"]) if dtype == "keep" else STORED_TYPES[dtype]


def import_key(inputs: Mapping[str, Any]) -> str:
    """The digest of everything that an import's result depends on, given as plain data."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def contents(path: Path) -> list[str]:
    """The files below a folder, relative to it; a file itself is ``""``."""
    return files_below(path) if path.is_dir() else [""]


def digest_of(path: Path, names: Iterable[str] | None = None) -> str:
    """The digest of the :func:`contents` of a path, or of some: of their names and sha256, in this order."""
    digest = hashlib.sha256()
    for name in contents(path) if names is None else names:
        digest.update(f"{name}\0{sha256_of(path / name)}\n".encode())
    return digest.hexdigest()


def copy(source: Path, target: Path, names: Iterable[str], link: bool, display: Display) -> None:
    """Copy the :func:`contents` of a path, or some, to a new one; or make the new one a link."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
        return
    sizes = {name: (source / name).stat().st_size for name in names}
    with display.task(f"copying {source.name}", sum(sizes.values())):
        for name, size in sizes.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)
            display.advance(size)


def read_import(folder: Path, kind: str) -> dict[str, Any]:
    """The record of an import into a folder: ``key``, and ``files`` with their sizes; empty: none."""
    found = read_sources(folder).get(_IMPORTS, {}).get(kind, {})
    return dict(found) if isinstance(found, dict) else {}


def is_done(folder: Path, kind: str, key: str, *, force: bool) -> bool:
    """Whether an import with this key was done and its files are still there, unchanged.

    Args:
        force: what changed is to be imported again.

    Raises:
        DataError: files have changed, and ``force`` is not set.
    """
    found = read_import(folder, kind)
    names = list(found.get("files", {}))
    if found.get("key") != key or not all((folder / name).exists() for name in names):
        return False
    recorded = read_sources(folder)["files"]
    changed = [name for name in names if not _is_as_written(folder / name, recorded.get(name, {}))]
    if changed and not force:
        fault = f"{', '.join(changed)} changed since the import"
        raise DataError(folder, [fault], "Pass --force to import again, which replaces them")
    return not changed


def _is_as_written(path: Path, record: Mapping[str, Any]) -> bool:
    """Compare a file or a region store with its digests."""
    if path.is_file():
        return "sha256" not in record or sha256_of(path) == record["sha256"]
    try:
        return not is_region_store(path) or not RegionStore.open(path).verify()
    except DataError:
        return False


def write_import(
    folder: Path,
    staging: Path,
    kind: str,
    key: str,
    origins: Mapping[str, Mapping[str, Any]],
    **more: str | None,
) -> None:
    """Write the records of ``folder`` with this import added to ``staging``.

    Args:
        origins: where each file or folder is from: ``archive`` and ``member``; size and sha256 are added.
        more: to be recorded with the import.
    """
    records = read_sources(folder)
    sizes: dict[str, int | None] = {}
    for name, origin in origins.items():
        path, record = staging / name, dict(origin)
        if path.is_file():
            record |= {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        sizes[name] = record.get("bytes")
        records["files"][name] = record
    records.setdefault(_IMPORTS, {})[kind] = {"key": key, "files": sizes, **more}
    write_records(staging / SOURCES, records)


def remove_replaced(folder: Path, replaced: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Remove the files of a replaced import that the current one does not have.

    Args:
        replaced: the old record.
        current: the new files.
    """
    for name in replaced.get("files", {}):
        path = folder / name
        if name in current or name_fault(name, nested=True):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
