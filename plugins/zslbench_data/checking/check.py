"""Checks a data set file by file: an unreadable file is a finding, and the check continues."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from zslbench.data import (
    IMAGES,
    SEMANTICS_FILES,
    SPLITS_FILE,
    Finding,
    Findings,
    FolderContents,
    ImageLabels,
    data_root,
    features_stem,
    few,
    find_folder,
    find_regions,
    mat_variables,
    read_folder,
    region_files,
)
from zslbench.errors import DataError, MissingData, UnknownName, did_you_mean
from zslbench.store import sha256_of
from zslbench_data.checking.classes import check_class_folders, check_semantics, compare_labels
from zslbench_data.checking.features import check_duplicates, check_features, part_numbers, report_values
from zslbench_data.checking.regions import check_regions, open_source
from zslbench_data.checking.scan import scan
from zslbench_data.checking.words import check_words, short_path
from zslbench_data.download.catalogue import CatalogueEntry, catalogue
from zslbench_data.download.get import LISTING, SOURCES, read_sources
from zslbench_data.download.presence import SENTENCES_FILE
from zslbench_data.exporting.xlsa17 import blocks
from zslbench_data.progress import SILENT, Display


def check_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    features: str | None = None,
    regions: str | None = None,
    semantics: str | None = None,
    display: Display = SILENT,
) -> list[Finding]:
    """Check the files of a data set; severities are error, warning and ok.

    Args:
        name: the data set.
        features, regions, semantics: check only these; None: all that exist.

    Raises:
        UnknownName: there is no such data set, or no such semantics.
        MissingData: an official data set that is not on the disk.
    """
    data = data_root(root)
    folder = find_folder(data, name)
    if semantics is not None and semantics not in SEMANTICS_FILES:
        raise UnknownName(f"no class semantics '{semantics}', {did_you_mean(semantics, SEMANTICS_FILES)}")
    entry = catalogue().datasets.get(name.lower())
    if folder is None and entry is not None:
        raise MissingData(
            f"data set '{name}'", [f"no folder {entry.folder} in {data}"], f"zslbench data get {name}"
        )
    findings = Findings()
    if folder is None:
        _check_loaded(name, root, findings)
    else:
        _check_folder(folder, entry, features, regions, semantics, findings, display)
    return [replace(row, severity="ok") if row.severity == "note" else row for row in findings.rows]


def _check_folder(
    folder: Path,
    entry: CatalogueEntry | None,
    features: str | None,
    regions: str | None,
    semantics: str | None,
    findings: Findings,
    display: Display,
) -> None:
    if not (folder / SPLITS_FILE).is_file():
        findings.error("is missing", SPLITS_FILE)
    display.message(f"checking {folder}")
    sources = _region_files(folder, regions, findings)
    images = compare_labels(folder, findings)
    if images is None and sources:
        with findings.guard(short_path(sources[0], folder)):
            source = open_source(sources[0])
            images = ImageLabels(source.labels, sources[0].name, source.image_files)
    elif images is None:
        findings.error("no file has labels", folder.name)
    contents = read_folder(folder, images, findings=findings)
    check_semantics(contents, _semantics(contents, semantics), entry)
    check_class_folders(contents)
    if contents.semantics is not None:
        check_words(folder, contents.semantics.shape[1], findings)
    stems = _features(folder, features, findings)
    for stem in stems:
        display.message(f"checking {stem}.mat")
        check_features(contents, stem, entry)
    for path in sources:
        display.message(f"checking {path.name}")
        check_regions(contents, path, stems, short_path(path, folder), entry)
    if not stems and not sources:
        findings.warning("neither features nor regions: no method can run on it", folder.name)
    if (folder / IMAGES).is_dir():
        display.message(f"checking {IMAGES}")
        _check_images(contents, entry)
    _check_recorded(folder, findings)


def _semantics(contents: FolderContents, requested: str | None) -> list[str]:
    if requested is not None:
        return [requested]
    found = [name for name in ("att", "original_att") if name in ("att", *contents.variables)]
    sentences = (contents.folder / SENTENCES_FILE).is_file()
    return (found if contents.variables else []) + (["sentence"] if sentences else [])


def _features(folder: Path, requested: str | None, findings: Findings) -> list[str]:
    """Stems of the features files to check."""
    if requested is not None:
        stem = features_stem(requested)
        if not (folder / f"{stem}.mat").is_file():
            findings.error("is missing", f"{stem}.mat")
            return []
        return [stem]
    found = []
    for path in sorted(folder.glob("*.mat")):
        with findings.guard(path.name):
            if "features" in mat_variables(path):
                found.append(path.stem)
    return found


def _region_files(folder: Path, requested: str | None, findings: Findings) -> list[Path]:
    if requested is None:
        return region_files(folder)
    found: list[Path] = []
    with findings.guard(requested):
        found.append(find_regions(folder, requested))
    return found


def _check_loaded(name: str, root: str | Path | None, findings: Findings) -> None:
    """Check a data set that is not a folder of files by loading it."""
    from zslbench_data.exporting.export import read_complete

    try:
        dataset, _ = read_complete(name, root)
    except DataError as error:
        for fault in error.faults:
            findings.error(fault, name)
        return
    findings.ok(f"loads, {len(dataset.labels)} images of {len(dataset.class_names)} classes", name)
    report_values(scan(blocks(dataset.features)), f"{name}: features", findings)
    for note in dataset.notes:
        findings.note(note, name)


def _check_images(contents: FolderContents, entry: CatalogueEntry | None) -> None:
    """Image files: all present, not empty, as in ``images.sha256``, and not in several parts of the split."""
    from zslbench_data.extraction.images import list_images

    folder, findings = contents.folder, contents.findings
    listed: dict[str, str] = {}
    with findings.guard(LISTING):
        if (folder / LISTING).is_file():
            lines = (folder / LISTING).read_text("utf-8", "surrogateescape").splitlines()
            listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    with findings.guard(IMAGES):
        paths = list_images(folder).paths
        digests, empty, changed = [], {}, []
        for row, path in enumerate(paths):
            digest = sha256_of(path)
            digests.append(bytes.fromhex(digest))
            name = f"{IMAGES}/{path.relative_to(folder / IMAGES).as_posix()}"
            if path.stat().st_size == 0:
                empty[row] = name
            if listed.get(name, digest) != digest:
                changed.append(name)
        if empty:
            findings.error(f"empty image files ({few(empty.values())})", IMAGES, len(empty))
        if changed:
            findings.error(f"images differ from {LISTING} ({few(changed)})", IMAGES, len(changed))
        if len(digests) == len(part_numbers(contents)):
            check_duplicates(contents, digests, list(empty), "image", IMAGES, entry)
        findings.ok("all images of the data set exist", IMAGES, len(paths))


def _check_recorded(folder: Path, findings: Findings) -> None:
    """Compare downloaded or imported files with ``sources.json``."""
    with findings.guard(SOURCES):
        records = {name: one for name, one in read_sources(folder)["files"].items() if "sha256" in one}
        right = 0
        for name, record in records.items():
            if not (folder / name).is_file():
                findings.error(f"is missing, though {SOURCES} records it", name)
                continue
            with findings.guard(name):
                if sha256_of(folder / name) == record["sha256"]:
                    right += 1
                else:
                    findings.error(f"differs from the checksum in {SOURCES}", name)
        if right:
            findings.ok("files have the recorded checksums", SOURCES, right)
