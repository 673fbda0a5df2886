"""Imports a folder in the xlsa17 format: validated in place, then copied or linked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zslbench.data import (
    HDF5_SUFFIXES,
    IMAGES,
    NAMED_SEMANTICS,
    SEMANTICS_FILES,
    SPLITS_FILE,
    Findings,
    features_files,
    is_region_store,
    read_without_features,
    read_xlsa17,
    require_file,
    require_space,
)
from zslbench.errors import DataError, MissingData
from zslbench.evaluation import protocol_notes
from zslbench_data.download.catalogue import catalogue
from zslbench_data.importing.records import (
    Imported,
    Target,
    contents,
    copy,
    digest_of,
    import_key,
    is_done,
    target,
    write_import,
)
from zslbench_data.progress import SILENT, Display
from zslbench_data.staging import SPARE, locked, remove_abandoned, staged_folder

_KIND = "xlsa17"
_SUFFIXES = {".mat", ".txt", ".npy", ".sha256", *HDF5_SUFFIXES}


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

    Its ``.mat``, ``.txt``, ``.npy`` and HDF5 files, region stores, named class semantics and the folder
    ``images`` are imported.

    Args:
        name: the data set's; one of the catalogue must have the official counts.
        link: symbolic links to the files instead of copies.
        force: replace files of other content.

    Raises:
        MissingData: there is no splits file.
        DataError: every fault of the data; or files of other content are there; or no space.
        SettingsError: the name cannot be used.
    """
    to = target(root, name)
    if to.key in catalogue().datasets and not to.folder.exists():
        to = Target(root / catalogue().entry(name).folder, to.key)
    folder = to.folder
    if not (source / SPLITS_FILE).is_file():
        raise MissingData(source, [f"no {SPLITS_FILE}: not a folder in the xlsa17 format"])
    if folder.exists() and folder.resolve() == source.resolve():
        raise DataError(
            source, ["is already below the data root"], f"Check it: {to.command('zslbench data check')}"
        )
    commands = [to.command(f"zslbench data {what}") for what in ("info", "check")]
    with locked(folder):
        remove_abandoned(folder)
        files = {entry: contents(source / entry) for entry in sorted(_entries(source))}
        display.message(f"checking {len(files)} files of {source}")
        digests = {entry: digest_of(source / entry, names) for entry, names in files.items()}
        existing = [entry for entry in files if (folder / entry).exists()]
        different = [entry for entry in existing if digest_of(folder / entry) != digests[entry]]
        key = import_key({"files": digests, "link": link})
        if not different and is_done(folder, _KIND, key, force=force):
            return Imported(to, "already there", commands)
        if different and not force:
            fault = f"{len(different)} files there have other content: {', '.join(different)}"
            raise DataError(folder, [fault], "Choose another --name, or pass --force to replace them")
        counts, notes = _validate(source, to.key)
        if not link:
            paths = [source / entry / inner for entry, names in files.items() for inner in names]
            require_space(folder / SPLITS_FILE, sum(path.stat().st_size for path in paths) + SPARE)
        with staged_folder(folder) as staging:
            for entry, names in files.items():
                copy(source / entry, staging / entry, names, link, display)
            if {entry: digest_of(staging / entry) for entry in files} != digests:
                raise DataError(source, ["changed while it was copied"], "Try again")
            origins = {entry: {"archive": source.name, "member": entry} for entry in files}
            write_import(folder, staging, _KIND, key, origins)
    return Imported(to, f"{counts}; {len(files)} files", commands, notes)


def _entries(source: Path) -> Iterator[str]:
    """Names of the files, region stores, named class semantics and image folder of a data set."""
    inside = {"": _SUFFIXES, "regions": HDF5_SUFFIXES, NAMED_SEMANTICS: (".npy", ".json")}
    for path in (path for folder in inside for path in (source / folder).glob("[!.]*")):
        suffixes = inside["" if path.parent == source else path.parent.name]
        if path.is_dir():
            belongs = is_region_store(path) or path == source / IMAGES
        else:
            belongs = path.suffix.lower() in suffixes or path == source / "attribute_vectors.json"
            if belongs:
                require_file(path)
        if belongs:
            yield path.relative_to(source).as_posix()


def _validate(source: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """Read everything once; returns counts and notes.

    Raises:
        DataError: the faults of all files together.
    """
    entry = catalogue().datasets.get(name)
    expected = None if entry is None else entry.counts
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
            for text in (*dataset.notes, *protocol_notes(dataset)):
                findings.note(text)
    findings.raise_errors(source, "Nothing was imported")
    return counts, findings.notes
