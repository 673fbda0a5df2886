"""Where an import goes, whether it is there already, and the record of it in ``sources.json``."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from zslbench.data import find_folder
from zslbench.errors import DataError, SettingsError
from zslbench.store import sha256_of
from zslbench_data.download.archives import write_records
from zslbench_data.download.get import SOURCES, read_sources
from zslbench_data.staging import remove_abandoned

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_IMPORTS = "imports"


@dataclass(frozen=True)
class Imported:
    """What became of an import."""

    name: str
    """What ``--dataset`` takes."""
    folder: Path
    new: bool
    """False: it was there already."""
    text: str
    """What lies there, for people."""
    notes: tuple[str, ...] = ()
    following: tuple[str, ...] = ()
    """What to type next."""


def target(root: Path, name: str) -> Path:
    """The folder of a data set below the data root; it need not exist.

    Raises:
        SettingsError: the name is none that a folder and a command line can have.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(f"--name {name}: use letters, digits and '-_.+', as in 'my-birds'")
    return find_folder(root, name) or root / name


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other imports of the same data set out, and remove what killed ones left."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.import.lock"))
        with lock:
            remove_abandoned(folder)
            yield
    except PermissionError as error:
        raise DataError(folder.parent, [f"cannot be written ({error.strerror})"]) from None


def key_of(facts: Mapping[str, Any]) -> str:
    """The digest of everything that an import's result depends on, given as plain data."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def recorded(folder: Path, what: str) -> dict[str, Any]:
    """The record of an import into a folder: ``key`` and ``files`` with their bytes; empty: none."""
    found = read_sources(folder).get(_IMPORTS, {}).get(what, {})
    return dict(found) if isinstance(found, dict) else {}


def is_done(folder: Path, what: str, key: str) -> bool:
    """Whether this very import was done and its files are still there."""
    found = recorded(folder, what)
    return found.get("key") == key and all(
        (folder / name).exists() and (size is None or (folder / name).stat().st_size == size)
        for name, size in found.get("files", {}).items()
    )


def write_record(
    folder: Path,
    into: Path,
    what: str,
    key: str,
    origins: Mapping[str, Mapping[str, Any]],
    **more: str | None,
) -> None:
    """Write the records of ``folder``, with this import added, to ``into``.

    Args:
        origins: where each file or folder is from: ``archive`` and ``member``, and for files in ``into``
            their bytes and sha256 are added.
        more: to be recorded with the import.
    """
    found = read_sources(folder)
    sizes: dict[str, int | None] = {}
    for name, origin in origins.items():
        path = into / name
        facts: dict[str, Any] = dict(origin)
        if path.is_file():
            facts |= {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        sizes[name] = facts.get("bytes")
        found["files"][name] = facts
    found.setdefault(_IMPORTS, {})[what] = {"key": key, "files": sizes, **more}
    write_records(into / SOURCES, found)


def drop_replaced(folder: Path, before: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """After an import that replaced another one: remove the files of the old one that the new one has not.

    Args:
        before: the old one's record.
        kept: the new one's files.
    """
    for name in before.get("files", {}):
        path = folder / name
        if name in kept or ".." in Path(name).parts:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
