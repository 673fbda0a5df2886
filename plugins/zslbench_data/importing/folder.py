"""Imports a folder in the xlsa17 format: read and validated where it is, then copied or linked."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zslbench.data import (
    HDF5_SUFFIXES,
    IMAGES,
    SEMANTICS_FILES,
    SPLITS_FILE,
    ExpectedCounts,
    dataset_faults,
    features_files,
    is_region_store,
    read_described,
    read_xlsa17,
    require_space,
)
from zslbench.errors import DataError, MissingData
from zslbench.store import sha256_of
from zslbench_data.download.catalogue import catalogue
from zslbench_data.importing.place import Imported, alone, is_done, key_of, target, write_record
from zslbench_data.progress import Display, Silent
from zslbench_data.staging import staged_folder

_WHAT = "xlsa17"
_WANTED = {".mat", ".txt", ".npy", ".sha256", *HDF5_SUFFIXES}
_SPARE = 1 << 20


def import_folder(
    root: Path,
    name: str,
    source: Path,
    *,
    link: bool = False,
    force: bool = False,
    display: Display | None = None,
) -> Imported:
    """Bring an xlsa17 folder below the data root; the same one again is found done.

    Brought are ``.mat``, ``.txt``, ``.npy`` and HDF5 files, region stores and the folder ``images``.

    Args:
        name: the data set's; one of the catalogue must have the official counts.
        link: symbolic links to the files instead of copies.
        force: replace files of other content.

    Raises:
        MissingData: there is no splits file.
        DataError: every fault of the data; or files of other content are there; or no room.
        SettingsError: the name cannot be used.
    """
    folder = target(root, name)
    if folder.name.lower() in catalogue().datasets and not folder.exists():
        folder = root / catalogue().entry(name).folder
    if not (source / SPLITS_FILE).is_file():
        raise MissingData(source, [f"no {SPLITS_FILE}: is no folder in the xlsa17 format"])
    if folder.exists() and folder.resolve() == source.resolve():
        raise DataError(
            source, ["lies below the data root already"], f"zslbench data check {name} looks it over"
        )
    shown = display or Silent()
    with alone(folder):
        files = sorted(_files(source))
        shown.message(f"looking at {len(files)} files of {source}")
        sums = {one: _sum(source / one) for one in files}
        key = key_of({"files": sums, "link": link})
        following = (
            f"zslbench data info {folder.name.lower()}",
            f"zslbench data check {folder.name.lower()}",
        )
        if is_done(folder, _WHAT, key) and _same(folder, sums):
            return Imported(folder.name.lower(), folder, False, "already there", (), following)
        strange = [one for one in files if (folder / one).exists() and _sum(folder / one) != sums[one]]
        if strange and not force:
            raise DataError(
                folder,
                [f"{len(strange)} files there have other content: {', '.join(strange)}"],
                "Choose another --name, or pass --force to replace them",
            )
        counts, notes = _validate(source, folder.name.lower())
        if not link:
            require_space(folder / SPLITS_FILE, sum(_size(source / one) for one in files) + _SPARE)
        with staged_folder(folder) as aside:
            for one in files:
                (aside / one).parent.mkdir(parents=True, exist_ok=True)
                _bring(source / one, aside / one, link, shown)
            if {one: _sum(aside / one) for one in files} != sums:
                raise DataError(source, ["changed while it was copied"], "Try again")
            write_record(
                folder, aside, _WHAT, key, {one: {"archive": source.name, "member": one} for one in files}
            )
        return Imported(folder.name.lower(), folder, True, f"{counts}; {len(files)} files", notes, following)


def _files(source: Path) -> Iterator[str]:
    """What belongs to the data set: names of files, region stores and the folder of pictures."""
    for one in source.iterdir():
        if one.name.startswith("."):
            continue
        if one.is_dir():
            if one.name == "regions":
                yield from (f"regions/{inner.name}" for inner in one.iterdir() if _regions(inner))
            elif one.name == IMAGES or is_region_store(one):
                yield one.name
        elif one.suffix.lower() in _WANTED or one.name == "attribute_vectors.json":
            yield one.name


def _regions(path: Path) -> bool:
    return not path.name.startswith(".") and (is_region_store(path) or path.suffix.lower() in HDF5_SUFFIXES)


def _validate(source: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """Read everything once; gives counts and notes.

    Raises:
        DataError: the faults of all files together.
    """
    entry = catalogue().datasets.get(name)
    expected = None if entry is None else ExpectedCounts(**entry.counts)
    faults: list[str] = []
    notes: list[str] = []
    counts = ""
    stems = features_files(source)
    readings = [(stem, "att") for stem in stems]
    if stems and (source / SEMANTICS_FILES["sentence"]).is_file():
        readings.append((stems[0], "sentence"))
    for stem, semantics in readings:
        try:
            found = read_xlsa17(
                source, name=name, features=stem, semantics=semantics, expected=expected, image_files=True
            )
        except DataError as error:
            faults += [one for one in error.faults if one not in faults]
            continue
        counts = f"{len(found.labels)} images of {len(found.class_names)} classes"
        notes += [one for one in found.notes if one not in notes]
    if not stems:
        described = read_described(source)
        if described is None:
            notes.append(f"no features and no labels: only {SPLITS_FILE} could be looked at")
            counts = "splits"
        else:
            faults += dataset_faults(described.dataset(name))
            counts = f"{len(described.labels)} images of {len(described.class_names)} classes, no features"
            notes += described.notes
    if faults:
        raise DataError(source, faults, "Nothing was imported")
    return counts, tuple(notes)


def _sum(path: Path) -> str:
    """sha256 of a file; of a folder, of its files' names and sha256."""
    if not path.is_dir():
        return sha256_of(path)
    made = hashlib.sha256()
    for base, inner, files in os.walk(path, followlinks=True):
        inner.sort()
        for one in sorted(files):
            below = (Path(base) / one).relative_to(path).as_posix()
            made.update(f"{below}\0{sha256_of(Path(base) / one)}\n".encode())
    return made.hexdigest()


def _same(folder: Path, sums: Mapping[str, str]) -> bool:
    return all((folder / one).exists() and _sum(folder / one) == digest for one, digest in sums.items())


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


def _bring(source: Path, to: Path, link: bool, display: Display) -> None:
    if link:
        to.symlink_to(source.resolve(), target_is_directory=source.is_dir())
        return
    size = _size(source)
    display.begin(f"copying {source.name}", size)
    try:
        copy: Any = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, to)
        display.advance(size)
    finally:
        display.end()
