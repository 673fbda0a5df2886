"""Imports a folder in the xlsa17 format: validated in place, then copied or linked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zslbench.data import (
    HDF5_SUFFIXES,
    IMAGES,
    SEMANTICS_FILES,
    SPLITS_FILE,
    ExpectedCounts,
    Findings,
    features_files,
    is_region_store,
    read_without_features,
    read_xlsa17,
    require_space,
)
from zslbench.errors import DataError, MissingData
from zslbench.store import sha256_of
from zslbench_data.download.catalogue import catalogue
from zslbench_data.importing.records import (
    Imported,
    files_digest,
    import_key,
    is_done,
    locked,
    target_folder,
    write_import,
)
from zslbench_data.progress import SILENT, Display
from zslbench_data.staging import staged_folder

_KIND = "xlsa17"
_SUFFIXES = {".mat", ".txt", ".npy", ".sha256", *HDF5_SUFFIXES}
_SPARE = 1 << 20


def import_folder(
    root: Path,
    name: str,
    source: Path,
    *,
    link: bool = False,
    force: bool = False,
    display: Display = SILENT,
) -> Imported:
    """Import an xlsa17 folder; repeating an import changes nothing.

    Its ``.mat``, ``.txt``, ``.npy`` and HDF5 files, region stores and the folder ``images`` are imported.

    Args:
        name: the data set's; one of the catalogue must have the official counts.
        link: symbolic links to the files instead of copies.
        force: replace files of other content.

    Raises:
        MissingData: there is no splits file.
        DataError: every fault of the data; or files of other content are there; or no space.
        SettingsError: the name cannot be used.
    """
    folder = target_folder(root, name)
    if folder.name.lower() in catalogue().datasets and not folder.exists():
        folder = root / catalogue().entry(name).folder
    if not (source / SPLITS_FILE).is_file():
        raise MissingData(source, [f"no {SPLITS_FILE}: not a folder in the xlsa17 format"])
    if folder.exists() and folder.resolve() == source.resolve():
        raise DataError(source, ["is already below the data root"], f"Check it: zslbench data check {name}")
    name = folder.name.lower()
    commands = (f"zslbench data info {name}", f"zslbench data check {name}")
    with locked(folder):
        files = sorted(_files(source))
        display.message(f"checking {len(files)} files of {source}")
        digests = {file: _digest(source / file) for file in files}
        different = [
            file for file in files if (folder / file).exists() and _digest(folder / file) != digests[file]
        ]
        key = import_key({"files": digests, "link": link})
        if is_done(folder, _KIND, key) and not different:
            return Imported(name, folder, "already there", (), commands)
        if different and not force:
            raise DataError(
                folder,
                [f"{len(different)} files there have other content: {', '.join(different)}"],
                "Choose another --name, or pass --force to replace them",
            )
        counts, notes = _validate(source, name)
        if not link:
            require_space(folder / SPLITS_FILE, sum(_size(source / file) for file in files) + _SPARE)
        with staged_folder(folder) as staging:
            for file in files:
                (staging / file).parent.mkdir(parents=True, exist_ok=True)
                _bring(source / file, staging / file, link, display)
            if {file: _digest(staging / file) for file in files} != digests:
                raise DataError(source, ["changed while it was copied"], "Try again")
            origins = {file: {"archive": source.name, "member": file} for file in files}
            write_import(folder, staging, _KIND, key, origins)
    return Imported(name, folder, f"{counts}; {len(files)} files", notes, commands)


def _files(source: Path) -> Iterator[str]:
    """Names of the files, region stores and image folder of a data set."""
    for path in source.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.name == "regions":
                yield from (f"regions/{inner.name}" for inner in path.iterdir() if _has_regions(inner))
            elif path.name == IMAGES or is_region_store(path):
                yield path.name
        elif path.suffix.lower() in _SUFFIXES or path.name == "attribute_vectors.json":
            yield path.name


def _has_regions(path: Path) -> bool:
    return not path.name.startswith(".") and (is_region_store(path) or path.suffix.lower() in HDF5_SUFFIXES)


def _validate(source: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """Read everything once; returns counts and notes.

    Raises:
        DataError: the faults of all files together.
    """
    entry = catalogue().datasets.get(name)
    expected = None if entry is None else ExpectedCounts(**entry.counts)
    findings, counts = Findings(), ""
    stems = features_files(source)
    readings: list[tuple[str | None, str]] = [(stem, "att") for stem in stems] or [(None, "att")]
    if stems and (source / SEMANTICS_FILES["sentence"]).is_file():
        readings.append((stems[0], "sentence"))
    for stem, semantics in readings:
        with findings.guard(""):
            if stem is None:
                dataset = read_without_features(source)
            else:
                dataset = read_xlsa17(
                    source, name=name, features=stem, semantics=semantics, expected=expected, image_files=True
                )
            if dataset is None:
                counts = "splits"
                findings.note(f"no features and no labels: only {SPLITS_FILE} could be checked")
                continue
            counts = f"{len(dataset.labels)} images of {len(dataset.class_names)} classes"
            counts += ", no features" if stem is None else ""
            for text in dataset.notes:
                findings.note(text)
    findings.raise_errors(source, "Nothing was imported")
    return counts, findings.notes


def _digest(path: Path) -> str:
    """sha256 of a file; of a folder, of its files' names and sha256."""
    if not path.is_dir():
        return sha256_of(path)
    names = []
    for base, inner, files in os.walk(path, followlinks=True):
        inner.sort()
        names += [(Path(base) / file).relative_to(path).as_posix() for file in sorted(files)]
    return files_digest(path, names)


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _bring(source: Path, target: Path, link: bool, display: Display) -> None:
    if link:
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
        return
    size = _size(source)
    with display.task(f"copying {source.name}", size):
        copy: Any = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, target)
        display.advance(size)
